"""Indexing: x[index], x[index] = value, and elements or rows picked by integer tensors.

An index of ints, slices, None and ... gives a view; integer and boolean arrays give a copy. Read
Pick first: the gradient of every copy is the kernel `scatter_add`.
"""

import functools
import math
import operator
import warnings
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np

from tinyattn.autograd.dtypes import Number, check_range
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import Gradient
from tinyattn.autograd.modes import quietly
from tinyattn.autograd.storage import Tensor, TensorBase, is_constant, results
from tinyattn.kernels import Backend, backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import FEW, copied, full, spread_to, write
from tinyattn.kernels.recording import check, local, refuse, step
from tinyattn.kernels.sums import sum_over
from tinyattn.ops._arguments import as_axis, as_number, as_tensor
from tinyattn.ops._in_place import check_in_place, in_place, rebind
from tinyattn.ops.elementwise import chosen
from tinyattn.ops.shape import Basic, Slice

# What may stand in the brackets of x[...]: one item, or a tuple of them.
Item: TypeAlias = SupportsIndex | slice | EllipsisType | Tensor | Array | Sequence[Any] | None
Index: TypeAlias = Item | tuple[Item, ...]


class Places(NamedTuple):
    """Elements of an array that is seen as (A, n, C): those along its middle axis at an index."""

    where: Array  # the index, (1, N, 1)
    middle: tuple[int, int, int]  # A, n, C
    shape: tuple[int, ...]  # of what stands at these places


def places_of(shape: tuple[int, ...], arrays: "Arrays") -> Places | None:
    """What integer arrays and full slices name in an array of this shape; None where the integer
    arrays do not stand side by side."""
    axes = [axis for axis, i in enumerate(arrays) if type(i) is np.ndarray]
    if not axes or axes[-1] - axes[0] >= len(axes):
        return None
    begin, end = axes[0], axes[-1] + 1
    index: Any = arrays[begin]
    for axis in axes[1:]:
        index = index * shape[axis] + arrays[axis]
    middle = (math.prod(shape[:begin]), math.prod(shape[begin:end]), math.prod(shape[end:]))
    flat = index.astype(np.int64, copy=False).reshape(1, -1, 1)
    return Places(flat, middle, (*shape[:begin], *index.shape, *shape[end:]))


class Pick(Function):
    """y = x[basic][i, j, ...] for integer arrays i, j, ...;   dx[k] = the sum of dy over all places
    where x[k] was picked."""

    fresh = True

    def forward(self, x: Array, basic: Basic, arrays: "Arrays") -> Array:
        self.kernels = backend()
        view = x[basic]
        self.shape, self.basic, self.part = x.shape, basic, view.shape
        places = places_of(view.shape, arrays)
        if places is None:
            # Which element of x each one of y is, follows from picking among their numbers.
            index = np.arange(view.size).reshape(view.shape)[arrays]
            self.places = Places(index.reshape(1, -1, 1), (1, view.size, 1), index.shape)
            return view[arrays]
        self.places = places
        if not view.flags.c_contiguous:
            return view[arrays]
        index, middle, shape = places
        return self.kernels.gather(view.reshape(middle), index).reshape(shape)

    def backward(self, grad: Array) -> Gradient:
        index, (A, n, C), _ = self.places
        dx = self.kernels.scatter_add(grad.reshape(A, index.size, C), index, n).reshape(self.part)
        return dx if self.part == self.shape else self.placed(self.shape, self.basic, dx)


class PickMask(Function):
    """y = x[mask], what stands where mask is True;   dx = dy at these places, else 0."""

    fresh = True

    def forward(self, x: Array, mask: Array) -> Array:
        self.kernels = backend()
        self.shape = x.shape
        self.index, self.middle, shape = masked_places(x, mask)
        return self.kernels.gather(x.reshape(self.middle), self.index).reshape(shape)

    def backward(self, grad: Array) -> Array:
        dx = full(self.shape, 0, grad.dtype)
        rows = grad.reshape(1, self.index.size, self.middle[2])
        self.kernels.scatter(dx.reshape(self.middle), self.index, rows)
        return dx


