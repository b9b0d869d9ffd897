"""Shape: the same elements in other places. Nothing is computed, so gradients only move back.

A view shares the memory of its input; the other operations copy. Read View and Slice first: most
functions below are one of the two, with the right arguments.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise, product
from types import EllipsisType
from typing import TypeAlias

import numpy as np

from tinyattn.autograd.dtypes import result_type
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import Gradient
from tinyattn.autograd.storage import Tensor, TensorBase
from tinyattn.compat.settings import MemoryFormat, check_format
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.copies import (
    constant,
    copied,
    full,
    joined,
    repeated,
    spread_to,
    stacked,
    taken_apart,
    write,
)
from tinyattn.kernels.recording import refuse
from tinyattn.kernels.sums import sum_over
from tinyattn.ops._arguments import (
    Size,
    as_axis,
    as_int,
    as_size,
    as_tensor,
    put_out,
    some_axes,
)
from tinyattn.ops.elementwise import clone

# An index that gives a view: ints and slices for axes, None for a new axis, ... for all between.
Basic: TypeAlias = tuple[int | slice | EllipsisType | None, ...]


class View(Function):
    """y = the elements of x, in the same order, in another shape;   dx = dy in the shape of x."""

    kernels_only = True
    view = True
    keeps_weights = True
    inherits = True

    def forward(self, x: Array, size: tuple[int, ...]) -> Array:
        self.shape = x.shape
        return x.reshape(size, copy=False)

    def backward(self, grad: Array) -> Array:
        try:
            dx = grad.reshape(self.shape, copy=False)
            self.fresh = self.owned
        except ValueError:  # as for the gradient of a transposed view
            dx = copied(grad).reshape(self.shape)
            self.fresh = True
        return dx


class Permute(Function):
    """Axis i of y is axis axes[i] of x;   dx = dy with its axes put back."""

    kernels_only = True
    view = True
    keeps_weights = True
    defers = True

    def forward(self, x: Array, axes: Sequence[int]) -> Array:
        self.axes = axes
        return x.transpose(axes)

    def backward(self, grad: Gradient) -> Gradient:
        return grad.transpose([self.axes.index(i) for i in range(len(self.axes))])


class Expand(Function):
    """y[i, j] = x[j] for every i;   dx = dy summed over i, which the engine does."""

    kernels_only = True
    view = True
    keeps_weights = True

    def forward(self, x: Array, size: tuple[int, ...]) -> Array:
        y = repeated(x, size)
        # This y is read-only, even where no element stands in it twice.
        return x.reshape(size) if y.size == x.size else y

    def backward(self, grad: Array) -> Array:
        return grad


class Slice(Function):
    """y = x[index] for ints, slices, None and ... as index;   dx[index] = dy, and 0 elsewhere."""

    kernels_only = True
    view = True
    keeps_weights = True
    fresh = True

    def forward(self, x: Array, index: Basic) -> Array:
        self.shape, self.index = x.shape, index
        return x[index]

    def backward(self, grad: Array) -> Gradient:
        return self.placed(self.shape, self.index, grad)


class Split(Function):
    """y_k = x[index_k] for several indices, which may overlap;   dx = the sum of the dy_k, each at
    its index. `cover` says that every element of x is in exactly one y_k."""

    kernels_only = True
    view = True
    fresh = True

    def forward(self, x: Array, indices: Sequence[Basic], cover: bool) -> tuple[Array, ...]:
        self.shape, self.dtype, self.indices, self.cover = x.shape, x.dtype, indices, cover
        return tuple([x[index] for index in indices])

    def backward(self, *grads: Array | None) -> Array:
        if self.cover:  # nothing to add
            dx = empty(self.shape, self.dtype)
            for index, grad in zip(self.indices, grads, strict=True):
                write(dx, 0 if grad is None else grad, index)
            return dx
        dx = full(self.shape, 0, self.dtype)
        for index, grad in zip(self.indices, grads, strict=True):
            if grad is not None:
                dx[index] += grad
        return dx


class Cat(Function):
    """y = the x_k one after another along an axis;   dx_k = the part of dy where x_k stands."""

    kernels_only = True

    def forward(self, *arrays: Array, axis: int = 0, dtype: np.dtype | None = None) -> Array:
        y = joined(arrays, axis, dtype)
        self.before = (slice(None),) * axis
        self.ends = list(accumulate([array.shape[axis] for array in arrays], initial=0))
        return y

    def backward(self, grad: Array) -> tuple[Array, ...]:
        return tuple([grad[(*self.before, slice(i, j))] for i, j in pairwise(self.ends)])


class Stack(Function):
    """y[k] = x_k along a new axis;   dx_k = dy[k] along that axis."""

    kernels_only = True

    def forward(self, *arrays: Array, axis: int = 0, dtype: np.dtype | None = None) -> Array:
        self.axis = axis
        return stacked(arrays, axis, dtype)

    def backward(self, grad: Array) -> tuple[Array, ...]:
        return tuple(taken_apart(grad, self.axis))


class Unbind(Function):
    """y_k = x[k] along an axis;   dx[k] = dy_k along that axis: Stack, the other way round."""

    kernels_only = True
    view = True
    fresh = True

    def forward(self, x: Array, axis: int) -> tuple[Array, ...]:
        self.axis = axis
        return tuple(taken_apart(x, axis))

    def backward(self, *grads: Array | None) -> Array:
        given = [grad for grad in grads if grad is not None]
        if len(given) == len(grads):
            return stacked(given, self.axis)
        zero = spread_to(constant(0, given[0].dtype), given[0].shape)
        return stacked([zero if grad is None else grad for grad in grads], self.axis)


class Flip(Function):
    """y[i] = x[n-1-i] along each of the axes, so  dx[i] = dy[n-1-i]."""

    def forward(self, x: Array, axes: tuple[int, ...]) -> Array:
        back = slice(None, None, -1)
        self.index = tuple([back if axis in axes else slice(None) for axis in range(x.ndim)])
        return copied(x[(*self.index, ...)])

    def backward(self, grad: Array) -> Array:
        return grad[(*self.index, ...)]


class Roll(Function):
    """y[(i+s) mod n] = x[i], so  dx[i] = dy[(i+s) mod n]:  dy rolled by -s."""

    fresh = True

    def forward(self, x: Array, shifts: tuple[int, ...], axes: tuple[int, ...] | None) -> Array:
        self.shifts, self.axes = shifts, axes
        return self.rolled(x, 1)

    def backward(self, grad: Array) -> Array:
        return self.rolled(grad, -1)

    def rolled(self, x: Array, sign: int) -> Array:
        if self.axes is None:
            return self.moved(x.reshape(-1), (0,), sign).reshape(x.shape)
        return self.moved(x, self.axes, sign)

    def moved(self, x: Array, axes: tuple[int, ...], sign: int) -> Array:
        y = empty(x.shape, x.dtype)
        # Of each axis: where its two pieces go, and where they come from.
        pieces = [[(slice(None), slice(None))] for _ in x.shape]
        moves: dict[int, int] = {}
        for axis, shift in zip(axes, self.shifts, strict=True):
            moves[axis] = moves.get(axis, 0) + sign * shift
        for axis, shift in moves.items():
            n = x.shape[axis]
            s = shift % n if n else 0
            pieces[axis] = [
                (slice(s, None), slice(None, n - s)),
                (slice(None, s), slice(n - s, None)),
            ]
        for part in product(*pieces):
            to, place = zip(*part, strict=True)
            write(y, x[place], to)
        return y


class Repeat(Function):
    """y[k n + i] = x[i] for every copy k, so  dx[i] = sum_k dy[k n + i]."""

    def forward(self, x: Array, times: tuple[int, ...]) -> Array:
        self.shape = x.shape
        sizes = (1,) * (len(times) - x.ndim) + x.shape
        self.pairs = [n for pair in zip(times, sizes, strict=True) for n in pair]
        y = empty(tuple([k * n for k, n in zip(times, sizes, strict=True)]), x.dtype)
        write(y.reshape(self.pairs), x.reshape([m for n in sizes for m in (1, n)]))
        return y

    def backward(self, grad: Array) -> Array:
        copies = [axis for axis in range(0, len(self.pairs), 2) if self.pairs[axis] != 1]
        self.fresh = bool(copies)
        return sum_over(grad.reshape(self.pairs), tuple(copies)).reshape(self.shape)


class Tril(Function):
    """y[i, j] = x[i, j] where j - i <= k, else 0;   dx = dy there, and 0 elsewhere."""

    fresh = True
    upper = False

    def forward(self, x: Array, k: int = 0) -> Array:
        self.k = k
        return self.kept(x)

    def backward(self, grad: Array) -> Array:
        return self.kept(grad)

    def kept(self, x: Array) -> Array:
        *batch, N, C = x.shape
        matrices = x.reshape(math.prod(batch), N, C)
        return backend().triangle(matrices, self.k, self.upper).reshape(x.shape)


class Triu(Tril):
    """y[i, j] = x[i, j] where j - i >= k, else 0;   dx = dy there, and 0 elsewhere."""

    upper = True


def _shape(input: Tensor, name: str = "input") -> tuple[int, ...]:
    return as_tensor(input, name)._array.shape


def _along(axis: int, item: int | slice) -> Basic:
    """The index that is `item` on one axis and takes all of the others."""
    return (slice(None),) * axis + (item, ...)


def _inferred(size: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`size` with its -1 replaced by the size that makes it hold `count` elements."""
    known = math.prod(n for n in size if n != -1)
    if size.count(-1) > 1:
        raise RuntimeError(f"shape: only one dimension can be inferred, got {list(size)}")
    if any(n < -1 for n in size):
        raise RuntimeError(f"shape: invalid shape dimension in {list(size)}")
    if -1 in size:
        if known == count == 0:
            raise RuntimeError(
                f"shape: cannot reshape a tensor of 0 elements into shape {list(size)}, because "
                "any size could stand for -1"
            )
        whole = tuple(count // max(known, 1) if n == -1 else n for n in size)
    else:
        whole = size
    if math.prod(whole) != count:
        raise RuntimeError(f"shape '{list(size)}' is invalid for input of size {count}")
    return whole


# One tensor, another shape


def view(input: Tensor, size: Size, *more: int) -> Tensor:
    """input in another shape, with the same memory. One size may be -1: it follows from the others.

    Raises RuntimeError where the number of elements does not fit, or where only a copy could have
    the shape: `reshape` makes that copy.

    >>> ta.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    whole = _inferred(as_size((size, *more)), as_tensor(input, "input")._array.size)
    try:
        return View.apply(input, whole)
    except ValueError:
        array = input._array
        raise RuntimeError(
            f"view: size {list(whole)} is not compatible with input tensor's size "
            f"{list(array.shape)} and stride {[s // array.itemsize for s in array.strides]} (at "
            "least one dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        ) from None


def reshape(input: Tensor, shape: Size, *more: int) -> Tensor:
    """input in another shape: a view where possible, else a copy.

    One size may be -1: it follows from the others. Raises RuntimeError where the number of elements
    does not fit.

    >>> ta.tensor([[1, 2, 3], [4, 5, 6]]).T.reshape(-1)
    tensor([1, 4, 2, 5, 3, 6])
    """
    whole = _inferred(as_size((shape, *more), "shape"), as_tensor(input, "input")._array.size)
    try:
        return View.apply(input, whole)
    except ValueError:
        return View.apply(clone(input), whole)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """input.view(other.shape): input in the shape of other."""
    return view(input, _shape(other, "other"))


def contiguous(input: Tensor, memory_format: MemoryFormat | None = None) -> Tensor:
    """input itself where its elements stand in row-major order in memory, else such a copy.
    `memory_format` changes nothing."""
    check_format(memory_format)
    return input if as_tensor(input, "input")._array.flags.c_contiguous else clone(input)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """input with the dimensions from start_dim to end_dim, both included, made one; input itself if
    that is one dimension already.

    >>> ta.ones(2, 3, 4).flatten(1).shape
    (2, 12)
    """
    shape = _shape(input) or (1,)
    start = as_axis(start_dim, len(shape), "start_dim")
    end = as_axis(end_dim, len(shape), "end_dim")
    if start > end:
        raise RuntimeError(
            "flatten() has invalid args: start_dim cannot come after end_dim, got "
            f"{start_dim} and {end_dim}"
        )
    if start == end and input._array.ndim:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """input with one dimension made several, of the given sizes; one of them may be -1.

    >>> ta.ones(2, 12).unflatten(1, (3, -1)).shape
    (2, 3, 4)
    """
    (axis, size), sizes = _size_along("unflatten", input, dim), as_size((sizes,), "sizes")
    try:
        inner = _inferred(sizes, size) if sizes else ()
    except RuntimeError:
        inner = ()
    if not inner:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} "
            f"({size}) in the input tensor"
        )
    shape = _shape(input)
    return reshape(input, (*shape[:axis], *inner, *shape[axis + 1 :]))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """input with a new dimension of size 1 at dim: a view.

    >>> ta.ones(2, 3).unsqueeze(1).shape
    (2, 1, 3)
    """
    shape = _shape(input)
    axis = as_axis(dim, len(shape) + 1)
    return View.apply(input, (*shape[:axis], 1, *shape[axis:]))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """input without its dimensions of size 1, or without those of them that dim names: a view.

    >>> ta.ones(2, 1, 3, 1).squeeze().shape, ta.ones(2, 1, 3, 1).squeeze(1).shape
    ((2, 3), (2, 3, 1))
    """
    shape = _shape(input)
    axes = some_axes(dim, len(shape), "dim")
    return View.apply(input, tuple(n for i, n in enumerate(shape) if n != 1 or i not in axes))


def expand(input: Tensor, size: Size, *more: int) -> Tensor:
    """input with its dimensions of size 1 repeated to `size`: a view, nothing is copied.

    A size of -1 leaves a dimension as it is; new dimensions come first. Raises RuntimeError where a
    dimension that is not 1 would change.

    >>> ta.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return Expand.apply(input, size=_expanded(_shape(input), as_size((size, *more))))


@functools.lru_cache(4096)
def _expanded(shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...]:
    """What the sizes that `expand` gets mean for a tensor of this shape."""
    new = len(size) - len(shape)
    if new < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(size)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(shape)})"
        )
    whole = size[:new] + tuple(
        have if n == -1 else n for n, have in zip(size[new:], shape, strict=True)
    )
    for i, (n, have) in enumerate(zip(whole, (1,) * new + shape, strict=True)):
        if n < 0 or have not in (1, n):
            raise RuntimeError(
                f"expand: The expanded size of the tensor ({n}) must match the existing size "
                f"({have}) at non-singleton dimension {i}. Target sizes: {list(size)}. Tensor "
                f"sizes: {list(shape)}"
            )
    return whole


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """input.expand(other.shape): input repeated to the shape of other."""
    return expand(input, _shape(other, "other"))


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """input.expand(size): input repeated to `size`."""
    return expand(input, size)


