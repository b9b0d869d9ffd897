"""Matrix products: matmul and its kin, and `linear`. The kernel is kernels/*/matmul.

Letters: A (..., M, K) times B (..., K, P) is C (..., M, P).
"""

import math
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import is_floating_point
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import Backend, backend
from tinyattn.ops._arguments import as_tensor


def rows_product(a: np.ndarray, b: np.ndarray, kernels: Backend) -> np.ndarray:
    """a^T b, a sum over the rows of a (N, M) and b (N, P): (M, P)."""
    return kernels.matmul(a.T, b)


def as_rows(x: np.ndarray) -> np.ndarray:
    """(..., D) as (N, D)."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


class MatMul(Function):
    """C = A B;   dA = dC B^T,  dB = A^T dC  (dC_ij reaches A_ik through B_kj, summed over j)."""

    fresh = True
    caching = (1,)

    def forward(self, a: Any, b: Any) -> Any:
        self.save(a, b)
        if not is_floating_point(a.dtype):
            return np.matmul(a, b)
        self.kernels = backend()
        return self.kernels.matmul(a, b, cache=self.cache(1))

    def backward(self, grad: Any) -> Any:
        a, b = self.saved
        da = db = None
        if self.needs(0):
            da = self.kernels.matmul(grad, b.swapaxes(-1, -2), cache=self.cache(1))
        if self.needs(1):
            if b.ndim == 2:  # one matrix for the whole batch
                rows = as_rows(a), as_rows(grad)
                db = self.over_rows(rows_product, rows, self.kernels)
            else:
                db = self.kernels.matmul(a.swapaxes(-1, -2), grad)
        return da, db


class Linear(Function):
    """y = x W^T + b;   dx = dy W,  dW = dy^T x,  db = the sum of dy's rows.

    x (..., D), W (F, D), b (F,), y (..., F).
    """

    fresh = True
    caching = (1,)

    def forward(self, x: Any, weight: Any, bias: Any = None) -> Any:
        self.save(x, weight)
        self.kernels = backend()
        y = self.kernels.matmul(as_rows(x), weight.T, bias, cache=self.cache(1))
        return y.reshape(*x.shape[:-1], len(weight))

    def backward(self, grad: Any) -> Any:
        x, weight = self.saved
        x_rows, rows = as_rows(x), as_rows(grad)
        dx = dw = db = None
        if self.needs(0):
            dx = self.kernels.matmul(rows, weight, cache=self.cache(1)).reshape(x.shape)
        if self.needs(1):
            dw = self.over_rows(rows_product, (rows, x_rows), self.kernels)
        if self.needs(2):
            db = rows.sum(axis=0)
        return dx, dw, db


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (..., D) times weight (F, D) transposed, plus bias (F,): (..., F)."""
    x, w = as_tensor(input, "input")._array, as_tensor(weight, "weight")._array
    if w.ndim != 2 or x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise RuntimeError(
            "linear: mat1 and mat2 shapes cannot be multiplied: expected input (..., D) and weight "
            f"(F, D), got {list(x.shape)} and {list(w.shape)}"
        )
    _same_dtype("linear", x, w)
    if bias is not None:
        b = as_tensor(bias, "bias")._array
        _same_dtype("linear", x, b)
        if b.shape != w.shape[:1]:
            raise RuntimeError(
                f"linear: bias: expected shape (F,) = {list(w.shape[:1])}, got {list(b.shape)}"
            )
    return Linear.apply(input, weight, bias)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product; batches broadcast, a vector is one row (left) or one column (right)."""
    a, b = as_tensor(input, "input")._array, as_tensor(other, "other")._array
    _same_dtype("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(
            f"matmul: both arguments need at least 1 dimension, got {a.ndim} and {b.ndim}"
        )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise RuntimeError(
            "matmul: mat1 and mat2 shapes cannot be multiplied: expected (..., M, K) and "
            f"(..., K, P), got {list(a.shape)} and {list(b.shape)}"
        )
    left = input.unsqueeze(0) if a.ndim == 1 else input  # type: ignore[attr-defined]
    right = other.unsqueeze(1) if b.ndim == 1 else other  # type: ignore[attr-defined]
    try:
        out = MatMul.apply(left, right)
    except ValueError:
        raise RuntimeError(
            f"matmul: the batch dimensions of {list(a.shape)} and {list(b.shape)} don't broadcast"
        ) from None
    if b.ndim == 1:
        out = out.squeeze(-1)
    return out.squeeze(0 if b.ndim == 1 and a.ndim == 1 else -2) if a.ndim == 1 else out


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """(M, K) times (K, P)."""
    _has_dims("mm", "input", input, 2)
    _has_dims("mm", "mat2", mat2, 2)
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """(B, M, K) times (B, K, P), the same B."""
    _has_dims("bmm", "input", input, 3)
    _has_dims("bmm", "mat2", mat2, 3)
    if input._array.shape[0] != mat2._array.shape[0]:
        raise RuntimeError(
            f"bmm: expected batches of one size, got {list(input._array.shape)} and "
            f"{list(mat2._array.shape)}"
        )
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """(M, K) times (K,)."""
    _has_dims("mv", "input", input, 2)
    _has_dims("mv", "vec", vec, 1)
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of the same length."""
    _has_dims("dot", "input", input, 1)
    _has_dims("dot", "tensor", tensor, 1)
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """(M,) times (P,): (M, P), every product of an element of each."""
    _has_dims("outer", "input", input, 1)
    _has_dims("outer", "vec2", vec2, 1)
    return input.unsqueeze(1) * vec2  # type: ignore[attr-defined]


def _has_dims(function: str, name: str, tensor: Any, ndim: int) -> None:
    shape = as_tensor(tensor, name)._array.shape
    if len(shape) != ndim:
        raise RuntimeError(f"{function}: {name}: expected a {ndim}-D tensor, got {list(shape)}")


def _same_dtype(function: str, a: np.ndarray, b: np.ndarray) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{function}: expected both arguments of one dtype, got {a.dtype} and {b.dtype}"
        )
