"""The kernel table: what every kernel takes and gives, whichever backend computes it.

A method of Backend checks its arguments once, copies what the twins cannot read as it stands,
allocates the outputs and calls the twin of the chosen backend. The twins (reference/, jit/,
native/) then trust what they get: aligned, native-endian, C-contiguous arrays of one float type.
Look first at `Backend.matmul` and `_fit`; choosing a backend stands at the end.
"""

import importlib
import importlib.util
import math
import os
import warnings
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.reference.attention import mask_gradient

Shape = tuple[int, ...]

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)
U64 = np.dtype(np.uint64)
BOOL = np.dtype(np.bool_)

# In order of preference. The value is the folder of the twins.
_FOLDERS = {"native": "native", "numba": "jit", "numpy": "reference"}


def _float_type(kernel: str, name: str, x: Array) -> np.dtype[Any]:
    """The float type of `x` in native byte order; any other type is refused by name."""
    try:
        dtype = x.dtype
    except AttributeError:
        raise TypeError(f"{kernel}: {name} must be a NumPy array, got {type(x).__name__}") from None
    if dtype is F32 or dtype is F64:
        return dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize in (4, 8):
        return F32 if dtype.itemsize == 4 else F64
    raise TypeError(f"{kernel}: {name}: expected float32 or float64, got {dtype}")


def _shape(kernel: str, name: str, x: Array) -> Shape:
    try:
        return x.shape
    except AttributeError:
        raise TypeError(f"{kernel}: {name} must be a NumPy array, got {type(x).__name__}") from None


def _fit(
    kernel: str, name: str, x: Array, dtype: np.dtype[Any], letters: str, shape: Shape
) -> Array:
    """`x` itself where the twins can read it as it stands, else a copy they can read."""
    if type(x) is np.ndarray and x.dtype is dtype and x.shape == shape:
        flags = x.flags
        if flags.c_contiguous and flags.aligned:
            return x
    if _float_type(kernel, name, x) is not dtype:
        raise TypeError(f"{kernel}: {name}: expected {dtype} like the others, got {x.dtype}")
    if x.shape != shape:
        raise ValueError(f"{kernel}: {name} must be {letters} = {shape}, got {x.shape}")
    return np.array(x, dtype, order="C")


def _fit_middle(kernel: str, x: Array) -> tuple[Array, np.dtype[Any]]:
    """x (A, n, C), readable as it stands, and its float type."""
    dtype = _float_type(kernel, "x", x)
    if len(x.shape) != 3:
        raise ValueError(f"{kernel}: x must be (A, n, C), got shape {x.shape}")
    return _fit(kernel, "x", x, dtype, "(A, n, C)", x.shape), dtype


