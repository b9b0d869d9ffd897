"""Cross-entropy and its gradient in one pass over the logits, native/cross_entropy.c."""

from tinyattn.kernels._types import Array, CrossEntropyOptions
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size

_VERSIONS = by_size("cross_entropy")


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None,
    options: CrossEntropyOptions,
    losses: Array,
    grad: Array | None,
) -> None:
    """logits (N, V), target (N,), weight (V,) -> losses (N,), grad (N, V) of scale * sum(loss)."""
    real, kernel = _VERSIONS[logits.itemsize]
    check(
        kernel(
            address(real, logits),
            address(INT64, target),
            NULL if weight is None else address(real, weight),
            *options,
            address(real, losses),
            NULL if grad is None else address(real, grad),
            *logits.shape,
        )
    )