# One tensor, its dimensions in another order


def permute(input: Tensor, dims: Size, *more: int) -> Tensor:
    """input with its dimensions in the order dims, which names each of them once: a view.

    >>> ta.ones(2, 3, 4).permute(2, 0, 1).shape
    (4, 2, 3)
    """
    ndim, order = len(_shape(input)), as_size((dims, *more), "dims")
    if len(order) != ndim:
        raise RuntimeError(f"dims: expected {ndim} dimensions, got {list(order)}")
    return Permute.apply(input, some_axes(order, ndim, "dims"))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """input with the dimensions dim0 and dim1 exchanged: a view.

    >>> ta.tensor([[1, 2], [3, 4]]).transpose(0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    ndim = len(_shape(input))
    a, b = as_axis(dim0, ndim, "dim0"), as_axis(dim1, ndim, "dim1")
    axes = list(range(ndim))
    if ndim:
        axes[a], axes[b] = b, a
    return Permute.apply(input, axes)


def t(input: Tensor) -> Tensor:
    """A matrix transposed: a view. A tensor of fewer dimensions stays as it is."""
    if len(_shape(input)) > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but input is {len(_shape(input))}D"
        )
    return reverse_dims(input)


def reverse_dims(input: Tensor) -> Tensor:
    """input with its dimensions in reverse order, which is the property `T`: a view."""
    return Permute.apply(input, tuple(range(len(_shape(input))))[::-1])


def matrix_transpose(input: Tensor) -> Tensor:
    """input with its last two dimensions exchanged, which is the property `mT`: a view."""
    if len(_shape(input)) < 2:
        raise RuntimeError(
            f"mT: expected a matrix or a batch of matrices, got a {len(_shape(input))}-D tensor"
        )
    return transpose(input, -2, -1)


# Parts of one tensor


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """input at one index of dim, without that dimension: a view.

    >>> ta.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    shape = _shape(input)
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis, index = as_axis(dim, len(shape)), as_int(index, "index")
    if not -shape[axis] <= index < shape[axis]:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at dimension "
            f"{axis}"
        )
    return Slice.apply(input, _along(axis, index))


