"""Gradient clipping for training loops; all parameters as one vector. Sequences of unequal length
are in rnn.py, pruning is in prune.py, weight normalisation in weight_norm.py.

Look first at `clip_grad_norm_`.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.modes import no_grad
from tinyattn.autograd.storage import results
from tinyattn.compat.deprecated import renamed
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import repeated
from tinyattn.nn.utils import prune, rnn
from tinyattn.nn.utils.weight_norm import remove_weight_norm, weight_norm
from tinyattn.ops.shape import cat

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "prune",
    "remove_weight_norm",
    "rnn",
    "vector_to_parameters",
    "weight_norm",
]


@repeated
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients, in place and by one factor, so that their total norm is at most
    max_norm. Returns the total norm before (Pascanu et al. 2013, arXiv:1211.5063).

    The total norm is that of all gradients as one vector, of order norm_type (math.inf: the largest
    absolute value). error_if_nonfinite: if it is not finite, raise RuntimeError and change
    nothing. Parameters without a gradient are skipped. An iterator that gives no parameter raises
    ValueError: it was probably used up before.

    >>> model = nn.Linear(3, 1)
    >>> model(ta.ones(1, 3)).backward()
    >>> nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0).item()
    2.0
    >>> round(model.weight.grad.norm().item() ** 2 + model.bias.grad.norm().item() ** 2, 4)
    1.0
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
    if not factor >= 1:  # true for NaN, too: then every gradient becomes NaN, as in PyTorch
        for arrays in groups:
            backend().scale(arrays, factor)
        for grad in grads:
            grad._storage.changed("clip_grad_norm_")
    return results.wrap(grads[0]._array.dtype.type(norm))


clip_grad_norm = renamed("clip_grad_norm", clip_grad_norm_, "nn.utils")  # its older name


@repeated
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clamp every element of every gradient to [-clip_value, clip_value], in place.

    Parameters without a gradient are skipped. An iterator that gives no parameter raises
    ValueError: it was probably used up before.
    """
    clip_value = float(clip_value)
    for grad in _gradients(parameters):
        np.clip(grad._array, -clip_value, clip_value, out=grad._array)
        grad._storage.changed("clip_grad_value_")


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one vector (N,), one behind the other.

    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    return cat([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the numbers of the vector (N,) into the parameters, in the order of
    `parameters_to_vector`. ValueError, with nothing written, if there are not N of them."""
    params = list(parameters)
    sizes = [param.numel() for param in params]
    if not isinstance(vec, Tensor) or tuple(vec.shape) != (sum(sizes),):
        got = list(vec.shape) if isinstance(vec, Tensor) else type(vec).__name__
        raise ValueError(f"vec: expected a tensor of shape [{sum(sizes)}], got {got}")
    with no_grad():
        for param, part in zip(params, vec.split(sizes), strict=True):
            param.copy_(part.reshape(param.shape))


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The gradients there are; errors name the argument."""
    if not isinstance(parameters, (Tensor, Iterable)):
        got = type(parameters).__name__
        raise TypeError(f"parameters: expected a Tensor or an iterable of Tensors, got {got}")
    params = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not params and isinstance(parameters, Iterator):
        raise ValueError(
            "parameters: expected at least one from an iterator, got none; it may have been used "
            "up before: call model.parameters() again or pass a list"
        )
    for i, param in enumerate(params):
        if not isinstance(param, Tensor):
            raise TypeError(f"parameters[{i}]: expected a Tensor, got {type(param).__name__}")
    return [param.grad for param in params if param.grad is not None]


def _by_dtype(tensors: list[Tensor]) -> list[list[Array]]:
    groups: dict[np.dtype, list[Array]] = {}
    for tensor in tensors:
        groups.setdefault(tensor._array.dtype, []).append(tensor._array)
    return list(groups.values())


def _total_norm(groups: list[list[Array]], norm_type: float) -> float:
    """(sum |g|^p)^(1/p) over all elements of all gradients; the largest for p = infinity."""
    if norm_type == 2:
        return math.hypot(*(backend().global_norm(arrays) for arrays in groups))
    flat = [array.ravel() for arrays in groups for array in arrays]
    return float(np.linalg.norm(np.concatenate(flat, dtype=np.float64), norm_type))