def masked_places(x: Array, mask: Array) -> Places:
    """The places where mask, which has the first axes of x, is True."""
    index, rest = np.flatnonzero(mask), x.shape[mask.ndim :]
    middle = (1, mask.size, math.prod(rest))
    return Places(index.reshape(1, -1, 1), middle, (index.size, *rest))


class SetItem(Function):
    """x[index] = v, in place;   dx = dy with 0 at index,  dv = dy[index].

    The index is given in two steps, as `_parse` does, or as places. Where it names an element
    twice, the last value stays; both values get its gradient.
    """

    fresh = True
    inherits = True

    def forward(
        self,
        x: Array,
        value: Array | Number,
        basic: Basic,
        arrays: "Arrays" = (),
        places: Places | None = None,
    ) -> Array:
        self.kernels = backend()
        self.basic, self.arrays, self.ndim = basic, arrays, np.ndim(value)
        self.places = places
        if arrays and x.size > FEW:
            self.places = places_of(x[basic].shape, arrays)
        self.put(x, value)
        return x

    def backward(self, grad: Array) -> tuple[Array | None, Array | None]:
        dx, dv = self.own(grad), None
        if self.needs(1):
            dv = self.taken(dx)
            if dv.ndim < self.ndim:  # value has had further axes of size 1
                dv = dv.reshape((1,) * (self.ndim - dv.ndim) + dv.shape)
        if self.needs(0):
            self.put(dx, 0)
        return dx, dv

    def taken(self, x: Array) -> Array:
        """A copy of what stands in x at the index."""
        if self.places is None:
            return np.array(x[self.basic][self.arrays]) if self.arrays else copied(x[self.basic])
        index, middle, shape = self.places
        return self.kernels.gather(x[self.basic].reshape(middle), index).reshape(shape)

    def put(self, x: Array, value: Array | Number) -> None:
        """Write into x. ValueError, before anything is written, where value does not broadcast."""
        if self.places is None:
            if self.arrays:
                view = x[self.basic]
                # NumPy takes a value without elements in any shape.
                if type(value) is np.ndarray and not value.size:
                    value = spread_to(value, view[self.arrays].shape)
                view[self.arrays] = value
            else:
                write(x, value, self.basic)
            return
        index, middle, shape = self.places
        source = np.asarray(value, x.dtype)
        if source.ndim:
            source = spread_to(source, shape).reshape(middle[0], index.size, middle[2])
        else:
            source = source.reshape(1, 1, 1)
        view = x[self.basic]
        target = view if view.flags.c_contiguous else copied(view)
        self.kernels.scatter(target.reshape(middle), index, source)
        if target is not view:
            write(x, target, self.basic)


class SetMask(Function):
    """x[mask] = v, in place, with a number v;   dx = dy with 0 where mask is True."""

    fresh = True
    inherits = True

    def forward(self, x: Array, mask: Array, value: Number) -> Array:
        self.save(mask=mask)
        put_masked(x, mask, value)
        return x

    def backward(self, grad: Array) -> tuple[Array, None]:
        dx = self.own(grad)
        put_masked(dx, self.saved["mask"], 0)
        return dx, None


def put_masked(x: Array, mask: Array, value: Number) -> None:
    """x[mask] = value."""
    if x.size <= FEW and mask.shape == x.shape:
        np.putmask(x, mask, np.asarray(value, x.dtype))
        return
    mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
    if x.dtype.kind == "f" and x.flags.c_contiguous:
        backend().elementwise("where", (mask, float(value), x), out=x)
    else:
        np.copyto(x, np.asarray(value, x.dtype), where=mask)


