"""The gradient of an embedding, native/embedding.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import INT64, address, by_size

_VERSIONS = by_size("embedding_backward")


def embedding_backward(grad: Array, index: Array, padding_idx: int, out: Array) -> None:
    """grad (N, D), index (N,) -> out (V, D); row padding_idx gets nothing."""
    real, kernel = _VERSIONS[grad.itemsize]
    rows, target = address(real, grad), address(real, out)
    N, D = grad.shape
    check(kernel(rows, address(INT64, index), padding_idx, target, N, D, len(out)))
