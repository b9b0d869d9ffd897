"""Names that programs use for a few other operations: lerp, addcmul, diagonal, unfold, index_put.

Each is made of the operations of the files beside, which have the gradients. `triu_` and its like
write into their input, as in ops/in_place.py.
"""

from collections.abc import Sequence

import numpy as np

from tinyattn.autograd.dtypes import Number
from tinyattn.autograd.storage import Tensor, is_constant, results
from tinyattn.ops._arguments import as_axis, as_floats, as_int, as_one, as_tensor
from tinyattn.ops._in_place import in_place
from tinyattn.ops.creation import empty_like, zeros_like
from tinyattn.ops.elementwise import add, clamp, clone, div, log, mul, neg, sub
from tinyattn.ops.indexing import gather, getitem, index_select, setitem
from tinyattn.ops.normalising import softmax
from tinyattn.ops.products import DiagonalView, diagonal_of
from tinyattn.ops.random import exponential_
from tinyattn.ops.rearranging import movedim
from tinyattn.ops.reductions import argmax
from tinyattn.ops.scatter import index_add, scatter
from tinyattn.ops.shape import expand, reshape, select, several, tril, triu, unflatten

# Arithmetic


def lerp(input: Tensor, end: Tensor, weight: Number | Tensor) -> Tensor:
    """input + weight (end - input): input for weight 0, end for weight 1. The three broadcast.

    >>> ta.lerp(ta.zeros(2), ta.tensor([1.0, 4.0]), 0.5)
    tensor([0.5, 2. ])
    """
    for name, value in (("input", input), ("end", end)):
        if as_tensor(value, name)._array.dtype.kind != "f":
            raise RuntimeError(f"lerp: {name}: expected floats, got {value._array.dtype}")
    if input._array.dtype != end._array.dtype:
        raise RuntimeError(
            f"lerp: end: expected the dtype {input._array.dtype} of input, got {end._array.dtype}"
        )
    return add(input, mul(sub(end, input), weight))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 * tensor2; the three broadcast."""
    product = mul(as_tensor(tensor1, "tensor1"), as_tensor(tensor2, "tensor2"))
    return add(as_tensor(input, "input"), product, alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2; the three broadcast. RuntimeError for two integer
    tensors."""
    one, two = as_tensor(tensor1, "tensor1"), as_tensor(tensor2, "tensor2")
    if one._array.dtype.kind != "f" and two._array.dtype.kind != "f":
        raise RuntimeError(
            f"addcdiv: expected floats in tensor1 or tensor2, got {one._array.dtype} and "
            f"{two._array.dtype}"
        )
    return add(as_tensor(input, "input"), div(one, two), alpha=value)


def clamp_min(input: Tensor, min: Tensor | Number) -> Tensor:
    """`clamp` with a lower bound only."""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Tensor | Number) -> Tensor:
    """`clamp` with an upper bound only."""
    return clamp(input, max=max)


def clamp_min_(input: Tensor, min: Tensor | Number) -> Tensor:
    """`clamp_min`, written into input."""
    return in_place(clamp_min, input, min)


def clamp_max_(input: Tensor, max: Tensor | Number) -> Tensor:
    """`clamp_max`, written into input."""
    return in_place(clamp_max, input, max)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A random softmax: that of (logits + g) / tau, with g from the Gumbel distribution. The
    largest is at i with the probability softmax(logits)_i. (Jang et al. 2017, arXiv:1611.01144)

    tau: the smaller, the closer to one-hot. hard: give one-hot vectors, with the gradient of the
    softmax. eps has no effect.
    """
    x = as_floats(logits, "logits", "gumbel_softmax")
    noise = neg(log(exponential_(empty_like(x))))
    soft = softmax(div(add(x, noise), tau), dim)
    if not hard:
        return soft
    axis = as_axis(dim, soft._array.ndim)
    one = scatter(zeros_like(x), axis, argmax(soft, axis, keepdim=True), 1.0)
    return add(sub(one, soft.detach()), soft)


# Shapes and diagonals


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """input in the shape of other, by `reshape`."""
    return reshape(input, as_tensor(other, "other")._array.shape)


def ravel(input: Tensor) -> Tensor:
    """The elements of input as (N,), by `reshape`."""
    return reshape(input, (-1,))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, each expanded to the shape to which all of them broadcast."""
    given, _ = several("broadcast_tensors", tensors)
    try:
        shape = np.broadcast_shapes(*(t._array.shape for t in given))
    except ValueError:
        raise RuntimeError(
            "broadcast_tensors: the shapes don't broadcast: "
            + ", ".join(str(list(t._array.shape)) for t in given)
        ) from None
    return tuple(expand(t, shape) if shape else t for t in given)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonal of each matrix that dim1 and dim2 make; it is the last dimension.

    offset: which one, above the main one if positive, below it if negative.

    >>> ta.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """
    ndim = as_tensor(input, "input")._array.ndim
    first, second = as_axis(dim1, ndim, "dim1"), as_axis(dim2, ndim, "dim2")
    if first == second:
        raise RuntimeError(f"diagonal: dim1 and dim2: expected two dimensions, got {first} twice")
    line = as_int(offset, "offset")
    if is_constant(input):
        return results.view(input, diagonal_of(input._array, line, first, second))
    return DiagonalView.apply(input, first=first, second=second, offset=line)


def fill_diagonal_(input: Tensor, fill_value: Number, wrap: bool = False) -> Tensor:
    """Write one number into the elements of input whose indices are all the same. wrap: only False.

    >>> ta.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape = as_tensor(input, "input")._array.shape
    if wrap:
        raise RuntimeError("fill_diagonal_: wrap: expected False")
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise RuntimeError(
            f"fill_diagonal_: expected a matrix, or dimensions of one size, got {list(shape)}"
        )
    places = results.wrap(np.arange(min(shape)))
    setitem(input, (places,) * len(shape), fill_value)
    return input