@functools.lru_cache(4096)
def folded(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The sizes (A, n, C) of an array that is seen with this axis in the middle."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def along(index: Array, axis: int) -> Array:
    """The index (A, N, C) of elements along an axis; with A = 1 or C = 1 where it is a small one
    that `expand` has repeated along the axes before, or after."""
    shape = index.shape or (1,)
    A, N, C = folded(shape, axis)
    if not index.flags.c_contiguous:
        if not any(index.strides[axis + 1 :]):
            one = (slice(None),) * (axis + 1) + (slice(1),) * (len(shape) - axis - 1)
            index, C = index[one], 1
        if not any(index.strides[:axis]):
            index, A = index[(slice(1),) * axis], 1
    return index.astype(np.int64, copy=False).reshape(A, N, C)


def _window(shape: tuple[int, ...], index: Array, axis: int) -> tuple[slice, ...] | None:
    """The part of an array of that shape that an index, which may be smaller on all axes but one,
    says something of; None for all of it."""
    sizes = index.shape or (1,)
    if sizes == shape:
        return None
    if sizes[:axis] == shape[:axis] and sizes[axis + 1 :] == shape[axis + 1 :]:
        return None
    return tuple([slice(None) if k == axis else slice(n) for k, n in enumerate(sizes)])


def gathered(x: Array, index: Array, axis: int, kernels: Backend) -> Array:
    """y[i, k] = x[index[i, k], k]. IndexError for an index out of range."""
    if not index.size:
        return np.empty(index.shape, x.dtype)
    shape = x.shape or (1,)
    part = _window(shape, index, axis)
    if part is not None:
        x = x.reshape(shape)[part]
        shape = x.shape
    return kernels.gather(x.reshape(folded(shape, axis)), along(index, axis)).reshape(index.shape)


def added_up(
    source: Array,
    index: Array,
    axis: int,
    shape: tuple[int, ...],
    kernels: Backend,
    onto: Array | None = None,
) -> Array:
    """y[j, k] = the sum of source[i, k] over all i with index[i, k] = j, of that shape; added to
    `onto`, if it is given. IndexError for an index out of range."""
    own = shape or (1,)
    if not index.size:
        return full(shape, 0, source.dtype) if onto is None else copied(onto)
    part = _window(own, index, axis)
    A, N, C = folded(index.shape or (1,), axis)
    rows = source.reshape(A, N, C)
    base = None
    if onto is not None:
        base = (onto if part is None else onto[part]).reshape(A, own[axis], C)
    y = kernels.scatter_add(rows, along(index, axis), own[axis], base)
    if part is None:
        return y.reshape(shape)
    whole = full(shape, 0, source.dtype) if onto is None else copied(onto)
    write(whole, y.reshape(whole[part].shape), part)
    return whole


def rows_at(x: Array, index: Array, axis: int, kernels: Backend) -> Array:
    """x at the indices along an axis. IndexError for one out of range."""
    if not x.flags.c_contiguous and first_outside(index, x.shape[axis]) is None:
        places: tuple[Any, ...] = (*[slice(None)] * axis, index)
        return copied(x[places])  # the kernel would copy all of x first
    shape = *x.shape[:axis], *index.shape, *x.shape[axis + 1 :]
    flat = index.astype(np.int64, copy=False).reshape(1, -1, 1)
    return kernels.gather(x.reshape(folded(x.shape, axis)), flat).reshape(shape)


def put_along(y: Array, index: Array, axis: int, source: Array | Number, kernels: Backend) -> None:
    """y[index[i, k], k] = source[i, k], in place, or one number. IndexError for an index out of
    range."""
    if not index.size:
        return
    y = y.reshape(y.shape or (1,))
    part = _window(y.shape, index, axis)
    view = y if part is None else y[part]
    target = view if view.flags.c_contiguous else copied(view)
    middle = folded(view.shape, axis)
    rows = np.asarray(source, y.dtype)
    if rows.ndim:
        rows = rows.reshape(middle[0], index.shape[axis], middle[2])
    else:
        rows = rows.reshape(1, 1, 1)
    kernels.scatter(target.reshape(middle), along(index, axis), rows)
    if target is not view:
        write(y, target, ... if part is None else part)


class IndexSelect(Function):
    """y[i, k] = x[index[i], k];   dx[j, k] = the sum of dy[i, k] over all i with index[i] = j."""

    kernels_only = True
    fresh = True

    def forward(self, x: Array, index: Array, axis: int) -> Array:
        self.kernels = backend()
        self.shape, self.axis = x.shape, axis
        self.save(index=index)
        return rows_at(x, index.reshape(-1), axis, self.kernels)

    def backward(self, grad: Array) -> Array:
        A, n, C = folded(self.shape, self.axis)
        index = along(self.saved["index"], 0).reshape(1, -1, 1)
        return self.kernels.scatter_add(grad.reshape(A, index.size, C), index, n).reshape(
            self.shape
        )


class Gather(Function):
    """y[i, k] = x[index[i, k], k];   dx[j, k] = the sum of dy[i, k] over all i with
    index[i, k] = j. The index may be smaller than x on the other axes: the rest is not read."""

    fresh = True

    def forward(self, x: Array, index: Array, axis: int) -> Array:
        self.kernels = backend()
        self.shape, self.axis = x.shape, axis
        self.save(index=index)
        return gathered(x, index, axis, self.kernels)

    def backward(self, grad: Array) -> Array:
        return added_up(grad, self.saved["index"], self.axis, self.shape, self.kernels)


class MaskedFill(Function):
    """y = v where mask is True, else x.

    dx = 0 where mask is True, else dy;   dv = the sum of dy where mask is True.
    """

    kernels_only = True
    fresh = True
    inherits = True

    def forward(self, x: Array, mask: Array, value: Array | Number) -> Array:
        self.save(mask=mask)
        return chosen(mask, x.dtype.type(value) if x.dtype.kind != "f" else float(value), x)

    def backward(self, grad: Array) -> tuple[Array, None, Array | None]:
        mask = self.saved["mask"]
        dv = None
        if self.needs(2):
            dv = sum_over(chosen(mask, grad, 0.0), tuple(range(grad.ndim)))
        if not self.owned or grad.size <= FEW:
            return chosen(mask, 0.0, grad), None, dv
        put_masked(grad, np.broadcast_to(mask, grad.shape), 0)
        return grad, None, dv


class Embedding(Function):
    """y[n] = W[index[n]];   dW[v] = the sum of dy[n] over all n with index[n] = v.

    The padding row gets 0. With `by_freq`, each row gets the mean in place of the sum.
    """

    kernels_only = True
    fresh = True

    def forward(
        self, index: Array, weight: Array, padding: int = -1, by_freq: bool = False
    ) -> Array:
        self.kernels, self.by_freq = backend(), by_freq
        self.shape, self.padding = weight.shape, padding
        self.save(index=index)
        return rows_at(weight, index, 0, self.kernels)

    def backward(self, grad: Array) -> tuple[None, Gradient]:
        index = self.saved["index"]
        V, D = self.shape
        flat = index.reshape(-1).astype(np.int64, copy=False)
        rows = grad.reshape(-1, D), flat
        if self.by_freq:
            rows = rows[0] / np.bincount(flat)[flat, None].astype(grad.dtype), flat
        return None, self.over_rows(self.kernels.embedding_backward, rows, V, self.padding)


# x[index]

Arrays: TypeAlias = tuple[Array | slice, ...]  # integer arrays, and full slices


def _parse(index: Index, shape: tuple[int, ...]) -> tuple[Basic, Arrays]:
    """An index in two steps: ints, slices, None and ..., which give a view; then integer arrays and
    full slices into that view, () where there are no arrays."""
    if isinstance(index, TensorBase) and shape:
        array = index._array
        if array.ndim and array.dtype.kind == "i":
            return (...,), tuple(numbers_in(array, shape, 0))
    if isinstance(index, list) and any(not isinstance(i, (int, np.generic)) for i in index):
        index = tuple(index)  # PyTorch reads [[0, 1], [1, 0]] as ([0, 1], [1, 0])
    items = [_item(i) for i in (index if isinstance(index, tuple) else (index,))]
    used = sum(_axes_of(item) for item in items)
    if used > len(shape):
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)}: got {used} for shape "
            f"{list(shape)}"
        )
    dots = [k for k, item in enumerate(items) if item is Ellipsis] or [len(items)]
    if len(dots) > 1:
        raise IndexError("an index can have one ellipsis ('...')")
    items[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) - used)
    basic: list[int | slice | EllipsisType | None] = []
    arrays: list[Array | slice] = []
    axis = 0
    for item in items:
        if isinstance(item, np.ndarray):
            basic += [slice(None)] * _axes_of(item) or [None]
            arrays += numbers_in(item, shape, axis)
        elif isinstance(item, int):
            basic.append(_in_range(item, axis, shape))
        else:
            basic.append(item)
            arrays.append(slice(None))
        axis += _axes_of(item)
    if all(isinstance(item, slice) for item in arrays):
        return (*basic, ...), ()
    shapes = [a.shape for a in arrays if isinstance(a, np.ndarray)]
    try:
        if len(set(shapes)) > 1:
            np.broadcast_shapes(*shapes)
    except ValueError:
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes "
            f"{[list(shape) for shape in shapes]}"
        ) from None
    return (*basic, ...), tuple(arrays)


