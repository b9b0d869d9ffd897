"""From a list of samples to a batch: `default_collate`; arrays to tensors: `default_convert`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.ops.creation import as_tensor, tensor
from tinyattn.ops.shape import stack


def default_collate(batch: Sequence[Any]) -> Any:
    """The samples of a batch as one: B tensors of shape (*) become one of shape (B, *).

    Numbers become a tensor (B,): float64, int64 or bool. NumPy arrays are tensors here. Of tuples,
    lists and dicts the parts are put together one by one: B pairs become a list of two batches. The
    text of B samples stays a list.

    Raises TypeError for samples of another type, RuntimeError for samples of different sizes.

    >>> from tinyattn.utils.data import default_collate
    >>> default_collate([{"x": ta.zeros(2), "y": 1}, {"x": ta.ones(2), "y": 0}])
    {'x': tensor([[0., 0.],
            [1., 1.]]), 'y': tensor([1, 0])}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray):
        return stack([as_tensor(array) for array in batch])
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, (float, np.generic)) and not isinstance(first, (str, bytes)):
        return tensor(np.array(batch))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        parts = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return _like(first, parts, parts)
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError(
                "default_collate: each sample of a batch should have equal size, got sizes "
                f"{[len(sample) for sample in batch]}"
            )
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return _like(first, columns, columns)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first).__name__}"
    )


def default_convert(data: Any) -> Any:
    """data with tensors in place of NumPy arrays, also inside of lists, dicts and tuples, which
    become lists."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "fiub":
        return as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        parts = {key: default_convert(value) for key, value in data.items()}
        return _like(data, parts, data)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        items = [default_convert(item) for item in data]
        return _like(data, items, items)
    return data


def _like(sample: Any, parts: Any, otherwise: Any) -> Any:
    """The parts in a container of the class of sample, but in a list for a tuple, as in PyTorch;
    `otherwise` where that class can't be made so."""
    if hasattr(sample, "_fields"):
        return type(sample)(*parts)
    if isinstance(sample, tuple):
        return parts
    make: Callable[[Any], Any] = type(sample)
    try:
        return make(parts)
    except TypeError:  # of the class, say, range
        return otherwise
