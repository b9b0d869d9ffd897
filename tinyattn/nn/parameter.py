"""A tensor that a module learns: assigned to an attribute of a module, it is registered there."""

from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.dtypes import float32
from tinyattn.autograd.function import requires_grad_
from tinyattn.autograd.storage import results
from tinyattn.ops.creation import empty


class Parameter(Tensor):
    """`data` seen as a leaf that needs a gradient; the memory is shared, the history is not."""

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = results.wrap(np.empty(0, float32))
        if not isinstance(data, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(data).__name__}")
        self._array = data._array
        self._storage = data._storage
        self._since = data._storage.version
        requires_grad_(self, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        copy = type(self)(results.wrap(self._array.copy()), self._edge is not None)
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), np.array(self._array), self._edge is not None)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def _rebuild(cls: type[Parameter], array: np.ndarray, requires_grad: bool) -> Parameter:
    return cls(results.wrap(array), requires_grad)


def unset(*shape: int, dtype: Any = None) -> Parameter:
    """A parameter of that shape, float32 unless told, whose values are still to be drawn."""
    return Parameter(empty(shape, dtype=dtype))