def _plain(index: Index, shape: tuple[int, ...]) -> Basic | None:
    """An index of ints in range and slices without steps, the most common ones; None for others."""
    if type(index) is int:
        return (index, ...) if shape and -shape[0] <= index < shape[0] else None
    items = index if type(index) is tuple else (index,)
    for axis, item in enumerate(items):
        if type(item) is int:
            if axis == len(shape) or not -shape[axis] <= item < shape[axis]:
                return None
        elif type(item) is not slice or item.step is not None or axis == len(shape):
            return None
    return (*items, ...)


def _item(item: Any) -> int | slice | EllipsisType | Array | None:
    """One item of an index as an int, slice, None, ..., or array of integers or booleans."""
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, slice):
        if item.step is not None and operator.index(item.step) <= 0:
            raise ValueError(f"slice step must be greater than zero, got {item.step}")
        return item
    if isinstance(item, TensorBase):
        item = item._array
    elif isinstance(item, (list, tuple, range)):
        item = np.array(item) if len(item) else np.empty(0, np.int64)
    elif isinstance(item, (bool, np.bool_)):
        item = np.array(item)
    elif isinstance(item, (int, np.integer)):
        return int(item)
    if not isinstance(item, np.ndarray):
        kind = TypeError if isinstance(item, (str, bytes)) else IndexError  # as PyTorch
        raise kind(
            "only integers, slices (`:`), ellipsis (`...`), None and integer or bool tensors are "
            f"valid indices (got {type(item).__name__})"
        )
    if item.dtype == np.uint8:
        warnings.warn("indexing with uint8 is deprecated, use a bool mask instead", stacklevel=2)
        item = item.astype(bool)
    if item.dtype.kind not in "bi":
        raise IndexError(f"tensors used as indices must be int64, int32 or bool, got {item.dtype}")
    return int(item) if item.ndim == 0 and item.dtype != bool else item