def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """`length` indices of dim, beginning with `start`: a view.

    >>> ta.arange(6).narrow(0, 2, 3)
    tensor([2, 3, 4])
    """
    shape = _shape(input)
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    length = as_int(length, "length")
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, got {length}")
    if isinstance(start, TensorBase) and (start._array.ndim or start._array.dtype.kind != "i"):
        raise RuntimeError("narrow(): start: expected an int or a 0-d tensor of one")
    axis, begin = as_axis(dim, len(shape)), as_int(start, "start")
    size = shape[axis]
    if not -size <= begin <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {begin})"
        )
    begin += size if begin < 0 else 0
    if begin + length > size:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({size}).")
    return Slice.apply(input, _along(axis, slice(begin, begin + length)))


def _size_along(name: str, input: Tensor, dim: int) -> tuple[int, int]:
    """The axis that dim names, and its size; RuntimeError for a tensor without axes."""
    shape = _shape(input)
    if not shape:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    axis = as_axis(dim, len(shape))
    return axis, shape[axis]


def _cut(
    input: Tensor, axis: int, starts: Iterable[int], ends: Iterable[int], cover: bool = True
) -> tuple[Tensor, ...]:
    before = (slice(None),) * axis
    cuts = [(*before, slice(a, b), ...) for a, b in zip(starts, ends, strict=True)]
    return Split.apply(input, cuts, cover)


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """The parts of tensor along dim, as views: all of one size, or of the sizes in a list.

    With one size, the last part may be smaller. Raises RuntimeError where listed sizes do not add
    up to the size of dim.

    >>> ta.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    axis, size = _size_along("split", tensor, dim)
    sizes = as_size((split_size_or_sections,), "split_size_or_sections")
    if isinstance(split_size_or_sections, (tuple, list)):
        if min(sizes, default=0) < 0 or sum(sizes) != size:
            raise RuntimeError(
                f"split: expects sizes that are non-negative and sum exactly to {size} (input "
                f"tensor's size at dimension {axis}), but got {list(split_size_or_sections)}"
            )
        ends = list(accumulate(sizes, initial=0))
        return _cut(tensor, axis, ends[:-1], ends[1:])
    (each,) = sizes
    if each < 0 or (each == 0 and size):
        raise RuntimeError(
            f"split: expects a positive split_size, but got {each} for a dimension of size {size}"
        )
    starts = range(0, max(size, 1), max(each, 1))
    return _cut(tensor, axis, starts, [start + each for start in starts])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of one size along dim, as views; the last part may be smaller.

    >>> ta.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    (axis, size), chunks = _size_along("chunk", input, dim), as_int(chunks, "chunks")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    return split(input, -(-size // chunks) if size else [0] * chunks, axis)


def tensor_split(
    input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0
) -> tuple[Tensor, ...]:
    """The parts of input along dim, as views: a number of them, or cut at the indices in a list.

    For a number, the sizes of the parts differ by at most one.

    >>> ta.arange(5).tensor_split([1, 3])
    (tensor([0]), tensor([1, 2]), tensor([3, 4]))
    """
    axis, size = _size_along("tensor_split", input, dim)
    given = indices_or_sections
    if isinstance(given, TensorBase):
        refuse("tensor_split: a tensor of indices can't be read in a step that is recorded")
    where = given._array.tolist() if isinstance(given, TensorBase) else given
    if isinstance(where, (tuple, list)):
        cuts = as_size(where, "indices_or_sections")
    else:
        n = as_int(where, "indices_or_sections")
        if n <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {n}")
        cuts = tuple(k * (size // n) + min(k, size % n) for k in range(1, n))
    ends = [0, *cuts, size]
    return _cut(input, axis, ends[:-1], ends[1:], cover=ends == sorted(ends))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """A view of input at every index of dim, without that dimension.

    >>> ta.tensor([[1, 2], [3, 4]]).unbind(1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    shape = _shape(input)
    if not shape:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return Unbind.apply(input, as_axis(dim, len(shape)))


# Several tensors in one


def several(name: str, tensors: Sequence[Tensor]) -> tuple[list[Tensor], np.dtype | None]:
    """The tensors as a list, and the dtype of the result where they have different ones."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}: tensors: expected a tuple or list of Tensors, got {type(tensors).__name__}"
        )
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, TensorBase):
            as_tensor(tensor, f"{name}: tensors: element {i}")
    if not tensors:
        error = ValueError if name == "cat" else RuntimeError  # as in PyTorch
        raise error(f"{name}: tensors: expected a non-empty list of Tensors")
    same = len({tensor._array.dtype for tensor in tensors}) == 1
    return list(tensors), None if same else result_type(*(t._array for t in tensors))


def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors one after another along dim. out: where the result is written; it is returned.

    Their sizes agree in every other dimension; only a tensor of shape (0,) may always be among
    them. Raises RuntimeError where sizes do not agree.

    >>> ta.cat([ta.tensor([[1, 2]]), ta.tensor([[3, 4], [5, 6]])])
    tensor([[1, 2],
            [3, 4],
            [5, 6]])
    """
    if out is not None:
        return put_out("cat", out, cat(tensors, dim))
    given, dtype = several("cat", tensors)
    shapes = [tensor._array.shape for tensor in given]
    if () in shapes:
        raise RuntimeError(
            f"zero-dimensional tensor (at position {shapes.index(())}) cannot be concatenated"
        )
    if (0,) in shapes:
        first = next((shape for shape in shapes if shape != (0,)), (0,))
        axis = 0 if first == (0,) else as_axis(dim, len(first))
        nothing = (*first[:axis], 0, *first[axis + 1 :])
        given = [View.apply(t, nothing) if t._array.shape == (0,) else t for t in given]
    else:
        axis = as_axis(dim, len(shapes[0]))
    try:
        return Cat.apply(*given, axis=axis, dtype=dtype)
    except ValueError:
        raise _not_alike(shapes, axis) from None


def _not_alike(shapes: list[tuple[int, ...]], axis: int) -> RuntimeError:
    """The error of `cat` for tensors whose shapes do not agree."""
    first = next(shape for shape in shapes if shape != (0,))
    for i, shape in enumerate(shapes):  # noqa: B007  both are read after the loop
        if shape == (0,):
            continue
        if len(shape) != len(first):
            return RuntimeError(
                f"cat: Tensors must have same number of dimensions: got {len(first)} and "
                f"{len(shape)}"
            )
        if shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            break
    return RuntimeError(
        f"cat: Sizes of tensors must match except in dimension {axis}. Expected {list(first)} "
        f"but got {list(shape)} for tensor number {i} in the list."
    )


def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The tensors, all of one shape, along a new dimension dim. out: as for `cat`.

    Raises RuntimeError where the shapes differ.

    >>> ta.stack([ta.tensor([1, 2]), ta.tensor([3, 4])], 1)
    tensor([[1, 3],
            [2, 4]])
    """
    if out is not None:
        return put_out("stack", out, stack(tensors, dim))
    given, dtype = several("stack", tensors)
    shapes = [tensor._array.shape for tensor in given]
    first = shapes[0]
    axis = as_axis(dim, len(first) + 1)
    if shapes.count(first) != len(shapes):
        i = next(i for i, shape in enumerate(shapes) if shape != first)
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
            f"{list(shapes[i])} at entry {i}"
        )
    return Stack.apply(*given, axis=axis, dtype=dtype)


# Copies with the elements elsewhere


def flip(input: Tensor, dims: Size, *more: int) -> Tensor:
    """A copy with the order of the elements reversed along dims.

    >>> ta.arange(4).flip(0)
    tensor([3, 2, 1, 0])
    """
    return Flip.apply(input, some_axes(as_size((dims, *more), "dims"), len(_shape(input)), "dims"))


def roll(input: Tensor, shifts: Size, dims: Size | None = None) -> Tensor:
    """A copy with the elements moved on by `shifts` along dims.

    Elements that leave at the end come back at the start. Without dims, the elements move in
    row-major order.

    >>> ta.arange(4).roll(1)
    tensor([3, 0, 1, 2])
    """
    ndim, shifts = len(_shape(input)), as_size((shifts,), "shifts")
    axes = () if dims is None else as_size((dims,), "dims")
    if len(shifts) != (1 if dims is None else len(axes)) or not shifts:
        raise RuntimeError(
            f"roll: shifts and dimensions must align. shifts: {len(shifts)}, dims: {len(axes)}"
        )
    if axes and not ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    axes = tuple(as_axis(dim, ndim, "dims") for dim in axes)
    return Roll.apply(input, shifts, None if dims is None else axes)


def repeat(input: Tensor, repeats: Size, *more: int) -> Tensor:
    """A copy of input, repeated so many times along each dimension; new dimensions come first.

    >>> ta.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = as_size((repeats, *more), "repeats")
    if len(times) < len(_shape(input)):
        raise RuntimeError(
            f"repeats: Number of dimensions of repeat dims ({len(times)}) can not be smaller than "
            f"number of dimensions of tensor ({len(_shape(input))})"
        )
    if any(n < 0 for n in times):
        raise RuntimeError(f"repeats: expected no negative number, got {list(times)}")
    return Repeat.apply(input, times)


def _triangle(operation: type[Tril], input: Tensor, diagonal: int) -> Tensor:
    if len(_shape(input)) < 2:
        raise RuntimeError(
            f"{operation.__name__.lower()}: input tensor must have at least 2 dimensions, got "
            f"{list(_shape(input))}"
        )
    return operation.apply(input, as_int(diagonal, "diagonal"))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy with 0 above a diagonal of each matrix: (i, j) is kept where j - i <= diagonal.

    >>> ta.ones(3, 3).tril()
    tensor([[1., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]])
    """
    return _triangle(Tril, input, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy with 0 below a diagonal of each matrix: (i, j) is kept where j - i >= diagonal.

    >>> ta.ones(3, 3).triu(1)
    tensor([[0., 1., 1.],
            [0., 0., 1.],
            [0., 0., 0.]])
    """
    return _triangle(Triu, input, diagonal)
