"""Matrix products: matmul and the functions made of it, `linear`, and einsum.

The kernel is kernels/*/matmul. Letters: A (..., M, K) times B (..., K, P) is C (..., M, P). Read
MatMul first.
"""

import math
import string
from collections import Counter
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, TypeAlias, overload

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import Gradient, as_array, rows_product
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import copied, full
from tinyattn.kernels.sums import sum_over
from tinyattn.ops._arguments import as_operand, as_tensor, put_out


def as_rows(x: Array, axes: int = 1) -> Array:
    """(..., D) as (N, D), where D stands for the last `axes` axes, made one."""
    return by_rows(x, axes).reshape(math.prod(x.shape[:-axes]), math.prod(x.shape[-axes:]))


def by_rows(x: Array, axes: int = 1) -> Array:
    """x itself where as_rows gives a view of it, else a copy: an operation that keeps the copy need
    not make it again in backward."""
    if x.flags.c_contiguous:
        return x
    try:
        x.reshape(math.prod(x.shape[:-axes]), math.prod(x.shape[-axes:]), copy=False)
    except ValueError:
        return copied(x)
    return x


class MatMul(Function):
    """C = A B.

    C_ij = sum_k A_ik B_kj, so A_ik gets dC_ij B_kj from every j, and B_kj gets A_ik dC_ij from
    every i:  dA = dC B^T,  dB = A^T dC.

    A vector is a row on the left and a column on the right; C lacks that axis.
    """

    kernels_only = True
    fresh = True
    packs = (1,)

    def forward(self, a: Array, b: Array) -> Array:
        self.save(a=a, b=b)
        if a.dtype.kind != "f":
            return np.matmul(a, b)
        self.kernels = backend()
        if a.ndim > 1 and b.ndim > 1:
            return self.kernels.matmul(a, b, packings=self.packings(1))
        return self.kernels.matmul(_row(a), _column(b)).squeeze(_missing(a, b))

    def backward(self, grad: Array) -> tuple[Gradient | None, ...]:
        a, b = self.saved["a"], self.saved["b"]
        if a.ndim > 1 and b.ndim > 1:
            return self.of_matrices(a, b, grad)
        grad = np.expand_dims(grad, _missing(a, b))
        da, db = self.of_matrices(_row(a), _column(b), grad)
        return da, db if db is None or b.ndim > 1 else as_array(db)[..., 0]

    def of_matrices(self, a: Array, b: Array, grad: Array) -> tuple[Gradient | None, ...]:
        da = db = None
        if self.needs(0):
            da = self.kernels.matmul(grad, b.swapaxes(-1, -2), packings=self.packings(1))
        if self.needs(1):
            if b.ndim == 2:  # one matrix for the whole batch
                a, grad = as_rows(a), as_rows(grad)
            if a.shape[:-2] == b.shape[:-2]:
                db = self.over_rows(rows_product, (a, grad), self.kernels)
            else:
                db = rows_product(a, grad, self.kernels)
        return da, db

    def weighs(self, x: Array) -> bool:
        return True


def _row(a: Array) -> Array:
    return a[None] if a.ndim == 1 else a


def _column(b: Array) -> Array:
    return b[:, None] if b.ndim == 1 else b


def _missing(a: Array, b: Array) -> tuple[int, ...]:
    """The axes that a product of vectors lacks."""
    return (-2,) * (a.ndim == 1) + (-1,) * (b.ndim == 1)


class AddMatMul(MatMul):
    """C = p X + q A B;   dX = p dC,  and dA, dB as for MatMul, with q dC in place of dC.

    With p = 0 the result does not depend on X, not even on a NaN in it.
    """

    def forward(
        self, a: Array, b: Array, x: Array | float = 0, p: float = 1, q: float = 1
    ) -> Array:
        self.p, self.q = p, q
        c = super().forward(a, b) * np.asarray(q, a.dtype)
        return c + np.asarray(p, a.dtype) * x if p else c

    def backward(self, grad: Array) -> tuple[Gradient | None, ...]:
        da, db = super().backward(grad * np.asarray(self.q, grad.dtype))
        return da, db, grad * np.asarray(self.p, grad.dtype)