def _axes_of(item: int | slice | EllipsisType | Array | None) -> int:
    """How many axes of the tensor an item of an index stands for."""
    if isinstance(item, np.ndarray):
        return item.ndim if item.dtype == bool else 1
    return int(isinstance(item, (int, slice)))


def _in_range(index: int, axis: int, shape: tuple[int, ...]) -> int:
    if not -shape[axis] <= index < shape[axis]:
        raise IndexError(
            f"index {index} is out of bounds for dimension {axis} with size {shape[axis]}"
        )
    return index


def numbers_in(item: Array, shape: tuple[int, ...], axis: int) -> list[Array]:
    """An array of an index as arrays of positions, one for every axis that it stands for.

    They are new arrays, so that a later change of the index does not change the gradient."""
    if item.dtype == bool:
        if item.shape != shape[axis : axis + item.ndim]:
            raise IndexError(
                f"The shape of the mask {list(item.shape)} does not match the shape of the indexed "
                f"tensor {list(shape)} at dimension {axis}"
            )
        return list(np.atleast_1d(item).nonzero())
    n = shape[axis]
    # Without its sign a negative number is a very large one.
    unsigned = item.view(np.uint64) if item.dtype == np.int64 and item.size else None
    if unsigned is not None and np.maximum.reduce(unsigned, axis=None) < n:
        return [item.copy()]
    for bad in item[(item < -n) | (item >= n)][:1]:
        _in_range(int(bad), axis, shape)
    return [np.where(item < 0, item + n, item)]


