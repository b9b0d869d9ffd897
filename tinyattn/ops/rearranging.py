"""repeat_interleave, meshgrid, hstack and other names, by the operations of ops/shape.py and
ops/indexing.py.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from tinyattn.autograd.dtypes import Number
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.copies import constant, write
from tinyattn.kernels.sums import sum_over
from tinyattn.ops._arguments import as_axes, as_axis, as_int, as_size, as_tensor
from tinyattn.ops.elementwise import clamp, clone, elementwise
from tinyattn.ops.indexing import index_select
from tinyattn.ops.products import Diagonal
from tinyattn.ops.shape import Size, cat, expand, permute, repeat, reshape, several, transpose


class Interleave(Function):
    """y[i k + r] = x[i] for every r < k, so  dx[i] = sum_r dy[i k + r]."""

    fresh = True

    def forward(self, x: Array, times: int, axis: int) -> Array:
        self.shape, self.axis = x.shape, axis
        before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        y = empty((*before, n * times, *after), x.dtype)
        self.apart = (*before, n, times, *after)
        write(y.reshape(self.apart), x.reshape(*before, n, 1, *after))
        return y

    def backward(self, grad: Array) -> Array:
        return sum_over(grad.reshape(self.apart), (self.axis + 1,))


def repeat_interleave(
    input: Tensor,
    repeats: int | Tensor | None = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Each element, or each slice along dim, several times in a row. Without dim, input is
    flattened first.

    repeats: one number, or a tensor (N,) with a number for each slice. Without it, input (N,) are
    the repeats, of the numbers 0 to N - 1. output_size: the length that results; it need not be
    given.

    >>> ta.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        if as_tensor(input, "input")._array.ndim != 1 or dim is not None:
            raise RuntimeError(
                "repeat_interleave: repeats: may be left out for an input (N,) without dim only"
            )
        input, repeats = results.wrap(np.arange(input._array.size)), input
    if dim is not None and not as_tensor(input, "input")._array.ndim:
        raise IndexError(f"repeat_interleave: dim: a 0-d input has no dimension, got {dim}")
    x = reshape(as_tensor(input, "input"), (-1,)) if dim is None else input
    axis = as_axis(dim or 0, x._array.ndim)
    times = repeats._array if isinstance(repeats, TensorBase) else as_int(repeats, "repeats")
    if not isinstance(times, np.ndarray) and output_size is None and times >= 0:
        return Interleave.apply(x, times, axis)
    if isinstance(times, np.ndarray) and times.dtype.kind != "i":
        raise RuntimeError(f"repeat_interleave: repeats: expected integers, got {times.dtype}")
    if np.any(np.asarray(times) < 0):
        raise RuntimeError(f"repeat_interleave: repeats: expected numbers >= 0, got {repeats}")
    n = x._array.shape[axis]
    if np.ndim(times) > 1 or np.size(times) not in (1, n):
        raise RuntimeError(f"repeat_interleave: repeats: expected one number or {n} of them")
    index = np.repeat(np.arange(n), times)
    if output_size not in (None, len(index)):
        raise RuntimeError(
            f"repeat_interleave: output_size: the result has {len(index)}, got {output_size}"
        )
    return index_select(x, axis, results.wrap(index))


def meshgrid(
    *tensors: Tensor | Sequence[Tensor], indexing: str | None = None
) -> tuple[Tensor, ...]:
    """The coordinates of a grid: for each of the tensors (N_k,) one of the shape of the whole grid.

    indexing: "ij" gives the shape (N_0, N_1, ...), "xy" exchanges the first two. Without it, it is
    "ij", and a warning asks for it, as in PyTorch.

    >>> ta.meshgrid(ta.tensor([1, 2]), ta.tensor([5, 6, 7]), indexing="ij")[1]
    tensor([[5, 6, 7],
            [5, 6, 7]])
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    lines = [reshape(as_tensor(t, "tensors"), (-1,)) for t in given]
    if not lines or any(as_tensor(t, "tensors")._array.ndim > 1 for t in given):
        raise RuntimeError("meshgrid: tensors: expected at least one, each of shape (N,)")
    if indexing is None:
        warnings.warn(
            "meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing: expected "ij" or "xy", got {indexing!r}')
    axes = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        axes[:2] = 1, 0
    shape = [0] * len(lines)
    for line, axis in zip(lines, axes, strict=True):
        shape[axis] = line._array.size
    wide = [
        reshape(line, [-1 if i == axis else 1 for i in range(len(lines))])
        for line, axis in zip(lines, axes, strict=True)
    ]
    return tuple(expand(line, shape) for line in wide)


def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Another name of `cat`."""
    return cat(tensors, dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: joined along dimension 1, or 0 if they have one dimension or none."""
    given, _ = several("hstack", tensors)
    parts = [reshape(tensor, (1,)) if not tensor._array.ndim else tensor for tensor in given]
    return cat(parts, 0 if parts[0]._array.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other: joined along dimension 0; (N,) counts as a row (1, N)."""
    given, _ = several("vstack", tensors)
    rows = [t if t._array.ndim > 1 else reshape(t, (1, t._array.size)) for t in given]
    return cat(rows, 0)


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Another name of `transpose`."""
    return transpose(input, axis0, axis1)


def clip(
    input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None
) -> Tensor:
    """Another name of `clamp`."""
    return clamp(input, min, max)


class NanToNum(Function):
    """y = x, with other numbers in place of NaN, infinity and -infinity;   dx = dy where x is
    finite, else 0."""

    kernels_only = True
    fresh = True

    def forward(self, x: Array, nan: float, high: float, low: float) -> Array:
        self.save(x=x)
        return elementwise("nan_to_num", x, constant(nan, x.dtype), p=high, q=low)

    def backward(self, grad: Array) -> Array:
        return elementwise("nan_to_num_backward", grad, self.saved["x"])


def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input with numbers in place of NaN and of the infinities, by default 0 and the largest and
    smallest numbers of the dtype. What is replaced gets no gradient.

    >>> ta.nan_to_num(ta.tensor([float("nan"), 1.0]))
    tensor([0., 1.])
    """
    x = as_tensor(input, "input")
    array = x._array
    if array.dtype.kind != "f":
        return clone(x)
    limits = np.finfo(array.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    return NanToNum.apply(x, float(nan), float(high), float(low))


def tile(input: Tensor, dims: Size, *more: int) -> Tensor:
    """input several times over along every dimension: `repeat`, but fewer numbers than dimensions
    count for the last ones.

    >>> ta.tensor([[1, 2], [3, 4]]).tile(2)
    tensor([[1, 2, 1, 2],
            [3, 4, 3, 4]])
    """
    times = as_size((dims, *more), "dims")
    ones = (1,) * (as_tensor(input, "input")._array.ndim - len(times))
    return repeat(input, (*ones, *times))


def movedim(input: Tensor, source: Size, destination: Size) -> Tensor:
    """A view in which the dimensions `source` stand at the places `destination`; the others keep
    their order.

    >>> ta.zeros(2, 3, 4).movedim(0, -1).shape
    (3, 4, 2)
    """
    ndim = as_tensor(input, "input")._array.ndim
    from_, to = as_size((source,), "source"), as_size((destination,), "destination")
    if len(from_) != len(to):
        raise RuntimeError(
            f"movedim: expected as many destinations as sources, got {list(from_)} and {list(to)}"
        )
    places = dict(
        zip(as_axes(to, ndim, "destination"), as_axes(from_, ndim, "source"), strict=True)
    )
    others = iter([axis for axis in range(ndim) if axis not in places.values()])
    return permute(input, [places[i] if i in places else next(others) for i in range(ndim)])


def moveaxis(input: Tensor, source: Size, destination: Size) -> Tensor:
    """Another name of `movedim`."""
    return movedim(input, source, destination)


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix (N, M), without axes.

    >>> ta.trace(ta.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if as_tensor(input, "input")._array.ndim != 2:
        raise RuntimeError(
            f"trace: expected a matrix, got a tensor of shape {list(input._array.shape)}"
        )
    return Diagonal.apply(input).sum()
