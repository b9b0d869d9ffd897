"""Writing and adding elements at the places that an integer tensor lists: scatter, index_add, ...

Read Scatter and ScatterAdd: the others are calls of these two. They undo `gather` and
`index_select` of ops/indexing.py.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.devices import Device, check_device
from tinyattn.autograd.dtypes import Number, as_dtype, check_range
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.kernels import Backend, backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.contract import check_indices
from tinyattn.kernels.copies import copied, full, write
from tinyattn.ops._arguments import as_axis, as_int, as_number, as_tensor
from tinyattn.ops._in_place import in_place
from tinyattn.ops.creation import zeros_like
from tinyattn.ops.elementwise import mul
from tinyattn.ops.indexing import (
    added_up,
    along,
    as_index,
    check_in_replays,
    first_outside,
    folded,
    gathered,
    getitem,
    masked_fill,
    numbers_in,
    put_along,
    rows_at,
)
from tinyattn.ops.products import Diagonal, DiagonalMatrix
from tinyattn.ops.shape import expand, reshape


def _window(source: Array | Number, index: Array) -> Array | Number:
    """The part of the source that index has elements for."""
    if not isinstance(source, np.ndarray) or not source.ndim or source.shape == index.shape:
        return source
    return source[tuple(map(slice, index.shape))]


def _read(grad: Array, index: Array, axis: int, shape: tuple[int, ...], kernels: Backend) -> Array:
    """The gradient of a source of that shape: grad at the places that index names."""
    read = gathered(grad, index, axis, kernels)
    if index.shape == shape:
        return read
    ds = full(shape, 0, grad.dtype)
    write(ds, read, tuple(map(slice, index.shape)))
    return ds


class Scatter(Function):
    """y = x, but y[index[i, k], k] = s[i, k].

    dx = dy, with 0 at the places that were written;   ds[i, k] = dy[index[i, k], k]. Where index
    names a place twice, the last value stays; both get its gradient.
    """

    fresh = True
    inherits = True

    def forward(self, x: Array, index: Array, source: Array | Number, axis: int) -> Array:
        self.kernels, self.axis, self.shape = backend(), axis, np.shape(source)
        self.save(index=index)
        y = copied(x)
        put_along(y, index, axis, _window(source, index), self.kernels)
        return y

    def backward(self, grad: Array) -> tuple[Array, None, Array | None]:
        index, dx, ds = self.saved["index"], self.own(grad), None
        if self.shape and self.needs(2):
            ds = _read(dx, index, self.axis, self.shape, self.kernels)
        put_along(dx, index, self.axis, 0, self.kernels)
        return dx, None, ds


class ScatterAdd(Function):
    """y = x, plus s[i, k] at y[index[i, k], k];   dx = dy,  ds[i, k] = dy[index[i, k], k]."""

    fresh = True
    inherits = True

    def forward(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        self.kernels, self.axis, self.shape = backend(), axis, source.shape
        self.save(index=index)
        part: Any = _window(source, index)
        if x.dtype.kind == "f":
            return added_up(part, index, axis, x.shape, self.kernels, onto=x)
        y = np.array(x, order="C")
        if index.size:
            where = index.astype(np.int64, copy=False)
            check_indices("scatter_add", "index", where, y.shape[axis])
            grid: list[Any] = list(np.ogrid[tuple(map(slice, index.shape))])
            grid[axis] = where
            np.add.at(y, tuple(grid), part)
        return y

    def backward(self, grad: Array) -> tuple[Array, None, Array | None]:
        ds = None
        if self.needs(2):
            ds = _read(grad, self.saved["index"], self.axis, self.shape, self.kernels)
        return self.own(grad), None, ds


class IndexAdd(Function):
    """y = x, plus s[i] at y[index[i]] along an axis;   dx = dy,  ds[i] = dy[index[i]]."""

    fresh = True
    inherits = True

    def forward(self, x: Array, index: Array, source: Array, axis: int) -> Array:
        self.kernels, self.axis = backend(), axis
        self.save(index=index)
        A, n, C = folded(x.shape, axis)
        places = along(index, 0).reshape(1, -1, 1)
        rows, base = source.reshape(A, places.size, C), x.reshape(A, n, C)
        return self.kernels.scatter_add(rows, places, n, base).reshape(x.shape)

    def backward(self, grad: Array) -> tuple[Array, None, Array | None]:
        ds = None
        if self.needs(2):
            ds = rows_at(grad, self.saved["index"].reshape(-1), self.axis, self.kernels)
        return self.own(grad), None, ds


def _checked(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None) -> int:
    """The axis, after the checks that scatter and scatter_add share."""
    array, where = as_tensor(input, "input")._array, as_index(index, name)
    axis = as_axis(dim, array.ndim)
    of_source = array if source is None else source._array
    if where.shape == array.shape == of_source.shape and array.dtype == of_source.dtype:
        return axis  # the usual call
    if where.size and where.ndim != array.ndim:
        raise RuntimeError(
            f"{name}: index must have as many dimensions as input: got {list(where.shape)} for "
            f"{list(array.shape)}"
        )
    sizes = [
        (n, m) for i, (n, m) in enumerate(zip(where.shape, array.shape, strict=False)) if i != axis
    ]
    if source is not None:
        if source._array.dtype != array.dtype:
            raise RuntimeError(f"{name}: src: expected {array.dtype}, got {source._array.dtype}")
        if where.size and source._array.ndim != where.ndim:
            raise RuntimeError(f"{name}: src must have as many dimensions as index, {where.ndim}")
        sizes += zip(where.shape, source._array.shape, strict=False)
    if where.size and any(n > m for n, m in sizes):
        raise RuntimeError(
            f"{name}: expected index {list(where.shape)} to be no larger than src, nor than input "
            f"{list(array.shape)} apart from dimension {axis}"
        )
    return axis


def _outside(name: str, shape: tuple[int, ...], axis: int, index: Tensor) -> RuntimeError:
    bad = first_outside(index._array, shape[axis])
    return RuntimeError(
        f"{name}: index {bad} is out of bounds for dimension {axis} of input {list(shape)}"
    )


def _some_scalar(*values: Any) -> bool:
    """Whether one of several values is a tensor without dimensions."""
    return any(isinstance(value, TensorBase) and not value._array.ndim for value in values)


def _as_vectors(
    operation: Callable[..., Tensor], input: Tensor, dim: int, *values: Any, **options: Any
) -> Tensor:
    """operation(input, dim, *values), where a tensor without dimensions counts as one of one
    element."""
    vectors = [reshape(v, (1,)) if _some_scalar(v) else v for v in (input, *values)]
    y = operation(vectors[0], dim, *vectors[1:], **options)
    return reshape(y, ()) if _some_scalar(input) else y


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | Number | None = None,
    *,
    value: Number | None = None,
    reduce: str | None = None,
) -> Tensor:
    """input, with src[i, j] at [index[i, j], j] for dim 0, at [i, index[i, j]] for dim 1, ...

    src: a tensor of the dtype of input, no smaller than index, or a number, which may also be
    called value. reduce: "add" adds in place of writing. RuntimeError for an index out of range.

    >>> ta.zeros(2, 3).scatter(1, ta.tensor([[2], [0]]), 1.0)  # one-hot rows
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if (src is None) == (value is None):
        raise TypeError("scatter: expected src, a tensor or a number, or value")
    given: Any = value if src is None else src
    if _some_scalar(given, index, input):
        return _as_vectors(scatter, input, dim, index, given, reduce=reduce)
    if reduce == "add":
        if not isinstance(given, TensorBase):
            given = results.wrap(np.full(index._array.shape, given, input._array.dtype))
        return scatter_add(input, dim, index, given)
    if reduce is not None:
        raise RuntimeError(f'scatter: reduce: expected None or "add", got {reduce!r}')
    source: Any = given if isinstance(given, TensorBase) else None
    axis = _checked("scatter", input, dim, index, source)
    if not isinstance(given, TensorBase):
        check_range(as_number(given, "value"), input._array.dtype, "scatter: value")
    check_in_replays(index._array, input._array.shape[axis])
    try:
        return Scatter.apply(input, index, given, axis)
    except IndexError:
        raise _outside("scatter", input._array.shape, axis, index) from None


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input, with src[i, j] added at [index[i, j], j] for dim 0, at [i, index[i, j]] for dim 1, and
    so on. Arguments and errors are those of `scatter`.

    >>> ta.zeros(3).scatter_add(0, ta.tensor([2, 0, 2]), ta.ones(3))
    tensor([1., 0., 2.])
    """
    if _some_scalar(as_tensor(src, "src"), index, input):
        return _as_vectors(scatter_add, input, dim, index, src)
    axis = _checked("scatter_add", input, dim, index, src)
    check_in_replays(index._array, input._array.shape[axis])
    try:
        return ScatterAdd.apply(input, index, src, axis)
    except IndexError:
        raise _outside("scatter_add", input._array.shape, axis, index) from None


def _rows(name: str, input: Tensor, axis: int, index: Tensor, length: int) -> Tensor:
    """An index (N,) repeated to the shape of N rows of input along an axis."""
    shape, array = input._array.shape, as_index(index, name)
    if array.ndim > 1 or array.size != length:
        raise IndexError(f"{name}: index: expected shape [{length}], got {list(array.shape)}")
    (positive,) = numbers_in(array.reshape(-1), shape, axis)
    # As numpy.broadcast_to, which takes longer than the rest.
    steps = [positive.itemsize if k == axis else 0 for k in range(len(shape))]
    whole = (*shape[:axis], length, *shape[axis + 1 :])
    return results.wrap(np.ndarray(whole, positive.dtype, positive, 0, steps))


def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1
) -> Tensor:
    """input, with alpha source[i] added to row index[i] along dim; index (N,).

    >>> ta.zeros(3).index_add(0, ta.tensor([2, 2]), ta.tensor([1.0, 4.0]))
    tensor([0., 0., 5.])
    """
    array, given = as_tensor(input, "input")._array, as_tensor(source, "source")._array
    if array.ndim != given.ndim:
        raise RuntimeError(
            f"index_add: source: expected as many dimensions as input {list(array.shape)}, got "
            f"{list(given.shape)}"
        )
    if not array.ndim:
        return _as_vectors(index_add, input, dim, index, source, alpha=alpha)
    axis, places = as_axis(dim, array.ndim), as_index(index, "index_add")
    if alpha != 1:
        source = mul(source, alpha)
    same = (*array.shape[:axis], *places.shape, *array.shape[axis + 1 :])
    if (
        same == given.shape
        and places.ndim == 1
        and array.dtype.kind == "f"
        and array.dtype is source._array.dtype
    ):
        check_in_replays(places, array.shape[axis])
        try:  # the kernel finds out, if a number is negative or out of range
            return IndexAdd.apply(input, index, source, axis)
        except IndexError:
            pass
    rows = _rows("index_add", input, axis, index, given.shape[axis])
    _same_rows("index_add", input, axis, index, rows, source)
    return scatter_add(input, axis, rows, source)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input, with row index[i] along dim replaced by source[i]; index (N,)."""
    array, given = as_tensor(input, "input")._array, as_tensor(source, "source")._array
    if _some_scalar(source, input):
        return _as_vectors(index_copy, input, dim, index, source)
    if array.ndim != given.ndim:
        raise IndexError(
            f"index_copy: source: expected as many dimensions as input {list(array.shape)}, got "
            f"{list(given.shape)}"
        )
    axis = as_axis(dim, array.ndim)
    rows = _rows("index_copy", input, axis, index, given.shape[axis])
    _same_rows("index_copy", input, axis, index, rows, source)
    return scatter(input, axis, rows, source)


