"""Helpers of a training loop: gradient clipping here, sequences of unequal length in rnn.py."""

import math
from collections.abc import Iterable

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.kernels import backend
from tinyattn.nn.utils import rnn

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients, in place, so that their common norm is at most max_norm.

    Returns the norm before; Pascanu et al. 2013.
    """
    max_norm, norm_type = float(max_norm), float(norm_type)
    grads = _gradients(parameters)
    if not grads:
        return results.wrap(np.float32(0))
    groups = _by_dtype(grads)
    norm = _total_norm(groups, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite "
            f"({norm}), so it cannot be clipped"
        )
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # a norm that is NaN shows in every gradient, as in PyTorch
        for arrays in groups:
            backend().scale(arrays, factor)
        for grad in grads:
            grad._storage.changed("clip_grad_norm_")
    return results.wrap(grads[0]._array.dtype.type(norm))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clamp every element of every gradient to [-clip_value, clip_value], in place."""
    clip_value = float(clip_value)
    for grad in _gradients(parameters):
        np.clip(grad._array, -clip_value, clip_value, out=grad._array)
        grad._storage.changed("clip_grad_value_")


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else parameters
    return [param.grad for param in params if param.grad is not None]


def _by_dtype(tensors: list[Tensor]) -> list[list[np.ndarray]]:
    groups: dict[np.dtype, list[np.ndarray]] = {}
    for tensor in tensors:
        groups.setdefault(tensor._array.dtype, []).append(tensor._array)
    return list(groups.values())


def _total_norm(groups: list[list[np.ndarray]], norm_type: float) -> float:
    """(sum |g|^p)^(1/p) over all elements of all gradients; the largest for p = infinity."""
    if norm_type == 2:
        return math.hypot(*(backend().global_norm(arrays) for arrays in groups))
    flat = [array.ravel() for arrays in groups for array in arrays]
    return float(np.linalg.norm(np.concatenate(flat), norm_type))