def tril_(input: Tensor, diagonal: int = 0) -> Tensor:
    """`tril`, written into input."""
    return in_place(tril, input, diagonal)


def triu_(input: Tensor, diagonal: int = 0) -> Tensor:
    """`triu`, written into input."""
    return in_place(triu, input, diagonal)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of size elements along a dimension, every step elements: dimension then counts the
    windows, and their elements are a new last dimension. A copy.

    >>> ta.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    x = as_tensor(input, "input")
    axis = as_axis(dimension, x._array.ndim, "dimension")
    if not x._array.ndim:
        return select(unfold(reshape(x, (1,)), 0, size, step), 0, 0)
    n, width, stride = x._array.shape[axis], as_one(size, "size", 0), as_one(step, "step", 1)
    if width > n:
        raise RuntimeError(
            f"unfold: size: expected at most {n}, the size of dimension {axis}, got {width}"
        )
    starts = np.arange(0, n - width + 1, stride)
    places = starts[:, None] + np.arange(width)
    picked = index_select(x, axis, results.wrap(places.reshape(-1)))
    return movedim(unflatten(picked, axis, places.shape), axis + 1, -1)


# Indices


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather`, where input and indices first broadcast in every dimension but dim. Without dim
    both are flattened. A negative index counts from the end."""
    x, where = as_tensor(input, "input"), as_tensor(indices, "indices")
    if dim is None:
        return take_along_dim(reshape(x, (-1,)), reshape(where, (-1,)), 0)
    if x._array.ndim != where._array.ndim:
        raise RuntimeError(
            "take_along_dim: expected as many dimensions in indices as in input "
            f"{list(x._array.shape)}, got {list(where._array.shape)}"
        )
    axis = as_axis(dim, x._array.ndim)
    negative = where._array < 0
    if negative.any():
        where = results.wrap(np.where(negative, x._array.shape[axis], 0) + where._array)
    shapes = [list(t._array.shape) for t in (x, where)]
    sizes = [shape.pop(axis) for shape in shapes]
    try:
        common = np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        raise RuntimeError(
            f"take_along_dim: input {list(x._array.shape)} and indices "
            f"{list(where._array.shape)} don't broadcast beside dimension {axis}"
        ) from None
    wide = [
        expand(t, (*common[:axis], n, *common[axis:]))
        for t, n in zip((x, where), sizes, strict=True)
    ]
    return gather(wide[0], axis, wide[1])


def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not 0, as (N, dimensions)."""
    array = as_tensor(input, "input")._array
    return results.wrap(np.argwhere(array))


def index_put(
    input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy of input with values at input[indices]; they are added there if accumulate is True,
    each as often as indices name its place.

    >>> x, i = ta.zeros(3), ta.tensor([0, 0, 2])
    >>> x.index_put((i,), ta.ones(3), accumulate=True)
    tensor([2., 0., 1.])
    """
    x = as_tensor(input, "input")
    _check_values(x, values)
    if not accumulate:
        copy = clone(x)
        setitem(copy, tuple(indices), values)
        return copy
    shape = x._array.shape
    numbers = results.wrap(np.arange(x._array.size).reshape(shape))
    places = getitem(numbers, tuple(indices))
    added = reshape(expand(values, places._array.shape), (-1,))
    return reshape(index_add(reshape(x, (-1,)), 0, reshape(places, (-1,)), added), shape)


def index_put_(
    input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
) -> Tensor:
    """`index_put`, written into input."""
    if accumulate:
        return in_place(index_put, input, indices, values, True)
    _check_values(as_tensor(input, "input"), values)
    setitem(input, tuple(indices), values)
    return input


def _check_values(input: Tensor, values: Tensor) -> None:
    if as_tensor(values, "values")._array.dtype != input._array.dtype:
        raise RuntimeError(
            f"index_put: values: expected the dtype {input._array.dtype} of input, got "
            f"{values._array.dtype}"
        )