def _finer(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type that sums of a float type run in."""
    return F64 if dtype is F32 else dtype


def _fit_integers(kernel: str, name: str, x: Array, letters: str, shape: Shape) -> Array:
    """The same for int64."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "i" or x.dtype.itemsize != 8:
        raise TypeError(
            f"{kernel}: {name} must be an int64 array, got {getattr(x, 'dtype', type(x).__name__)}"
        )
    if x.shape != shape:
        raise ValueError(f"{kernel}: {name} must be {letters} = {shape}, got {x.shape}")
    flags = x.flags
    if type(x) is np.ndarray and flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x
    return np.array(x, I64, order="C")


def _check_indices(kernel: str, name: str, index: Array, n: int, ignored: int | None) -> None:
    """Refuse what a twin would read or write outside an array of n rows; a negative number is a
    very large one without its sign."""
    if not index.size or np.maximum.reduce(index.view(U64), axis=None) < n:
        return
    outside = index[((index < 0) | (index >= n)) & (True if ignored is None else index != ignored)]
    if outside.size:
        raise IndexError(f"{kernel}: {name} must be in [0, {n}), got {outside[0]}")


def _check_probability(kernel: str, name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{kernel}: {name} must be in [0, 1], got {p}")


def _two_dims(kernel: str, name: str, x: Array, letters: str) -> tuple[int, int]:
    shape = _shape(kernel, name, x)
    if len(shape) != 2:
        raise ValueError(f"{kernel}: {name} must be {letters}, got shape {shape}")
    return shape


def _queries_and_keys(kernel: str, q: Array, k: Array) -> tuple[int, int, int, int]:
    """B, Tq, Tk and H of q (B, Tq, H) and k (B, Tk, H)."""
    if len(_shape(kernel, "q", q)) != 3 or len(_shape(kernel, "k", k)) != 3:
        raise ValueError(
            f"{kernel}: expected q (B, Tq, H) and k (B, Tk, H), got {q.shape} and {k.shape}"
        )
    B, Tq, H = q.shape
    return B, Tq, k.shape[1], H


def _rows(kernel: str, name: str, x: Array) -> Shape | None:
    """(N, n), every axis but the last folded into rows; None where x stands so already."""
    shape = x.shape
    if len(shape) == 2:
        return None
    if not shape:
        raise ValueError(f"{kernel}: {name} must be (..., n), got a scalar")
    return math.prod(shape[:-1]), shape[-1]


def _folded(x: Array, rows: Shape | None) -> Array:
    return x if rows is None else x.reshape(rows)


def _strided(x: Array, dtype: np.dtype[Any]) -> Array:
    """`x` itself where one of its last two axes has unit stride and the other a wide enough one."""
    flags = x.flags
    if type(x) is np.ndarray and x.dtype is dtype and flags.aligned:
        if flags.c_contiguous:
            return x
        rows, columns = x.strides[-2:]
        size = dtype.itemsize
        if columns == size and rows >= x.shape[-1] * size and not rows % size:
            return x
        if rows == size and columns >= x.shape[-2] * size and not columns % size:
            return x
    return np.array(x, dtype, order="C")


def _spread(x: Array, batch: Shape, n: int) -> Array:
    """(..., R, C) broadcast to the batch and folded to (n, R, C), a view where strides allow."""
    tail = x.shape[-2:]
    if x.shape[:-2] != batch:
        x = np.broadcast_to(x, batch + tail)
    return x if len(batch) == 1 else x.reshape(n, *tail)


def _head_rows(
    kernel: str, name: str, x: Array, dtype: np.dtype[Any], letters: str, shape: Shape
) -> Array:
    """`x` itself where its last axis has no gaps, else a copy."""
    if _float_type(kernel, name, x) is not dtype:
        raise TypeError(f"{kernel}: {name}: expected {dtype} like the others, got {x.dtype}")
    if x.shape != shape:
        raise ValueError(f"{kernel}: {name} must be {letters} = {shape}, got {x.shape}")
    flags = x.flags
    if (
        type(x) is np.ndarray
        and x.dtype is dtype
        and flags.aligned
        and (flags.c_contiguous or x.strides[3] == x.itemsize)
    ):
        return x
    return np.array(x, dtype, order="C")


def _empty_heads(x: Array, shape: Shape) -> Array:
    """Room in the memory order of x, whose heads may stand inside its rows; no gaps in a row."""
    out = np.empty_like(x, shape=shape)
    return out if out.strides[3] == out.itemsize else np.empty(shape, x.dtype)


def _attention_inputs(
    kernel: str, q: Array, k: Array, v: Array, mask: Array | None
) -> tuple[Array, Array, Array, Array | None]:
    """q, k and v readable by rows, the mask seen through strides as (B, h, Tq, Tk)."""
    dtype = _float_type(kernel, "q", q)
    shapes = [_shape(kernel, name, x) for name, x in (("q", q), ("k", k), ("v", v))]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            f"{kernel}: expected q (B, h, Tq, D), k (B, h_kv, Tk, D) and v (B, h_kv, Tk, Dv), got "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    B, h, Tq, D = q.shape
    _, h_kv, Tk, Dv = v.shape
    if h % h_kv if h_kv else h:
        raise ValueError(f"{kernel}: h = {h} heads of q are no multiple of the {h_kv} of k and v")
    q = _head_rows(kernel, "q", q, dtype, "(B, h, Tq, D)", q.shape)
    k = _head_rows(kernel, "k", k, dtype, "(B, h_kv, Tk, D)", (B, h_kv, Tk, D))
    v = _head_rows(kernel, "v", v, dtype, "(B, h_kv, Tk, Dv)", (B, h_kv, Tk, Dv))
    if mask is None:
        return q, k, v, None
    if getattr(mask, "dtype", None) != BOOL and _float_type(kernel, "mask", mask) is not dtype:
        raise TypeError(f"{kernel}: mask: expected bool or {dtype} like q, got {mask.dtype}")
    mask = np.asarray(mask)  # of a subclass, the plain array
    if not mask.flags.aligned or not mask.dtype.isnative:
        mask = mask.astype(mask.dtype.newbyteorder("="))
    if mask.ndim and mask.shape[-1] > 1 and mask.strides[-1] not in (0, mask.itemsize):
        mask = np.ascontiguousarray(mask)
    if mask.shape != (B, h, Tq, Tk):
        try:
            mask = np.broadcast_to(mask, (B, h, Tq, Tk))
        except ValueError:
            raise ValueError(
                f"{kernel}: mask {mask.shape} does not broadcast to (B, h, Tq, Tk) = "
                f"{(B, h, Tq, Tk)}"
            ) from None
    return q, k, v, mask


def _sizes(kernel: str, batch_sizes: Array, N: int, B: int) -> Array:
    """Check the packed layout: batch_sizes[0] = B, non-increasing, N rows in all."""
    T = math.prod(_shape(kernel, "batch_sizes", batch_sizes))
    batch_sizes = _fit_integers(kernel, "batch_sizes", batch_sizes, "(T,)", (T,))
    sizes = batch_sizes.tolist()
    if not sizes:
        raise ValueError(f"{kernel}: batch_sizes is empty: expected at least one time step")
    if sizes[0] != B or sizes[-1] < 0 or sorted(sizes, reverse=True) != sizes:
        raise ValueError(
            f"{kernel}: batch_sizes must start with B = {B} and never increase, got {sizes}"
        )
    if sum(sizes) != N:
        raise ValueError(
            f"{kernel}: batch_sizes add up to {sum(sizes)}, but there are N = {N} rows"
        )
    return batch_sizes


def _flat(kernel: str, name: str, arrays: Sequence[Array], like: Sequence[Array]) -> list[Array]:
    """Arrays that are only read, flattened; each of the type and shape of its parameter."""
    if len(arrays) != len(like):
        raise ValueError(f"{kernel}: {len(like)} params but {len(arrays)} {name}")
    if not like:
        return []
    dtype = _float_type(kernel, "params[0]", like[0])
    return [
        _fit(kernel, f"{name}[{i}]", x, dtype, f"the shape of params[{i}]", p.shape).reshape(-1)
        for i, (x, p) in enumerate(zip(arrays, like, strict=True))
    ]


class _InPlace:
    """Flat views of arrays that a kernel changes; those with gaps are copied and written back."""

    __slots__ = ("flat", "gaps")

    def __init__(self, kernel: str, name: str, arrays: Sequence[Array], like: Sequence[Array]):
        if len(arrays) != len(like):
            raise ValueError(f"{kernel}: {len(like)} params but {len(arrays)} {name}")
        self.flat: list[Array] = []
        self.gaps: list[tuple[Array, Array]] = []
        for i, (x, p) in enumerate(zip(arrays, like, strict=True)):
            dtype = _float_type(kernel, f"{name}[0]", like[0])
            shape = _shape(kernel, f"{name}[{i}]", p)
            fit = _fit(kernel, f"{name}[{i}]", x, dtype, f"the shape of params[{i}]", shape)
            if not x.flags.writeable:
                raise ValueError(f"{kernel}: {name}[{i}] is read-only, it cannot change in place")
            if fit is not x:
                self.gaps.append((x, fit))
            self.flat.append(fit.reshape(-1))

    def write_back(self) -> None:
        for x, copy in self.gaps:
            x[...] = copy


class Backend:
    """The kernels of one backend. Arrays in, new arrays out; outputs never share memory with
    inputs.

    Every float argument of one call has one type, float32 or float64. Any strides, alignment and
    byte order will do; the common case (contiguous, native) is passed on without a copy.
    """

    def __init__(self, name: str) -> None:
        """Load the twins of backend `name`; ImportError where they cannot be."""
        package = importlib.import_module(f"tinyattn.kernels.{_FOLDERS[name]}")

        def twins(file: str) -> ModuleType:
            return importlib.import_module(f"{package.__name__}.{file}")

        self.name = name
        self.package = package
        self._matmul = twins("matmul")
        self._softmax = twins("softmax")
        self._cross_entropy = twins("cross_entropy")
        self._embedding = twins("embedding")
        self._attention = twins("attention")
        self._gru = twins("gru")
        self._lstm = twins("lstm")
        self._layer_norm = twins("layer_norm")
        self._additive = twins("additive")
        self._optim = twins("optim")
        self._norm = twins("norm")
        self._reductions = twins("reductions")

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"

    # Products

    def matmul(
        self, a: Array, b: Array, bias: Array | None = None, cache: Cache | None = None
    ) -> Array:
        """a (..., M, K) times b (..., K, P) plus bias (P,), batch axes broadcast -> (..., M, P).

        `cache` belongs to the owner of b: a layout derived from b may be kept there, and the owner
        empties it when b changes.
        """
        dtype = getattr(a, "dtype", None)
        plain = type(a) is np.ndarray and type(b) is np.ndarray and b.dtype is dtype
        if not plain or (dtype is not F32 and dtype is not F64):
            dtype = _float_type("matmul", "a", a)
            if _float_type("matmul", "b", b) is not dtype:
                raise TypeError(f"matmul: a is {a.dtype} but b is {b.dtype}")
            a, b, cache = np.asarray(a, dtype), np.asarray(b, dtype), None
        shape, other = a.shape, b.shape
        if len(shape) < 2 or len(other) < 2 or shape[-1] != other[-2]:
            raise ValueError(
                f"matmul: expected a (..., M, K) and b (..., K, P), got {shape} and {other}"
            )
        M, K = shape[-2:]
        P = other[-1]
        if bias is not None:
            bias = _fit("matmul", "bias", bias, dtype, "(P,)", (P,))
        if not b.flags.carray:
            readable = _strided(b, dtype)
            if readable is not b:
                b, cache = readable, None  # a copy is no one's to keep
        if len(shape) == 2 and len(other) == 2:
            if not a.flags.carray:
                a = _strided(a, dtype)
            out = np.empty((M, P), dtype) if M * P < 1 << 16 else empty((M, P), dtype)
            self._matmul.matmul(a, b, bias, out, cache)
            return out
        if len(other) == 2 and a.strides[-1] == a.itemsize:
            # Rows of the whole batch against one b: a single product, and worth a copy where a has
            # gaps.
            rows = math.prod(shape[:-1])
            out = empty((*shape[:-1], P), dtype)
            folded = _strided(a.reshape(rows, K), dtype)
            self._matmul.matmul(folded, b, bias, out.reshape(rows, P), cache)
            return out
        batch = shape[:-2]
        if batch != other[:-2]:
            try:
                batch = np.broadcast_shapes(batch, other[:-2])
            except ValueError:
                raise ValueError(
                    f"matmul: batch axes {shape[:-2]} and {other[:-2]} do not broadcast"
                ) from None
        n = math.prod(batch)
        out = empty((*batch, M, P), dtype)
        self._matmul.matmul(
            _strided(_spread(a, batch, n), dtype),
            _strided(_spread(b, batch, n), dtype),
            bias,
            out.reshape(n, M, P),
            None,  # a cache is for weights, which are shared by the batch
        )
        return out

    # Softmax, along the last axis

    def softmax(self, x: Array, mask: Array | None = None) -> Array:
        """x (..., n), mask bool broadcastable to x with True = attend -> (..., n).

        A row with nothing to attend gives zeros; a row of -inf without a mask gives NaN, as
        PyTorch's does.
        """
        dtype = _float_type("softmax", "x", x)
        shape = x.shape
        rows = _rows("softmax", "x", x)
        x = _fit("softmax", "x", x, dtype, "(..., n)", shape)
        if mask is not None:
            if not isinstance(mask, np.ndarray) or mask.dtype != BOOL:
                kind = getattr(mask, "dtype", type(mask).__name__)
                raise TypeError(f"softmax: mask must be bool (True = attend), got {kind}")
            if mask.shape != shape:
                try:
                    mask = np.broadcast_to(mask, shape)
                except ValueError:
                    raise ValueError(
                        f"softmax: mask {mask.shape} does not broadcast to x {shape}"
                    ) from None
            mask = _folded(np.ascontiguousarray(mask), rows)
        out = empty(shape, dtype)
        self._softmax.softmax(_folded(x, rows), mask, _folded(out, rows))
        return out

    def softmax_backward(self, y: Array, grad: Array) -> Array:
        """y (..., n) from softmax, grad (..., n) -> dx (..., n)."""
        return self._rowwise("softmax_backward", self._softmax.softmax_backward, y, grad)

    def log_softmax(self, x: Array) -> Array:
        """x (..., n) -> (..., n)."""
        dtype = _float_type("log_softmax", "x", x)
        rows = _rows("log_softmax", "x", x)
        x = _fit("log_softmax", "x", x, dtype, "(..., n)", x.shape)
        out = empty(x.shape, dtype)
        self._softmax.log_softmax(_folded(x, rows), _folded(out, rows))
        return out

    def log_softmax_backward(self, y: Array, grad: Array) -> Array:
        """y (..., n) from log_softmax, grad (..., n) -> dx (..., n)."""
        return self._rowwise("log_softmax_backward", self._softmax.log_softmax_backward, y, grad)

    def _rowwise(self, kernel: str, twin: Any, y: Array, grad: Array) -> Array:
        dtype = _float_type(kernel, "y", y)
        rows = _rows(kernel, "y", y)
        y = _fit(kernel, "y", y, dtype, "(..., n)", y.shape)
        grad = _fit(kernel, "grad", grad, dtype, "the shape of y", y.shape)
        out = empty(y.shape, dtype)
        twin(_folded(y, rows), _folded(grad, rows), _folded(out, rows))
        return out

    # Loss

    def cross_entropy(
        self,
        logits: Array,
        target: Array,
        weight: Array | None,
        ignore_index: int,
        label_smoothing: float,
        scale: float,
        with_grad: bool,
    ) -> tuple[Array, Array | None]:
        """logits (N, V), target (N,) int64, weight (V,) -> losses (N,), grad (N, V) or None.

        The losses are weighted, zero where ignored and not scaled; grad is that of scale *
        sum(losses). The caller has checked that a target is in [0, V) or equals ignore_index.
        """
        dtype = _float_type("cross_entropy", "logits", logits)
        N, V = _two_dims("cross_entropy", "logits", logits, "(N, V)")
        logits = _fit("cross_entropy", "logits", logits, dtype, "(N, V)", (N, V))
        target = _fit_integers("cross_entropy", "target", target, "(N,)", (N,))
        _check_indices("cross_entropy", "target", target, V, ignore_index)
        if weight is not None:
            weight = _fit("cross_entropy", "weight", weight, dtype, "(V,)", (V,))
        _check_probability("cross_entropy", "label_smoothing", label_smoothing)
        losses = np.empty(N, dtype)
        grad = empty((N, V), dtype) if with_grad else None
        self._cross_entropy.cross_entropy(
            logits, target, weight, ignore_index, label_smoothing, scale, losses, grad
        )
        return losses, grad

    # Embedding

    def embedding_backward(
        self, grad: Array, index: Array, num_embeddings: int, padding_idx: int
    ) -> Array:
        """grad (N, D), index (N,) int64 in [0, V) -> (V, D), the rows of grad added up by index.

        Within a row contributions are added in their order in index. Row padding_idx gets nothing
        (-1: none).
        """
        dtype = _float_type("embedding_backward", "grad", grad)
        N, D = _two_dims("embedding_backward", "grad", grad, "(N, D)")
        grad = _fit("embedding_backward", "grad", grad, dtype, "(N, D)", (N, D))
        index = _fit_integers("embedding_backward", "index", index, "(N,)", (N,))
        _check_indices("embedding_backward", "index", index, num_embeddings, None)
        out = np.zeros((num_embeddings, D), dtype)
        self._embedding.embedding_backward(grad, index, padding_idx, out)
        return out

    # Recurrent

    def gru(
        self,
        gx: Array,
        h0: Array,
        w_hh: Array,
        b_hh: Array | None,
        batch_sizes: Array,
        reverse: bool,
        cache: Cache | None = None,
    ) -> tuple[Array, Array, Array]:
        """gx (N, 3H), h0 (B, H), w_hh (3H, H), b_hh (3H,), batch_sizes (T,) int64 -> y (N, H), h_n
        (B, H), saved (N, 4H).

        Packed layout: the rows of one time step stand together, batch_sizes never increases, N =
        sum(batch_sizes). `gx` is x W_ih^T + b_ih in the order r, z, n; `saved` is [r | z | n | hn]
        for gru_backward. h_n holds each row's last state, or with reverse its state after step 0.
        `cache` belongs to the owner of w_hh.
        """
        dtype = _float_type("gru", "gx", gx)
        B, H = _two_dims("gru", "h0", h0, "(B, H)")
        N, _ = _two_dims("gru", "gx", gx, "(N, 3H)")
        gx = _fit("gru", "gx", gx, dtype, "(N, 3H)", (N, 3 * H))
        h0 = _fit("gru", "h0", h0, dtype, "(B, H)", (B, H))
        weights = _fit("gru", "w_hh", w_hh, dtype, "(3H, H)", (3 * H, H))
        if weights is not w_hh:
            w_hh, cache = weights, None  # a copy is no one's to keep
        if b_hh is not None:
            b_hh = _fit("gru", "b_hh", b_hh, dtype, "(3H,)", (3 * H,))
        batch_sizes = _sizes("gru", batch_sizes, N, B)
        y = empty((N, H), dtype)
        h_n = np.empty((B, H), dtype)
        saved = empty((N, 4 * H), dtype)
        self._gru.gru(gx, h0, w_hh, b_hh, batch_sizes, reverse, y, h_n, saved, cache)
        return y, h_n, saved

    def gru_backward(
        self,
        dy: Array | None,
        dh_n: Array | None,
        saved: Array,
        y: Array,
        h0: Array,
        w_hh: Array,
        batch_sizes: Array,
        reverse: bool,
        cache: Cache | None = None,
    ) -> tuple[Array, Array, Array]:
        """dy (N, H) or None, dh_n (B, H) or None (None: zeros), the rest as gru had it -> dgx (N,
        3H), dgh (N, 3H), dh0 (B, H).
        """
        dtype = _float_type("gru_backward", "saved", saved)
        B, H = _two_dims("gru_backward", "h0", h0, "(B, H)")
        N, _ = _two_dims("gru_backward", "saved", saved, "(N, 4H)")
        if dy is not None:
            dy = _fit("gru_backward", "dy", dy, dtype, "(N, H)", (N, H))
        if dh_n is not None:
            dh_n = _fit("gru_backward", "dh_n", dh_n, dtype, "(B, H)", (B, H))
        saved = _fit("gru_backward", "saved", saved, dtype, "(N, 4H)", (N, 4 * H))
        y = _fit("gru_backward", "y", y, dtype, "(N, H)", (N, H))
        h0 = _fit("gru_backward", "h0", h0, dtype, "(B, H)", (B, H))
        weights = _fit("gru_backward", "w_hh", w_hh, dtype, "(3H, H)", (3 * H, H))
        if weights is not w_hh:
            w_hh, cache = weights, None  # a copy is no one's to keep
        batch_sizes = _sizes("gru_backward", batch_sizes, N, B)
        dgx = empty((N, 3 * H), dtype)
        dgh = empty((N, 3 * H), dtype)
        dh0 = np.empty((B, H), dtype)
        self._gru.gru_backward(
            dy, dh_n, saved, y, h0, w_hh, batch_sizes, reverse, dgx, dgh, dh0, cache
        )
        return dgx, dgh, dh0

    def lstm(
        self,
        gx: Array,
        h0: Array,
        c0: Array,
        w_hh: Array,
        b_hh: Array | None,
        batch_sizes: Array,
        reverse: bool,
        cache: Cache | None = None,
    ) -> tuple[Array, Array, Array, Array]:
        """gx (N, 4H), h0, c0 (B, H), w_hh (4H, H), b_hh (4H,), batch_sizes (T,) int64 -> y (N, H),
        h_n, c_n (B, H), saved (N, 5H).

        As gru, with the gates in the order i, f, g, o; `saved` is [i | f | g | o | c], c the cell
        state after the step.
        """
        dtype = _float_type("lstm", "gx", gx)
        B, H = _two_dims("lstm", "h0", h0, "(B, H)")
        N, _ = _two_dims("lstm", "gx", gx, "(N, 4H)")
        gx = _fit("lstm", "gx", gx, dtype, "(N, 4H)", (N, 4 * H))
        h0 = _fit("lstm", "h0", h0, dtype, "(B, H)", (B, H))
        c0 = _fit("lstm", "c0", c0, dtype, "(B, H)", (B, H))
        weights = _fit("lstm", "w_hh", w_hh, dtype, "(4H, H)", (4 * H, H))
        if weights is not w_hh:
            w_hh, cache = weights, None  # a copy is no one's to keep
        if b_hh is not None:
            b_hh = _fit("lstm", "b_hh", b_hh, dtype, "(4H,)", (4 * H,))
        batch_sizes = _sizes("lstm", batch_sizes, N, B)
        y = empty((N, H), dtype)
        h_n, c_n = np.empty((B, H), dtype), np.empty((B, H), dtype)
        saved = empty((N, 5 * H), dtype)
        self._lstm.lstm(gx, h0, c0, w_hh, b_hh, batch_sizes, reverse, y, h_n, c_n, saved, cache)
        return y, h_n, c_n, saved

    def lstm_backward(
        self,
        dy: Array | None,
        dh_n: Array | None,
        dc_n: Array | None,
        saved: Array,
        c0: Array,
        w_hh: Array,
        batch_sizes: Array,
        reverse: bool,
        cache: Cache | None = None,
    ) -> tuple[Array, Array, Array]:
        """dy (N, H), dh_n, dc_n (B, H), each or None for zeros, the rest as lstm had it -> dgates
        (N, 4H), dh0, dc0 (B, H).
        """
        dtype = _float_type("lstm_backward", "saved", saved)
        B, H = _two_dims("lstm_backward", "c0", c0, "(B, H)")
        N, _ = _two_dims("lstm_backward", "saved", saved, "(N, 5H)")
        if dy is not None:
            dy = _fit("lstm_backward", "dy", dy, dtype, "(N, H)", (N, H))
        if dh_n is not None:
            dh_n = _fit("lstm_backward", "dh_n", dh_n, dtype, "(B, H)", (B, H))
        if dc_n is not None:
            dc_n = _fit("lstm_backward", "dc_n", dc_n, dtype, "(B, H)", (B, H))
        saved = _fit("lstm_backward", "saved", saved, dtype, "(N, 5H)", (N, 5 * H))
        c0 = _fit("lstm_backward", "c0", c0, dtype, "(B, H)", (B, H))
        weights = _fit("lstm_backward", "w_hh", w_hh, dtype, "(4H, H)", (4 * H, H))
        if weights is not w_hh:
            w_hh, cache = weights, None  # a copy is no one's to keep
        batch_sizes = _sizes("lstm_backward", batch_sizes, N, B)
        dgates = empty((N, 4 * H), dtype)
        dh0, dc0 = np.empty((B, H), dtype), np.empty((B, H), dtype)
        self._lstm.lstm_backward(
            dy, dh_n, dc_n, saved, c0, w_hh, batch_sizes, reverse, dgates, dh0, dc0, cache
        )
        return dgates, dh0, dc0

    # Attention

    def attention(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        causal: bool,
        scale: float,
        dropout_p: float = 0.0,
        key: int = 0,
    ) -> tuple[Array, Array]:
        """q (B, h, Tq, D), k (B, h_kv, Tk, D), v (B, h_kv, Tk, Dv), mask (B, h, Tq, Tk) or
        broadcastable to it, bool with True = attend or float to be added -> out (B, h, Tq, Dv),
        lse (B, h, Tq), the logarithms of the sums of exponentials.

        Read through their strides where the last axis has no gaps; out stands in memory as q does.
        h / h_kv heads share a key. `causal`: key j <= query i only. A query that attends nothing
        gives zeros. Dropout's numbers depend on `key` (64 bits) and the position only.
        """
        q, k, v, mask = _attention_inputs("attention", q, k, v, mask)
        _check_probability("attention", "dropout_p", dropout_p)
        B, h, Tq, _ = q.shape
        Tk, Dv = v.shape[2:]
        out = _empty_heads(q, (B, h, Tq, Dv))
        lse = np.empty((B, h, Tq), q.dtype)
        if out.size and Tk:
            self._attention.attention(q, k, v, mask, causal, scale, dropout_p, key, out, lse)
        else:
            out[...], lse[...] = 0, -np.inf
        return out, lse

    def attention_backward(
        self,
        grad: Array,
        q: Array,
        k: Array,
        v: Array,
        out: Array,
        lse: Array,
        mask: Array | None,
        causal: bool,
        scale: float,
        dropout_p: float = 0.0,
        key: int = 0,
    ) -> tuple[Array, Array, Array]:
        """grad (B, h, Tq, Dv), the rest as attention had and gave it -> dq, dk, dv, each in the
        shape and memory order of q, k, v.
        """
        kernel = "attention_backward"
        dtype = _float_type(kernel, "q", q)
        q, k, v, mask = _attention_inputs(kernel, q, k, v, mask)
        _check_probability(kernel, "dropout_p", dropout_p)
        shape = (*q.shape[:3], v.shape[3])
        grad = _head_rows(kernel, "grad", grad, dtype, "(B, h, Tq, Dv)", shape)
        out = _head_rows(kernel, "out", out, dtype, "(B, h, Tq, Dv)", shape)
        lse = _fit(kernel, "lse", lse, dtype, "(B, h, Tq)", shape[:3])
        dq, dk, dv = (_empty_heads(x, x.shape) for x in (q, k, v))
        if grad.size and k.shape[2]:
            self._attention.attention_backward(
                grad, q, k, v, out, lse, mask, causal, scale, dropout_p, key, dq, dk, dv
            )
        else:
            dq[...], dk[...], dv[...] = 0, 0, 0
        return dq, dk, dv

    def attention_mask_gradient(
        self,
        grad: Array,
        q: Array,
        k: Array,
        v: Array,
        out: Array,
        lse: Array,
        mask: Array,
        causal: bool,
        scale: float,
        dropout_p: float = 0.0,
        key: int = 0,
    ) -> Array:
        """The gradient at an added mask, before it is summed over broadcast axes: (B, h, Tq, Tk).

        It is as large as all the scores, and NumPy's work in every backend.
        """
        dmask = np.zeros((*q.shape[:3], k.shape[2]), q.dtype)
        mask = np.broadcast_to(mask, dmask.shape)
        if dmask.size:
            mask_gradient(grad, q, k, v, out, lse, mask, causal, scale, dropout_p, key, dmask)
        return dmask

    # Layer norm and RMS norm

    def layer_norm(
        self, x: Array, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Array, Array, Array]:
        """x (N, D), weight (D,), bias (D,) -> y (N, D), mean (N,), rstd (N,); biased variance."""
        dtype = _float_type("layer_norm", "x", x)
        N, D = _two_dims("layer_norm", "x", x, "(N, D)")
        x = _fit("layer_norm", "x", x, dtype, "(N, D)", (N, D))
        if weight is not None:
            weight = _fit("layer_norm", "weight", weight, dtype, "(D,)", (D,))
        if bias is not None:
            bias = _fit("layer_norm", "bias", bias, dtype, "(D,)", (D,))
        out = empty((N, D), dtype)
        mean = np.empty(N, dtype)
        rstd = np.empty(N, dtype)
        self._layer_norm.layer_norm(x, weight, bias, eps, out, mean, rstd)
        return out, mean, rstd

    def layer_norm_backward(
        self, grad: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
    ) -> tuple[Array, Array, Array]:
        """grad (N, D), x (N, D), mean (N,), rstd (N,), weight (D,) -> dx (N, D), dweight (D,),
        dbias (D,).
        """
        dtype = _float_type("layer_norm_backward", "x", x)
        N, D = _two_dims("layer_norm_backward", "x", x, "(N, D)")
        grad = _fit("layer_norm_backward", "grad", grad, dtype, "(N, D)", (N, D))
        x = _fit("layer_norm_backward", "x", x, dtype, "(N, D)", (N, D))
        mean = _fit("layer_norm_backward", "mean", mean, dtype, "(N,)", (N,))
        rstd = _fit("layer_norm_backward", "rstd", rstd, dtype, "(N,)", (N,))
        if weight is not None:
            weight = _fit("layer_norm_backward", "weight", weight, dtype, "(D,)", (D,))
        dx = empty((N, D), dtype)
        dweight = np.empty(D, dtype)
        dbias = np.empty(D, dtype)
        self._layer_norm.layer_norm_backward(grad, x, mean, rstd, weight, dx, dweight, dbias)
        return dx, dweight, dbias

    def rms_norm(self, x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
        """x (N, D), weight (D,) -> y (N, D), rstd (N,)."""
        dtype = _float_type("rms_norm", "x", x)
        N, D = _two_dims("rms_norm", "x", x, "(N, D)")
        x = _fit("rms_norm", "x", x, dtype, "(N, D)", (N, D))
        if weight is not None:
            weight = _fit("rms_norm", "weight", weight, dtype, "(D,)", (D,))
        out = empty((N, D), dtype)
        rstd = np.empty(N, dtype)
        self._layer_norm.rms_norm(x, weight, eps, out, rstd)
        return out, rstd

    def rms_norm_backward(
        self, grad: Array, x: Array, rstd: Array, weight: Array | None
    ) -> tuple[Array, Array]:
        """grad (N, D), x (N, D), rstd (N,), weight (D,) -> dx (N, D), dweight (D,)."""
        dtype = _float_type("rms_norm_backward", "x", x)
        N, D = _two_dims("rms_norm_backward", "x", x, "(N, D)")
        grad = _fit("rms_norm_backward", "grad", grad, dtype, "(N, D)", (N, D))
        x = _fit("rms_norm_backward", "x", x, dtype, "(N, D)", (N, D))
        rstd = _fit("rms_norm_backward", "rstd", rstd, dtype, "(N,)", (N,))
        if weight is not None:
            weight = _fit("rms_norm_backward", "weight", weight, dtype, "(D,)", (D,))
        dx = empty((N, D), dtype)
        dweight = np.empty(D, dtype)
        self._layer_norm.rms_norm_backward(grad, x, rstd, weight, dx, dweight)
        return dx, dweight

    # Additive scores

    def additive(self, q: Array, k: Array, v: Array) -> Array:
        """q (B, Tq, H), k (B, Tk, H), v (H,) -> v . tanh(q_i + k_j), (B, Tq, Tk)."""
        dtype = _float_type("additive", "q", q)
        B, Tq, Tk, H = _queries_and_keys("additive", q, k)
        q = _fit("additive", "q", q, dtype, "(B, Tq, H)", (B, Tq, H))
        k = _fit("additive", "k", k, dtype, "(B, Tk, H)", (B, Tk, H))
        v = _fit("additive", "v", v, dtype, "(H,)", (H,))
        out = empty((B, Tq, Tk), dtype)
        self._additive.additive(q, k, v, out)
        return out

    def additive_backward(
        self, grad: Array, q: Array, k: Array, v: Array
    ) -> tuple[Array, Array, Array]:
        """grad (B, Tq, Tk), the rest as additive had it -> dq, dk, dv."""
        kernel = "additive_backward"
        dtype = _float_type(kernel, "q", q)
        B, Tq, Tk, H = _queries_and_keys(kernel, q, k)
        grad = _fit(kernel, "grad", grad, dtype, "(B, Tq, Tk)", (B, Tq, Tk))
        q = _fit(kernel, "q", q, dtype, "(B, Tq, H)", (B, Tq, H))
        k = _fit(kernel, "k", k, dtype, "(B, Tk, H)", (B, Tk, H))
        v = _fit(kernel, "v", v, dtype, "(H,)", (H,))
        dq, dk, dv = empty((B, Tq, H), dtype), empty((B, Tk, H), dtype), np.empty(H, dtype)
        self._additive.additive_backward(grad, q, k, v, dq, dk, dv)
        return dq, dk, dv

    # Reductions

    def sum(self, x: Array, divisor: float = 1.0, wide: bool = False) -> Array:
        """x (A, n, C) -> (A, C), the sum over the middle axis divided by divisor; `wide`: in
        float64 whatever the type of x, for sums that are added up further."""
        x, dtype = _fit_middle("sum", x)
        A, _, C = x.shape
        out = empty((A, C), _finer(dtype) if wide else dtype)
        self._reductions.sum(x, divisor, out)
        return out

    def moments(self, x: Array) -> tuple[Array, Array]:
        """x (A, n, C) -> mean and sum of the squared deviations from it, (A, C) in float64."""
        x, dtype = _fit_middle("moments", x)
        A, _, C = x.shape
        mean, squares = empty((A, C), _finer(dtype)), empty((A, C), _finer(dtype))
        self._reductions.moments(x, mean, squares)
        return mean, squares

    def squares(self, x: Array) -> Array:
        """x (A, n, C) -> the sum of the squares, (A, C) in float64."""
        x, dtype = _fit_middle("squares", x)
        A, _, C = x.shape
        out = empty((A, C), _finer(dtype))
        self._reductions.moments(x, None, out)
        return out

    def cumsum(self, x: Array, reverse: bool = False) -> Array:
        """x (A, n, C) -> (A, n, C), the sum of all up to each along the middle axis; `reverse`:
        from the last on."""
        x, dtype = _fit_middle("cumsum", x)
        out = empty(x.shape, dtype)
        self._reductions.cumsum(x, reverse, out)
        return out

    # Optimisers, in place

    def adam(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        exp_avgs: Sequence[Array],
        exp_avg_sqs: Sequence[Array],
        steps: Sequence[int],
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        decoupled: bool,
        maximize: bool = False,
    ) -> None:
        """One step of Adam (decoupled: AdamW) over all parameters; params and both averages change
        in place.

        `steps` counts from 1 and includes this step.
        """
        if len(steps) != len(params) or any(step < 1 for step in steps):
            raise ValueError(
                f"adam: expected {len(params)} steps, each at least 1, got {list(steps)}"
            )
        changed = [
            _InPlace("adam", name, arrays, params)
            for name, arrays in (
                ("params", params),
                ("exp_avgs", exp_avgs),
                ("exp_avg_sqs", exp_avg_sqs),
            )
        ]
        p, m, v = (c.flat for c in changed)
        g = _flat("adam", "grads", grads, params)
        self._optim.adam(
            p, g, m, v, list(steps), lr, beta1, beta2, eps, weight_decay, decoupled, maximize
        )
        for c in changed:
            c.write_back()

    def sgd(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        buffers: Sequence[Array] | None,
        lr: float,
        momentum: float,
        dampening: float,
        nesterov: bool,
        weight_decay: float,
        first: Sequence[bool],
        maximize: bool = False,
    ) -> None:
        """One step of SGD over all parameters; params and buffers (None without momentum) change in
        place.

        Where `first` is true the buffer is set to the gradient instead of decayed.
        """
        if buffers is None and momentum:
            raise ValueError(f"sgd: momentum {momentum} needs buffers, got None")
        if len(first) != len(params):
            raise ValueError(f"sgd: {len(params)} params but {len(first)} entries in first")
        changed = [_InPlace("sgd", "params", params, params)]
        if buffers is not None:
            changed.append(_InPlace("sgd", "buffers", buffers, params))
        g = _flat("sgd", "grads", grads, params)
        self._optim.sgd(
            changed[0].flat,
            g,
            changed[1].flat if buffers is not None else None,
            lr,
            momentum,
            dampening,
            nesterov,
            weight_decay,
            list(first),
            maximize,
        )
        for c in changed:
            c.write_back()

    # Clipping

    def global_norm(self, arrays: Sequence[Array]) -> float:
        """The 2-norm over all elements of all arrays, added up in float64 in a fixed order."""
        if not arrays:
            return 0.0
        dtype = _float_type("global_norm", "arrays[0]", arrays[0])
        flat = [
            _fit(
                "global_norm", name := f"arrays[{i}]", x, dtype, "", _shape("global_norm", name, x)
            ).reshape(-1)
            for i, x in enumerate(arrays)
        ]
        return float(self._norm.global_norm(flat))

    def scale(self, arrays: Sequence[Array], factor: float) -> None:
        """Multiply every array by `factor`, in place."""
        if not arrays:
            return
        changed = _InPlace("scale", "arrays", arrays, arrays)
        self._norm.scale(changed.flat, factor)
        changed.write_back()


# The backend in use, process-wide; the others stay loaded so that switching is free.
_current: Backend | None = None
_loaded: dict[str, Backend] = {}
_threads: int | None = None


def backend() -> Backend:
    """The backend in use; the first call chooses it by TINYATTN_BACKEND or takes the best
    installed.
    """
    return _current if _current is not None else _choose()


def _choose() -> Backend:
    global _current
    name = os.environ.get("TINYATTN_BACKEND")
    if name:
        _current = _load(name, "TINYATTN_BACKEND: ")
        return _current
    name = available_backends()[0]
    if name != "native":
        warnings.warn(
            f"the native kernels of tinyattn are not built; using {name}, which is slower "
            "(python -m tinyattn says more)",
            RuntimeWarning,
            stacklevel=3,
        )
    _current = _load(name)
    return _current


def _why_not(name: str) -> str:
    """What stands in the way of a backend, and how to get it; nothing where it is installed."""
    if name == "native":
        try:
            importlib.import_module("tinyattn.kernels.native")
        except ImportError as error:
            return (
                f"its C extension does not load ({error}); with a C compiler at hand, "
                "pip install --force-reinstall --no-cache-dir tinyattn builds it"
            )
    if name == "numba":
        try:
            missing = importlib.util.find_spec("numba") is None
        except ValueError:  # what find_spec says of a module that is blocked
            missing = True
        return "pip install numba" if missing else ""
    return ""


def available_backends() -> tuple[str, ...]:
    """The names use_backend takes on this installation, the fastest first."""
    return tuple(name for name in _FOLDERS if not _why_not(name))


def _load(name: str, context: str = "") -> Backend:
    if name not in _FOLDERS:
        raise ValueError(f"{context}unknown backend {name!r}: choose one of {', '.join(_FOLDERS)}")
    if name not in _loaded:
        if reason := _why_not(name):
            raise RuntimeError(f"{context}backend {name!r} is not installed: {reason}")
        _loaded[name] = Backend(name)
        if _threads is not None:
            _loaded[name].package.set_num_threads(_threads)
    return _loaded[name]


class _Chosen:
    """What use_backend returns; as a context manager it puts back the backend that was there
    before.
    """

    def __init__(self, chosen: Backend, previous: Backend | None) -> None:
        self._chosen = chosen
        self._previous = previous

    def __enter__(self) -> Backend:
        return self._chosen

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        global _current
        _current = self._previous


def use_backend(name: str) -> _Chosen:
    """Choose "native", "numba" or "numpy" for the whole process; in a `with`, until its end.

    ValueError for another name, RuntimeError for one that is not installed.
    """
    global _current
    chosen = _Chosen(_load(name), _current)
    _current = chosen._chosen
    return chosen


def set_num_threads(n: int) -> None:
    """Let kernels use up to `n` threads, the caller's included. Results do not depend on it."""
    global _threads
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"set_num_threads: n must be an int, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"set_num_threads: n must be at least 1, got {n}")
    _threads = int(n)
    for loaded in _loaded.values():
        loaded.package.set_num_threads(_threads)


def get_num_threads() -> int:
    """The number of threads the backend in use works with."""
    return int(backend().package.get_num_threads())


def instruction_set() -> str:
    """What the backend in use runs as: avx512, avx2 or baseline where it is native."""
    return str(backend().package.isa())