def _same_rows(
    name: str, input: Tensor, axis: int, index: Tensor, rows: Tensor, source: Tensor
) -> None:
    """See that source has these rows, and that index names rows of input, none from the end."""
    bad = first_outside(index._array, input._array.shape[axis])
    if bad is not None:
        raise IndexError(
            f"{name}: index {bad} is out of bounds for dimension {axis} of input "
            f"{list(input._array.shape)}"
        )
    if rows._array.shape != source._array.shape:
        raise RuntimeError(
            f"{name}: source: expected shape {list(rows._array.shape)}, got "
            f"{list(source._array.shape)}"
        )


def index_fill(input: Tensor, dim: int, index: Tensor, value: Number | Tensor) -> Tensor:
    """input, with one number in all rows that index (N,) lists along dim.

    >>> ta.ones(2, 2).index_fill(0, ta.tensor([1]), 0.0)
    tensor([[1., 1.],
            [0., 0.]])
    """
    if not as_tensor(input, "input")._array.ndim:
        return reshape(index_fill(reshape(input, (1,)), dim, index, value), ())
    axis = as_axis(dim, input._array.ndim)
    rows = _rows("index_fill", input, axis, index, as_tensor(index, "index")._array.size)
    number = as_number(value, "index_fill: value")
    if not isinstance(value, TensorBase):
        return scatter(input, axis, rows, number)
    filled = scatter(zeros_like(input, dtype="bool"), axis, rows, True)
    return masked_fill(input, filled, value)


