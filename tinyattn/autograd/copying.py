"""Copies of tensors: `copy.copy`, `copy.deepcopy` and `pickle`, as methods of class Tensor.

A copy of a leaf is a leaf of its own: its gradient never reaches the original. Packed copies
(`Storage.packings`) stay behind, and so do hooks.
"""

from copy import deepcopy as copied
from typing import Any

import numpy as np

from tinyattn.autograd.storage import Leaf, Storage, Tensor, TensorBase, edge_now, requires_grad_
from tinyattn.kernels._types import Array

_OWN = frozenset({"_array", "_storage", "_edge", "_base", "_since", "_grad", "_retained"})


def copy(self: Tensor) -> Tensor:
    """Another tensor on the same memory, at the same place in the graph."""
    twin = _leaf(type(self), self._array, self._storage, self.is_leaf and self.requires_grad)
    if not self.is_leaf:
        twin._edge, twin._base, twin._since = self._edge, self._base, self._since
    vars(twin).update(_others(self))
    return twin


def deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A tensor with memory of its own; views that are copied together share their new memory.

    Raises RuntimeError for a tensor that is not a leaf.
    """
    edge = edge_now(self)
    if edge is not None and type(edge[0]) is not Leaf:
        raise RuntimeError(
            "deepcopy: expected a leaf tensor, got the result of "
            f"{type(edge[0]).__name__}; copy its detach() instead"
        )
    array, storage = _copied_memory(self, memo)
    twin = memo[id(self)] = _leaf(type(self), array, storage, self.requires_grad)
    twin.grad = copied(self.grad, memo)
    vars(twin).update(copied(_others(self), memo))
    return twin


def reduce(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    """For pickle: the tensor by value, as a leaf, without its `.grad`."""
    array = np.array(self._array, order="C")
    return _rebuilt, (type(self), array, self.requires_grad, _others(self))


def _rebuilt(cls: Any, array: Array, requires_grad: bool, others: dict[str, Any]) -> Tensor:
    twin = _leaf(cls, array, Storage(), requires_grad)
    vars(twin).update(others)
    return twin


def _leaf(cls: Any, array: Array, storage: Storage, requires_grad: bool) -> Any:
    twin = cls.__new__(cls)
    twin._array, twin._storage, twin._since = array, storage, storage.version
    requires_grad_(twin, requires_grad)
    return twin


def _others(tensor: Tensor) -> dict[str, Any]:
    """The attributes that users, or a subclass, have added."""
    return {name: value for name, value in vars(tensor).items() if name not in _OWN}


def _copied_memory(tensor: TensorBase, memo: dict[int, Any]) -> tuple[Array, Storage]:
    """A copy of the tensor's array. Where the tensor is a view, or a view of it was copied before,
    the result is the same view of the copied whole."""
    array = tensor._array
    whole = array if tensor._base is None else tensor._base._array
    if not (array.size and whole.flags.forc and _holds(whole, array)):
        return np.array(array), Storage()
    pairs = memo.setdefault(id(tensor._storage), [])
    found = [(old, new, storage) for old, new, storage in pairs if _holds(old, array)]
    if not found:
        found = [(whole, whole.copy(order="K"), Storage())]
        pairs += found
    old, new, storage = found[0]
    offset = _address(array) - _address(old)
    return np.ndarray(array.shape, array.dtype, new, offset, array.strides), storage


def _holds(whole: Array, array: Array) -> bool:
    """Whether the memory of `array` lies inside that of `whole`."""
    low, high = np.lib.array_utils.byte_bounds(whole)
    first, last = np.lib.array_utils.byte_bounds(array)
    return low <= first and last <= high


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]
