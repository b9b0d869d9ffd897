"""Data sets: what has items by number (`Dataset`), or gives them one by one (`IterableDataset`).

Look first at Dataset, then at TensorDataset.
"""

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Generic, TypeVar

from tinyattn._tensor import Tensor
from tinyattn.utils.data.sampler import permutation

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Items by number: a subclass defines `__getitem__(index)` and `__len__()`. `a + b` is both,
    one after the other.

    A method `__getitems__(indices)` may give the items of a whole batch at once.

    >>> from tinyattn.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index**2
    ...     def __len__(self):
    ...         return 10
    >>> len(Squares() + Squares())
    20
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} should implement __getitem__")

    def __add__(self, other: "Dataset[Any]") -> "ConcatDataset[Any]":
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Items one by one, from a stream: a subclass defines `__iter__()`. It can't be shuffled.

    In a DataLoader with workers, each of them reads the whole stream, unless `__iter__` takes only
    the part of this worker: see `get_worker_info`.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} should implement __iter__")

    def __add__(self, other: Dataset[Any]) -> "ConcatDataset[Any]":
        raise TypeError("data sets that are streams can't be added; use itertools.chain")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of the same first size N: item i is the tuple of their rows i.

    Raises ValueError where the first sizes differ.

    >>> from tinyattn.utils.data import TensorDataset
    >>> TensorDataset(ta.tensor([[1, 2], [3, 4]]), ta.tensor([5, 6]))[1]
    (tensor([3, 4]), tensor(6))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"tensors: expected Tensors, got {type(tensor).__name__}")
        if not tensors or len({tensor.size(0) for tensor in tensors}) > 1:
            shapes = [list(tensor.shape) for tensor in tensors]
            raise ValueError(f"tensors: expected the same first size for all, got shapes {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class Subset(Dataset[T_co]):
    """The items of a data set at `indices`: item i is dataset[indices[i]]."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Several data sets, one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets: expected at least one data set")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError("datasets: expected data sets with items by number, got a stream")
        self.cumulative_sizes = list(accumulate(size_of(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> T_co:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} items")
        index %= len(self)
        number = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def size_of(dataset: Any) -> int:
    """len(dataset); TypeError, naming its class, where it has none."""
    try:
        return len(dataset)
    except TypeError:
        raise TypeError(f"{type(dataset).__name__} should implement __len__") from None


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[float], generator: Any = None
) -> list[Subset[T_co]]:
    """Parts of a data set, drawn at random; no item is in two of them.

    lengths: the sizes of the parts, whose sum is the size of the data set, or fractions, whose sum
        is 1. Fractions are rounded down, and the items that are left go to the first parts in turn.
    generator: where the random numbers come from; by default the common generator.

    Raises ValueError where the lengths don't fit.

    >>> from tinyattn.utils.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    size = size_of(dataset)
    if sum(lengths) <= 1 and math.isclose(sum(lengths), 1):
        if not all(0 <= fraction <= 1 for fraction in lengths):
            raise ValueError(f"lengths: expected fractions from 0 to 1, got {list(lengths)}")
        sizes = [math.floor(size * fraction) for fraction in lengths]
        for i in range(size - sum(sizes)):
            sizes[i % len(sizes)] += 1
        if 0 in sizes:
            warnings.warn(
                f"lengths: part {sizes.index(0)} is empty: {lengths[sizes.index(0)]} of {size}",
                stacklevel=2,
            )
    else:
        sizes = [int(length) for length in lengths]
        if sum(sizes) != size or sizes != list(lengths) or min(sizes) < 0:
            raise ValueError(
                f"lengths: expected sizes with the sum {size}, or fractions with the sum 1, got "
                f"{list(lengths)}"
            )
    indices = permutation(size, generator)
    return [Subset(dataset, indices[i:j]) for i, j in pairwise(accumulate(sizes, initial=0))]