def getitem(input: Tensor, index: Index) -> Tensor:
    """input[index]: a view for ints, slices, None and ...; a copy for integer or boolean arrays,
    lists and tensors. Slices have positive steps. Raises IndexError for an index out of range.

    >>> x = ta.tensor([[1, 2, 3], [4, 5, 6]])
    >>> x[0, 1:], x[x > 4], x[[1, 0], 0]
    (tensor([2, 3]), tensor([5, 6]), tensor([4, 1]))
    """
    array = input._array
    basic = _plain(index, array.shape)
    if basic is not None:
        if is_constant(input):
            return results.view(input, array[basic])
        return Slice.apply(input, basic)
    if isinstance(index, TensorBase):
        where = index._array
        if where.dtype == bool:
            if where.ndim and where.shape == array.shape[: where.ndim]:
                return PickMask.apply(input, where)
        elif where.dtype == np.int64 and where.ndim and array.ndim and array.flags.c_contiguous:
            try:  # the kernel finds out, if a number is negative or out of range
                return Pick.apply(input, (...,), (where.copy(),))
            except IndexError:
                pass
    basic, arrays = _parse(index, array.shape)
    return Pick.apply(input, basic, arrays) if arrays else Slice.apply(input, basic)


def setitem(input: Tensor, index: Index, value: Tensor | Number) -> None:
    """input[index] = value, in place; value is broadcast and gets the dtype of input.

    The gradient of those elements goes to value. Where an array names an element twice, the last
    value stays. Raises RuntimeError for a leaf that needs a gradient, outside no_grad().

    >>> x = ta.zeros(3)
    >>> x[1:] = 2
    >>> x
    tensor([0., 2., 2.])
    """
    if not isinstance(value, (TensorBase, bool, int, float, np.generic)):
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor; use tensor(value)")
    straight, array = check_in_place("setitem", input, value), input._array
    if not straight and not array.flags.writeable:
        raise RuntimeError(
            "setitem: the tensor is expanded or shares read-only memory; change a clone() of it"
        )
    if not isinstance(value, TensorBase):
        check_range(as_number(value, "setitem: value"), array.dtype, "setitem: value")
    arrays: Arrays = ()
    basic, places = _plain(index, array.shape), None
    plain = basic is not None
    if basic is None:
        mask = _as_mask(index, array)
        if mask is None:
            basic, arrays = _parse(index, array.shape)
        elif isinstance(value, TensorBase):
            basic, places = (...,), masked_places(array, mask)
        else:
            rebind("setitem", input, SetMask.apply(input, index, value))
            return
    try:
        if straight and plain:
            if isinstance(value, TensorBase):
                quietly(write, array, value._array, basic)  # the dtype may not hold it
            else:
                write(array, value, basic)
            input._storage.changed("setitem")
            return
        result = SetItem.apply(input, value, basic, arrays, places)
    except ValueError as error:  # raised before anything was written
        shape = array[basic][arrays].shape if places is None else places.shape
        raise RuntimeError(
            f"setitem: can't write the value into input[index] of shape {list(shape)}: {error}"
        ) from None
    rebind("setitem", input, result)


def _as_mask(index: Index, array: Array) -> Array | None:
    """The array of an index that is one bool tensor with the first axes of `array`."""
    if isinstance(index, TensorBase) and index._array.dtype == bool:
        mask = index._array
        if mask.ndim and mask.shape == array.shape[: mask.ndim]:
            return mask
    return None


# Picking by integer tensors


