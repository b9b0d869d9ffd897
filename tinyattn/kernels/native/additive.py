"""Additive attention scores and their gradient, native/additive.c."""

from tinyattn.kernels._types import Array
from tinyattn.kernels.native import check
from tinyattn.kernels.native.calling import address, by_size

_VERSIONS = by_size("additive", "additive_backward")


def additive(q: Array, k: Array, v: Array, out: Array) -> None:
    """q (B, Tq, H), k (B, Tk, H), v (H,) -> out (B, Tq, Tk)."""
    real, kernel, _ = _VERSIONS[q.itemsize]
    inputs = address(real, q), address(real, k), address(real, v)
    check(kernel(*inputs, address(real, out), *out.shape, len(v)))


def additive_backward(
    grad: Array, q: Array, k: Array, v: Array, dq: Array, dk: Array, dv: Array
) -> None:
    """grad (B, Tq, Tk), q (B, Tq, H), k (B, Tk, H), v (H,) -> dq, dk, dv of their shapes."""
    real, _, kernel = _VERSIONS[q.itemsize]
    inputs = address(real, grad), address(real, q), address(real, k), address(real, v)
    outputs = address(real, dq), address(real, dk), address(real, dv)
    check(kernel(*inputs, *outputs, *grad.shape, len(v)))
