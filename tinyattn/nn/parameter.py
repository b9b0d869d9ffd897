"""A tensor that a module learns: assigned to an attribute of a module, it is registered there."""

from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.dtypes import float32
from tinyattn.autograd.storage import requires_grad_, results
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

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def unset(*shape: int, dtype: Any = None) -> Parameter:
    """A parameter of that shape, float32 unless told, whose values are still to be drawn."""
    return Parameter(empty(shape, dtype=dtype))
