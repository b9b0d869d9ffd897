"""Cross-entropy and its gradient in one pass over the logits, native/cross_entropy.c."""

from tinyattn.kernels._types import Array, CrossEntropyOptions
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size, in_range

_VERSIONS = by_size("cross_entropy")


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None,
    options: CrossEntropyOptions,
    losses: Array,
    loss: Array,
    grad: Array | None,
) -> bool:
    """logits (N, V), target (N,), weight (V,) -> losses (N,), loss () and its grad (N, V); whether
    all targets that count are in range."""
    real, kernel = _VERSIONS[logits.itemsize]
    w = NULL if weight is None else address(real, weight)
    inputs = address(real, logits), address(INT64, target), w
    to = NULL if grad is None else address(real, grad)
    outputs = address(real, losses), address(real, loss), to
    return in_range(kernel(*inputs, *options, *outputs, *logits.shape))