def as_index(index: Tensor, name: str) -> Array:
    array = as_tensor(index, "index")._array
    if array.dtype.kind != "i":
        raise RuntimeError(f"{name}: index: expected int64 or int32, got {array.dtype}")
    return array


def first_outside(array: Array, size: int) -> int | None:
    """The first index that is not in [0, size), or None."""
    if array.size and (array.min() < 0 or array.max() >= size):
        return int(array[(array < 0) | (array >= size)][0])
    if local.recorder is not None:
        check(_inside, array, size)
    return None


def _inside(array: Array, size: int) -> None:
    bad = first_outside(array, size)
    if bad is not None:
        raise IndexError(f"index {bad} is out of range for a size of {size}")


def check_in_replays(array: Array, size: int) -> None:
    """While this thread records: every replay looks whether its indices are in [0, size). Otherwise
    the kernels find out."""
    if local.recorder is not None:
        first_outside(array, size)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """input at the indices along dim that index (N,) lists; they are not negative.

    Raises an IndexError (for dim 0) or RuntimeError for an index out of range.

    >>> ta.tensor([[1, 2], [3, 4]]).index_select(1, ta.tensor([1, 1, 0]))
    tensor([[2, 2, 1],
            [4, 4, 3]])
    """
    shape = as_tensor(input, "input")._array.shape
    axis = as_axis(dim, len(shape))
    if as_tensor(index, "index")._array.ndim > 1:
        raise IndexError(f"index: expected one dimension, got shape {list(index._array.shape)}")
    array = as_index(index, "index_select")
    if not shape and array.size != 1:
        raise RuntimeError(f"index: a 0-d input takes one value, got {array.size}")
    check_in_replays(array, shape[axis] if shape else 1)
    try:
        if shape:
            return IndexSelect.apply(input, index, axis)
    except IndexError:
        pass
    bad = first_outside(array, shape[axis] if shape else 1)
    if bad is not None:
        raise (RuntimeError if axis else IndexError)(  # as PyTorch
            f"index: {bad} is out of range for dimension {axis} of input {list(shape)}"
        )
    return Slice.apply(input, (...,))


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i, j] = input[index[i, j], j] for dim 0, input[i, index[i, j]] for dim 1, and so on.

    index has as many dimensions as input, and is no larger in any of them, except in dim. Raises
    RuntimeError for an index out of range.

    >>> scores = ta.tensor([[0.1, 0.9], [0.8, 0.2]])
    >>> scores.gather(1, ta.tensor([[1], [0]]))  # one of each row
    tensor([[0.9],
            [0.8]])
    """
    shape = as_tensor(input, "input")._array.shape
    axis, array = as_axis(dim, len(shape)), as_index(index, "gather")
    if not array.size:
        return Gather.apply(input, index, axis)
    if max(array.ndim, 1) != max(len(shape), 1):
        raise RuntimeError(
            f"gather: index must have the same number of dimensions as input: got "
            f"{list(array.shape)} for {list(shape)}"
        )
    if array.shape != shape and any(
        n > m for i, (n, m) in enumerate(zip(array.shape, shape, strict=False)) if i != axis
    ):
        raise RuntimeError(
            f"gather: expected index {list(array.shape)} to be no larger than input {list(shape)} "
            f"apart from dimension {axis}"
        )
    check_in_replays(array, shape[axis] if shape else 1)
    try:
        return Gather.apply(input, index, axis)
    except IndexError:
        bad = first_outside(array, shape[axis] if shape else 1)
        raise RuntimeError(
            f"gather: index {bad} is out of bounds for dimension {axis} of input {list(shape)}"
        ) from None


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of weight (V, D) at the indices of input, of any shape (*): (*, D).

    padding_idx: a row that gets no gradient; a negative one is counted from the end.
    max_norm: rows that are looked up are first scaled, in place, to a norm_type norm of at most
    max_norm.
    scale_grad_by_freq: a row that is looked up n times gets 1 / n of its gradient.
    sparse: must be False.

    Raises IndexError for an index out of range.

    >>> F.embedding(ta.tensor([2, 0]), ta.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    tensor([[5., 6.],
            [1., 2.]])
    """
    if sparse:
        raise NotImplementedError("sparse: there are no sparse gradients; leave sparse=False")
    array, table = as_index(input, "embedding"), as_tensor(weight, "weight")._array
    if table.ndim != 2:
        raise RuntimeError(f"weight: expected (V, D), got {list(table.shape)}")
    V = table.shape[0]
    if padding_idx is not None and not -V <= padding_idx < V:
        raise ValueError(
            f"padding_idx: expected to be in [{-V}, {V}) for V = {V}, got {padding_idx}"
        )
    if max_norm is not None:
        if first_outside(array, V) is not None:
            raise not_in_vocabulary(array, V)
        refuse("embedding: max_norm looks at the numbers of the weight")
        if table.dtype.kind != "f":
            raise RuntimeError(f"weight: max_norm needs float32 or float64, got {table.dtype}")
        used = np.unique(array)
        norms = np.linalg.norm(table[used], norm_type, axis=1)
        long = norms > max_norm
        table[used[long]] *= (max_norm / (norms[long, None] + 1e-7)).astype(table.dtype)
        weight._storage.changed("embedding")
    padding = -1 if padding_idx is None else padding_idx % V
    check_in_replays(array, V)
    try:
        return Embedding.apply(input, weight, padding, scale_grad_by_freq)
    except IndexError:
        raise not_in_vocabulary(array, V) from None


