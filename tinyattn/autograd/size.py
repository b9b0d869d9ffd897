"""Size: what `Tensor.shape` gives, a tuple of ints that also has `numel()`."""

import math
from typing import Any, SupportsIndex


class Size(tuple[int, ...]):
    """The sizes of all dimensions: a tuple. What is sliced from it or added to it is a Size, too.

    >>> ta.zeros(2, 3, 4).shape
    (2, 3, 4)
    >>> ta.zeros(2, 3, 4).shape[1:].numel()
    12
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape: the product of the sizes."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple[int, ...]) -> "Size":
        return Size(other + tuple(self))

    def __mul__(self, times: SupportsIndex) -> "Size":
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__
