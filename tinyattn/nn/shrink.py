"""Structured pruning that makes a model smaller and faster in fact: whole hidden units and whole
heads go, and the weights become smaller matrices. utils/prune.py, in contrast, sets single weights
to 0, and the matrices keep their size.

A unit (or a head) is removed where its contribution to the output is small: the norm of what
leads into it times the norm of what leads out of it. Train on afterwards, with a new optimiser, so
that the others make up for it. Look first at `hidden_units`.
"""

from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array
from tinyattn.nn.attention import MultiheadAttention
from tinyattn.nn.linear import Linear
from tinyattn.nn.parameter import Parameter
from tinyattn.nn.rnn import RNNBase
from tinyattn.ops.creation import from_numpy

__all__ = ["heads", "hidden_units"]


def hidden_units(
    first: "Linear | RNNBase[Any]",
    second: Linear,
    amount: float,
    importance: Tensor | None = None,
) -> Tensor:
    """Remove hidden units between two layers, in place: outputs of `first`, which are the inputs of
    `second`. Returns the indices of the units that stay.

    first: a Linear, or a GRU, LSTM or RNN of one layer in one direction. Between the two layers
    there may be anything that treats each unit alone, such as ReLU and dropout. amount: a share
    from 0.0 to below 1.0, or a number of units as an int; one unit has to stay. importance (H,):
    the units with the smallest values go; unless given, a value is the norm of the unit's weights
    in `first` times that of its weights in `second` (as Li et al. 2017, arXiv:1608.08710, rank
    filters).

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> nn.shrink.hidden_units(model[0], model[2], amount=0.75).shape
    (2,)
    >>> model
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): ReLU()
      (2): Linear(in_features=2, out_features=2, bias=True)
    )
    """
    if not isinstance(second, Linear):
        raise TypeError(f"second: expected a Linear, got {type(second).__name__}")
    if isinstance(first, RNNBase):
        if first.num_layers != 1 or first.bidirectional or first.proj_size:
            raise ValueError(
                f"first: expected one layer, one direction and no projection, got {first}"
            )
        H, into = first.hidden_size, ["weight_ih_l0", "weight_hh_l0"]
        rows = [*into, "bias_ih_l0", "bias_hh_l0"][: 4 if first.bias else 2]
    elif isinstance(first, Linear):
        H, into = first.out_features, ["weight"]
        rows = ["weight", "bias"][: 1 if first.bias is None else 2]
    else:
        raise TypeError(f"first: expected a Linear, GRU, LSTM or RNN, got {type(first).__name__}")
    if second.in_features != H:
        raise ValueError(
            f"second: expected in_features = {H}, the units of first, got {second.in_features}"
        )
    weights = [_array(first, name) for name in into]
    squares = sum(np.square(w.reshape(-1, H, w.shape[1])).sum((0, 2)) for w in weights)
    out = np.square(_array(second, "weight")).sum(0)
    kept = _kept(np.sqrt(squares * out), amount, importance)
    for name in rows:
        array = _array(first, name)
        gates = array.reshape(-1, H, *array.shape[1:])[:, kept]
        _set(first, name, gates.reshape(-1, *array.shape[1:]))
    if isinstance(first, RNNBase):
        _set(first, "weight_hh_l0", _array(first, "weight_hh_l0")[:, kept])
        first.hidden_size = len(kept)
        first._widths = (len(kept),) * len(first._widths)
    else:
        first.out_features = len(kept)
    _set(second, "weight", _array(second, "weight")[:, kept])
    second.in_features = len(kept)
    return from_numpy(kept)


def heads(attention: MultiheadAttention, amount: float, importance: Tensor | None = None) -> Tensor:
    """Remove heads of a MultiheadAttention, in place. Returns the indices of those that stay.

    Input and output keep their width E, and each head its width D; with h' heads left, the
    projections have h' D features instead of E. amount: a share from 0.0 to below 1.0, or a number
    of heads as an int; one has to stay. importance (h,): the heads with the smallest values go;
    unless given, a value is the norm of the head's part of the value projection times that of its
    part of out_proj (Michel, Levy and Neubig 2019, arXiv:1905.10650, on how few heads suffice).

    >>> attention = nn.MultiheadAttention(embed_dim=8, num_heads=4)
    >>> nn.shrink.heads(attention, amount=3, importance=ta.tensor([1.0, 0.0, 3.0, 2.0]))
    tensor([2])
    >>> attention.in_proj_weight.shape, attention.out_proj.weight.shape
    ((6, 8), (8, 2))
    """
    if not isinstance(attention, MultiheadAttention):
        raise TypeError(f"attention: expected a MultiheadAttention, got {type(attention).__name__}")
    h, D, out = attention.num_heads, attention.head_dim, attention.out_proj
    joint = attention.in_proj_weight is not None
    values = _array(attention, "in_proj_weight" if joint else "v_proj_weight")[-h * D :]
    leading = np.square(values).reshape(h, -1).sum(1)
    leaving = np.square(_array(out, "weight")).reshape(-1, h, D).sum((0, 2))
    kept = _kept(np.sqrt(leading * leaving), amount, importance)
    for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
        if getattr(attention, name) is not None:
            array = _array(attention, name)
            _set(attention, name, _some_heads(array, D, h, kept))
    if attention.in_proj_bias is not None:
        bias = _array(attention, "in_proj_bias")
        _set(attention, "in_proj_bias", _some_heads(bias, D, h, kept))
    for name in ("bias_k", "bias_v"):
        if getattr(attention, name) is not None:
            part = _array(attention, name).reshape(1, 1, h, D)[:, :, kept]
            _set(attention, name, part.reshape(1, 1, -1))
    columns = _array(out, "weight").reshape(-1, h, D)[:, kept]
    _set(out, "weight", columns.reshape(len(columns), -1))
    out.in_features = len(kept) * D
    attention.num_heads = len(kept)
    return from_numpy(kept)


def _some_heads(x: Array, D: int, h: int, kept: Array) -> Array:
    """The rows of x, (parts h D, ...), that belong to the heads `kept`."""
    return x.reshape(-1, h, D, *x.shape[1:])[:, kept].reshape(-1, *x.shape[1:])


def _kept(values: Array, amount: float, importance: Tensor | None) -> Array:
    """The places of the largest values, in order: all but so many as amount says."""
    n = len(values)
    if importance is not None:
        if not isinstance(importance, Tensor) or importance.shape != (n,):
            got = getattr(importance, "shape", type(importance).__name__)
            raise ValueError(f"importance: expected a tensor of shape {(n,)}, got {got}")
        values = importance._array
    if not np.isfinite(values).all():
        raise ValueError("importance: expected finite numbers, got NaN or infinity")
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"amount: expected a float or an int, got {type(amount).__name__}")
    count = amount if isinstance(amount, int) else round(amount * n) if 0 <= amount < 1 else -1
    if not 0 <= count < n:
        raise ValueError(
            f"amount: expected a share from 0.0 to below 1.0 or a number from 0 to {n - 1}, so "
            f"that one of {n} stays, got {amount}"
        )
    return np.sort(np.argsort(values, kind="stable")[count:])


def _array(module: Any, name: str) -> Array:
    param = getattr(module, name)
    if not isinstance(param, Parameter):
        raise ValueError(
            f"{name} of {type(module).__name__}: expected a parameter; if it is pruned, call "
            "nn.utils.prune.remove first"
        )
    return param._array


def _set(module: Any, name: str, array: Array) -> None:
    """Give a parameter new values of another shape; it stays the same object."""
    param: Parameter = getattr(module, name)
    param.data = results.wrap(np.ascontiguousarray(array))
    param.grad = None