def not_in_vocabulary(array: Array, V: int) -> IndexError:
    """The error for an index that is outside a table of V rows."""
    bad = first_outside(array, V)
    return IndexError(f"input: index {bad} is out of range for weight of V = {V} rows")


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """An int64 tensor (*, V) that is 1 at each index of tensor (*), and 0 elsewhere.

    V is num_classes, or one more than the largest index where num_classes is -1.

    >>> F.one_hot(ta.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    array = as_tensor(tensor, "tensor")._array
    if array.dtype != np.int64:
        raise RuntimeError(f"one_hot: tensor: expected int64, got {array.dtype}")
    if not array.size and num_classes < 1:
        raise RuntimeError("one_hot: can't infer num_classes from a tensor without elements")
    if num_classes == -1:
        refuse("one_hot: num_classes is read from the tensor unless it is given")
    size = int(array.max()) + 1 if num_classes == -1 else num_classes
    bad = first_outside(array, size)
    if bad is not None:
        raise RuntimeError(f"one_hot: class {bad} is not in [0, num_classes = {max(size, 0)})")
    return results.wrap(step("one_hot", _one_hot, array, size))


def _one_hot(array: Array, size: int) -> Array:
    return (array[..., None] == np.arange(size)).astype(np.int64)


# Filling under a mask


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """A copy of input with value where mask is True.

    mask: bool, broadcasts to the shape of input. value: a number, or a 0-d tensor, which gets the
    gradient of all the places that it fills.

    >>> ta.tensor([1.0, 2.0]).masked_fill(ta.tensor([False, True]), float("-inf"))
    tensor([  1., -inf])
    """
    array, where = as_tensor(input, "input")._array, as_tensor(mask, "mask")._array
    if where.dtype != bool:
        raise RuntimeError(f"masked_fill: mask: expected bool, got {where.dtype}")
    if isinstance(value, TensorBase) and value._array.ndim:
        raise RuntimeError(
            f"masked_fill: value: expected a number or a 0-d tensor, got {value._array.ndim}-d"
        )
    number = as_number(value, "masked_fill: value")
    check_range(number, array.dtype, "masked_fill: value")
    try:
        return MaskedFill.apply(input, mask, value)
    except ValueError:
        raise RuntimeError(
            f"masked_fill: mask of shape {list(where.shape)} does not broadcast with input of "
            f"shape {list(array.shape)}"
        ) from None


def masked_fill_(input: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """input.masked_fill(mask, value), in place."""
    return in_place(masked_fill, input, mask, value)