class Diagonal(Function):
    """y[..., i] = x[..., i, ..., i + offset, ...]: two axes become one, at the end.

    dx = dy on the diagonal, and 0 elsewhere.
    """

    fresh = True

    def forward(self, x: Array, first: int = 0, second: int = 1, offset: int = 0) -> Array:
        self.shape, self.line = x.shape, (offset, first, second)
        return np.array(np.diagonal(x, *self.line))

    def backward(self, grad: Array) -> Array:
        return on_diagonal(grad, self.shape, *self.line)


class DiagonalView(Diagonal):
    """`Diagonal` in the memory of x."""

    view = True

    def forward(self, x: Array, first: int = 0, second: int = 1, offset: int = 0) -> Array:
        self.shape, self.line = x.shape, (offset, first, second)
        return diagonal_of(x, *self.line)


def diagonal_of(x: Array, offset: int, first: int, second: int) -> Array:
    """A view of a diagonal, which may be written into if x may."""
    line = np.diagonal(x, offset, first, second)
    line.setflags(write=x.flags.writeable)
    return line


class DiagonalMatrix(Function):
    """y[i, i + offset] = x[i], counted from where this diagonal begins, and 0 elsewhere.

    dx = dy on the diagonal.
    """

    fresh = True

    def forward(self, x: Array, offset: int = 0) -> Array:
        self.offset, n = offset, len(x) + abs(offset)
        return on_diagonal(x, (n, n), offset)

    def backward(self, grad: Array) -> Array:
        return np.array(np.diagonal(grad, self.offset))


def on_diagonal(
    x: Array, shape: tuple[int, ...], offset: int, first: int = 0, second: int = 1
) -> Array:
    """Zeros of this shape, with x on a diagonal."""
    y = full(shape, 0, x.dtype)
    diagonal_of(y, offset, first, second)[...] = x
    return y


class Linear(Function):
    """y = x W^T + b   with x (..., D), W (F, D), b (F,), y (..., F).

    y_nf = sum_d x_nd W_fd + b_f, so  dx = dy W,  dW = dy^T x,  db = the sum of the rows of dy.
    """

    kernels_only = True
    fresh = True
    packs = (1,)

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        x = by_rows(x)
        self.save(x=x, weight=weight)
        self.kernels = backend()
        y = self.kernels.matmul(as_rows(x), weight.T, bias, packings=self.packings(1))
        return y.reshape(*x.shape[:-1], len(weight))

    def backward(self, grad: Array) -> tuple[Gradient | None, ...]:
        x, weight = self.saved["x"], self.saved["weight"]
        x_rows, rows = as_rows(x), as_rows(grad)
        dx = dw = db = None
        if self.needs(0):
            dx = self.kernels.matmul(rows, weight, packings=self.packings(1)).reshape(x.shape)
        if self.needs(1):
            dw = self.over_rows(rows_product, (rows, x_rows), self.kernels)
        if self.needs(2):
            db = sum_over(rows, (0,))
        return dx, dw, db


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias: input (..., D), weight (F, D), bias (F,) -> (..., F). bias may also be
    (1,) or (), for all F; a weight (D,) gives (...), without an axis F.

    Raises RuntimeError where shapes or dtypes do not fit together.

    >>> F.linear(ta.tensor([1.0, 2.0]), ta.tensor([[3.0, 4.0]]), ta.tensor([0.5]))
    tensor([11.5])
    """
    x, w = as_tensor(input, "input")._array, as_tensor(weight, "weight")._array
    if w.ndim not in (1, 2) or x.ndim == 0 or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            "linear: mat1 and mat2 shapes cannot be multiplied: expected input (..., D) and weight "
            f"(F, D) or (D,), got {list(x.shape)} and {list(w.shape)}"
        )
    _same_dtype("linear", x, w)
    if w.ndim == 1:
        return linear(input, weight[None], bias).squeeze(-1)
    if bias is not None:
        b = as_tensor(bias, "bias")._array
        _same_dtype("linear", x, b)
        if b.shape in ((), (1,)):
            bias = bias.expand(w.shape[:1])
        elif b.shape != w.shape[:1]:
            raise RuntimeError(
                f"linear: bias: expected shape (F,) = {list(w.shape[:1])}, got {list(b.shape)}"
            )
    if x.dtype.kind != "f":
        product = matmul(input, weight.t())
        return product if bias is None else product + bias
    return Linear.apply(input, weight, bias)


def matmul(input: Tensor | Array, other: Tensor | Array, *, out: Tensor | None = None) -> Tensor:
    """The matrix product, written input @ other: (..., M, K) times (..., K, P) is (..., M, P).

    The axes before the last two broadcast. A vector (K,) counts as a row (1, K) on the left and as
    a column (K, 1) on the right; the axis of size 1 is taken out of the result. out: where the
    result is written; it is returned.

    Raises RuntimeError where shapes or dtypes do not fit together.

    >>> ta.tensor([[1, 2], [3, 4]]) @ ta.tensor([10, 1])
    tensor([12, 34])
    """
    if out is not None:
        return put_out("matmul", out, matmul(input, other))
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        input, other = as_operand(input, "input"), as_operand(other, "other")
    a, b = input._array, other._array
    if a.dtype is not b.dtype or a.dtype.kind == "b":
        _numbers("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(
            f"matmul: both arguments need at least 1 dimension, got {a.ndim} and {b.ndim}"
        )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise RuntimeError(
            "matmul: mat1 and mat2 shapes cannot be multiplied: expected (..., M, K) and "
            f"(..., K, P), got {list(a.shape)} and {list(b.shape)}"
        )
    try:
        product: Tensor = MatMul.apply(input, other)
    except ValueError:
        raise RuntimeError(
            f"matmul: the batch dimensions of {list(a.shape)} and {list(b.shape)} don't broadcast"
        ) from None
    return product


def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices: (M, K) times (K, P) is (M, P). out: as for `matmul`."""
    _has_dims("mm", 2, input=input, mat2=mat2)
    return matmul(input, mat2, out=out)


