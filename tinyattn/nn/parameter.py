"""Parameter: a tensor that a module learns. Assigned to an attribute of a module, it is found by
`module.parameters()`.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd import copying
from tinyattn.autograd.devices import Device
from tinyattn.autograd.dtypes import float32
from tinyattn.autograd.storage import requires_grad_, results
from tinyattn.ops.creation import empty


class Parameter(Tensor):
    """A leaf tensor on the memory of `data`, by default with a gradient.

    `data` None gives an empty parameter. Anything but a Tensor raises TypeError.

    >>> nn.Parameter(ta.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = results.wrap(np.empty(0, float32))
        if not isinstance(data, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(data).__name__}")
        self._array = data._array
        self._storage = data._storage
        self._since = data._storage.version
        requires_grad_(self, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A parameter of its own, without the gradient: a copied model starts without any."""
        twin: Any = copying.deepcopy(self, memo)
        twin.grad = None
        return twin

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def unset(*shape: int, device: Device = None, dtype: DTypeLike | None = None) -> Parameter:
    """A parameter of that shape whose values are not set yet; float32 if dtype is None."""
    return Parameter(empty(shape, device=device, dtype=dtype))