def scatter_(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | Number | None = None,
    *,
    value: Number | None = None,
    reduce: str | None = None,
) -> Tensor:
    """`scatter`, written into input."""
    return in_place(scatter, input, dim, index, src, value=value, reduce=reduce)


def scatter_add_(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`scatter_add`, written into input."""
    return in_place(scatter_add, input, dim, index, src)


def index_add_(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1
) -> Tensor:
    """`index_add`, written into input."""
    return in_place(index_add, input, dim, index, source, alpha=alpha)


def index_copy_(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`index_copy`, written into input."""
    return in_place(index_copy, input, dim, index, source)


def index_fill_(input: Tensor, dim: int, index: Tensor, value: Number | Tensor) -> Tensor:
    """`index_fill`, written into input."""
    return in_place(index_fill, input, dim, index, value)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of input where mask (bool) is True, in their order, as (N,); the two broadcast.

    >>> ta.tensor([1.0, 2.0, 3.0]).masked_select(ta.tensor([True, False, True]))
    tensor([1., 3.])
    """
    if as_tensor(mask, "mask")._array.dtype != bool:
        raise RuntimeError(f"masked_select: mask: expected bool, got {mask._array.dtype}")
    if as_tensor(input, "input")._array.shape == mask._array.shape != ():
        return getitem(input, mask)
    try:
        shape = np.broadcast_shapes(input._array.shape, mask._array.shape)
    except ValueError:
        raise RuntimeError(
            f"masked_select: mask of shape {list(mask._array.shape)} does not broadcast with input "
            f"of shape {list(input._array.shape)}"
        ) from None
    return getitem(expand(input, shape or (1,)), expand(mask, shape or (1,)))


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Of a vector (N,), the matrix with it on the diagonal and 0 elsewhere; of a matrix, a copy of
    its diagonal.

    diagonal: which one, above the main one if positive, below it if negative.

    >>> ta.diag(ta.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    shape, offset = as_tensor(input, "input")._array.shape, as_int(diagonal, "diagonal")
    if len(shape) == 1:
        return DiagonalMatrix.apply(input, offset=offset)
    if len(shape) != 2:
        raise RuntimeError(f"diag: input: expected a vector or a matrix, got {list(shape)}")
    return Diagonal.apply(input, offset=offset)


def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
) -> Tensor:
    """The indices of the lower triangle of a matrix (row, col), as `tril` takes it: (2, N)."""
    check_device(device)
    return _indices(np.tri(row, col, offset, dtype=bool), dtype)


def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
) -> Tensor:
    """The indices of the upper triangle of a matrix (row, col), as `triu` takes it: (2, N)."""
    check_device(device)
    return _indices(~np.tri(row, col, offset - 1, dtype=bool), dtype)


def _indices(chosen: Array, dtype: DTypeLike | None) -> Tensor:
    return results.wrap(np.stack(np.nonzero(chosen)).astype(as_dtype(dtype or "int64")))