def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices: (B, M, K) times (B, K, P) is (B, M, P). out: as for
    `matmul`."""
    _has_dims("bmm", 3, input=input, mat2=mat2)
    if input._array.shape[0] != mat2._array.shape[0]:
        raise RuntimeError(
            f"bmm: expected batches of one size, got {list(input._array.shape)} and "
            f"{list(mat2._array.shape)}"
        )
    return matmul(input, mat2, out=out)


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha mat1 mat2, with mat1 (M, K) and mat2 (K, P).

    input broadcasts to (M, P). With beta = 0 it is not read, so that a NaN in it does not matter.
    """
    _has_dims("addmm", 2, mat1=mat1, mat2=mat2)
    return _added("addmm", input, mat1, mat2, beta, alpha)


def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha batch1 batch2, with batch1 (B, M, K) and batch2 (B, K, P).

    input broadcasts to (B, M, P). With beta = 0 it is not read, as for addmm."""
    _has_dims("baddbmm", 3, batch1=batch1, batch2=batch2)
    return _added("baddbmm", input, batch1, batch2, beta, alpha)


def _added(
    name: str, input: Tensor, left: Tensor, right: Tensor, beta: float, alpha: float
) -> Tensor:
    x, a, b = as_tensor(input, "input")._array, left._array, right._array
    _same_dtype(name, x, a)
    _numbers(name, a, b)
    shape = (*a.shape[:-1], b.shape[-1])
    if a.shape[-1] != b.shape[-2] or a.shape[:-2] != b.shape[:-2]:
        raise RuntimeError(
            f"{name}: expected (..., M, K) and (..., K, P), got {list(a.shape)} and {list(b.shape)}"
        )
    if x.ndim > len(shape) or any(
        n not in (1, m) for n, m in zip(x.shape[::-1], shape[::-1], strict=False)
    ):
        raise RuntimeError(
            f"{name}: input: {list(x.shape)} does not broadcast to the product's {list(shape)}"
        )
    return AddMatMul.apply(left, right, input, beta, alpha)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector: (M, K) times (K,) is (M,)."""
    as_tensor(vec, "vec")
    _has_dims("mv", 2, input=input)
    _has_dims("mv", 1, vec=vec)
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of the same length: a 0-d tensor."""
    _has_dims("dot", 1, input=input, tensor=tensor)
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """out[i, j] = input[i] vec2[j]: (M,) and (P,) give (M, P)."""
    _has_dims("outer", 1, input=input, vec2=vec2)
    return input.unsqueeze(1) * vec2


# Einstein summation

_LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in PyTorch's order
Label: TypeAlias = str | int  # of a dimension: a letter, or a negative number for one under the ...
Sublist: TypeAlias = Sequence[int | EllipsisType]  # letters by number


@overload
def einsum(equation: str, /, *operands: Tensor | Sequence[Tensor]) -> Tensor: ...
@overload
def einsum(operand: Tensor, labels: Sublist, /, *more: Tensor | Sublist) -> Tensor: ...
def einsum(*args: Any) -> Tensor:
    """Products of the operands, summed over the letters that the output does not have.

    einsum("ij,jk->ik", a, b) is sum_j a[i, j] b[j, k]: each operand has a term that gives every one
    of its dimensions a letter. A letter that stands twice in a term takes the diagonal; ... stands
    for dimensions that broadcast. Without -> the output has the letters that occur once, in
    alphabetical order. The letters may be given as numbers: einsum(a, [0, 1], b, [1, 2], [0, 2]).

    The operands are combined from left to right, two at a time, each time in one matrix product.
    Raises RuntimeError where equation and operands do not fit together.

    >>> ta.einsum("i,ij->j", ta.tensor([1, 10]), ta.tensor([[1, 2], [3, 4]]))
    tensor([31, 42])
    """
    if len(args) < 2:
        raise ValueError("einsum: expected the equation and at least one operand")
    if not isinstance(args[0], str):
        terms = [_term(labels) for labels in args[1::2]]
        arrow = "->" + _term(args[-1]) if len(args) % 2 else ""
        return einsum(",".join(terms) + arrow, *args[: 2 * len(terms) : 2])
    equation, *operands = args
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = list(operands[0])
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(
            f"einsum: {equation!r} has {len(terms)} operands, but {len(operands)} were given"
        )
    shapes = [as_tensor(x, f"operand {i}")._array.shape for i, x in enumerate(operands)]
    named = [_labels(term, shape) for term, shape in zip(terms, shapes, strict=True)]
    dots = sorted({label for labels in named for label in labels if isinstance(label, int)})
    if arrow:
        before, _, after = right.partition("...")
        output = [*before, *(dots if "..." in right else ()), *after]
    else:
        times = Counter(letter for term in terms for letter in term.replace("...", ""))
        output = [*dots, *(letter for letter in _LETTERS if times[letter] == 1)]
    known = {label for labels in named for label in labels}
    if len(set(output)) != len(output) or not known >= set(output):
        raise RuntimeError(
            f"einsum: expected output letters of the operands, each once, got {equation!r}"
        )
    _check_sizes(equation, named, shapes)
    for i in range(len(operands)):
        operands[i] = _diagonals(operands[i], named[i])
    x, labels = operands[0], named[0]
    for i in range(1, len(operands)):
        keep = {*output, *(label for later in named[i + 1 :] for label in later)}
        x, labels = _contracted(x, labels, operands[i], named[i], keep)
    x, labels = _without(x, labels, set(labels) - set(output))
    return _ordered(x, labels, output)


def _term(labels: Sublist) -> str:
    """A list of numbers in [0, 52) and ... as a term of letters."""
    if not all(n is ... or n in range(52) for n in labels):
        raise ValueError(f"einsum: expected subscripts in [0, 52) and ..., got {list(labels)}")
    return "".join("..." if n is ... else _LETTERS[n] for n in labels)


def _labels(term: str, shape: tuple[int, ...]) -> list[Label]:
    """A label for every dimension: its letter, or for those under the ... a number from -1 down."""
    before, dots, after = term.partition("...")
    if not set(before + after) <= set(_LETTERS):
        raise RuntimeError(f"einsum: expected letters and at most one ... in {term!r}")
    rest = len(shape) - len(before) - len(after)
    if rest < 0 or (rest and not dots):
        raise RuntimeError(
            f"einsum: {term!r} names {len(before) + len(after)} dimensions, but its operand is of "
            f"shape {list(shape)}"
        )
    return [*before, *range(-rest, 0), *after]


def _check_sizes(equation: str, named: list[list[Label]], shapes: list[tuple[int, ...]]) -> None:
    """RuntimeError where a letter stands for two sizes; a size of 1 broadcasts."""
    sizes: dict[Label, int] = {}
    for i, (labels, shape) in enumerate(zip(named, shapes, strict=True)):
        for label, n in zip(labels, shape, strict=True):
            if n != 1 and sizes.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum: {equation!r}: {label!r} has size {n} in operand {i} of shape "
                    f"{list(shape)}, but {sizes[label]} before"
                )


def _diagonals(x: Tensor, labels: list[Label]) -> Tensor:
    """x with one dimension for each label; `labels` is changed to match."""
    while len(set(labels)) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        if x.shape[first] != x.shape[second]:
            raise RuntimeError(
                f"einsum: {label!r} occurs twice in an operand, with the sizes {x.shape[first]} "
                f"and {x.shape[second]}"
            )
        x = Diagonal.apply(x, first, second)
        labels[:] = [other for i, other in enumerate(labels) if i not in (first, second)] + [label]
    return x


def _without(x: Tensor, labels: list[Label], gone: set[Label]) -> tuple[Tensor, list[Label]]:
    """x summed over the labels in `gone`, and the labels that stay."""
    axes = tuple(i for i, label in enumerate(labels) if label in gone)
    if axes:
        x = x.squeeze(axes) if all(x.shape[i] == 1 for i in axes) else x.sum(axes)
    return x, [label for label in labels if label not in gone]


def _ordered(x: Tensor, labels: list[Label], order: list[Label]) -> Tensor:
    return x if labels == order else x.permute([labels.index(label) for label in order])


def _contracted(
    x: Tensor, a: list[Label], y: Tensor, b: list[Label], keep: set[Label]
) -> tuple[Tensor, list[Label]]:
    """x with labels a times y with labels b, summed over the labels outside `keep`.

    A label is one of four: of both and kept (batch), of both and summed, of x (rows), or of y
    (columns). With the dimensions of each kind made one, this is one batched matrix product."""
    x, a = _without(x, a, {m for m, n in zip(a, x.shape, strict=True) if n == 1 and m in b})
    y, b = _without(y, b, {m for m, n in zip(b, y.shape, strict=True) if n == 1 and m in a})
    x, a = _without(x, a, set(a) - keep - set(b))
    y, b = _without(y, b, set(b) - keep - set(a))
    batch = [label for label in a if label in b and label in keep]
    summed = [label for label in a if label in b and label not in keep]
    rows = [label for label in a if label not in b]
    columns = [label for label in b if label not in a]
    x, y = _ordered(x, a, batch + rows + summed), _ordered(y, b, batch + summed + columns)
    outer = x.shape[: len(batch)]
    M, P = x.shape[len(batch) : len(batch) + len(rows)], y.shape[len(batch) + len(summed) :]
    if summed:
        K = math.prod(y.shape[len(batch) : len(batch) + len(summed)])
        x = x.reshape((*outer, math.prod(M), K)) @ y.reshape((*outer, K, math.prod(P)))
    else:
        x = x.reshape((*outer, *M, *(1 for _ in P))) * y.reshape((*outer, *(1 for _ in M), *P))
    return x.reshape((*outer, *M, *P)), batch + rows + columns


def _has_dims(function: str, ndim: int, **tensors: Tensor) -> None:
    shapes = {name: as_tensor(tensor, name)._array.shape for name, tensor in tensors.items()}
    for name, shape in shapes.items():
        if len(shape) != ndim:
            raise RuntimeError(f"{function}: {name}: expected a {ndim}-D tensor, got {list(shape)}")


def _same_dtype(function: str, a: Array, b: Array) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{function}: expected both arguments of one dtype, got {a.dtype} and {b.dtype}"
        )


def _numbers(function: str, a: Array, b: Array) -> None:
    _same_dtype(function, a, b)
    if a.dtype.kind == "b":
        raise RuntimeError(f"{function}: expected numbers, got two tensors of bool")
