"""The kernel table: what every kernel takes and gives, whichever backend computes it. Look first at
TABLE, then at `Backend.softmax`, a kernel that needs nothing special; `Contract` explains the
statements.

Adding a kernel touches four places, best in this order:

1. reference/NAME.py: the formula, the derivation of its gradient, and both in NumPy. This is the
   definition.
2. here: the statement in TABLE, under the file's name, and a method of Backend with the types and
   the meaning of the arguments. A twin is called with the inputs and the outputs in the order of
   the statement and with the options, which are everything that is no array, between them. More
   than two options stand in one structure of _types.py.
3. jit/NAME.py, native/NAME.py and native/NAME.c: the same functions in Numba and in C. The C file
   joins the list in native/kernels.inc; native/README.md says more.
4. tests/kernels/cases.py: a generator of inputs that has the kernel's name; for a kernel with a
   backward also its results, in OUTPUTS of calls.py. Threads, accuracy, hostile inputs and memory
   are then tested; test_agreement.py gets the bound on the error, test_definition.py an independent
   definition.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from tinyattn.kernels import blocks
from tinyattn.kernels._types import (
    AdamOptions,
    Array,
    AttentionOptions,
    CrossEntropyOptions,
    Packings,
    Recurrence,
    SGDOptions,
    Source,
    Stream,
)
from tinyattn.kernels.blocks import LARGE, empty
from tinyattn.kernels.contract import (
    BOOL,
    F32,
    F64,
    I64,
    MOVED,
    Contract,
    Shape,
    check_batch_sizes,
    check_indices,
    check_probability,
    elements,
    elementwise_inputs,
    float_type,
    picking,
    readable,
    side_by_side,
    spread,
    strided,
    write_back,
)
from tinyattn.kernels.reference import copy, indexing
from tinyattn.kernels.reference.elementwise import OPERATIONS
from tinyattn.kernels.windows import Windows, check_windows

# The folder of the twins of every backend, in order of preference.
FOLDERS = {"native": "native", "numba": "jit", "numpy": "reference"}

# By the file of the twins. Letters: B batch, T time, N rows (packed: B and T in one), H hidden,
# D features, V vocabulary, h heads.
STATEMENTS = {
    "matmul": {
        "matmul": "a (..., M, K), b (..., K, P), bias (P,)? -> out (..., M, P)",
    },
    "int8": {
        "int8_linear": "x (N, K), weight (F, K) uint8, scale (F,), bias (F,)? -> y (N, F)",
        "int8_rows": "index (N,) int64, weight (V, D) uint8, scale (V,) -> y (N, D)",
    },
    "gates": {
        "gru_gates": "gx (N, 3H), gh (N, 3H), h (N, H) -> y (N, H)",
        "lstm_gates": "gx (N, 4H), gh (N, 4H), c (N, H) -> y (N, H), c_n (N, H)",
    },
    "softmax": {
        "softmax": "x (..., n), mask (..., n)? bool broadcast -> y (..., n)",
        "softmax_backward": "y (..., n), grad (..., n) -> dx (..., n)",
        "log_softmax": "x (..., n) -> y (..., n)",
        "log_softmax_backward": "y (..., n), grad (..., n) -> dx (..., n)",
        "logsumexp": "x (A, n, C) -> y (A, C)",
    },
    "cross_entropy": {
        "cross_entropy": "logits (N, V), target (N,) int64, weight (V,)?"
        " -> losses (N,), loss (), grad (N, V)?",
    },
    "nll_loss": {
        "nll_loss": "x (N, V), target (N,) int64, weight (V,)?"
        " -> losses (N,), weights (N,), loss (), total ()",
        "nll_loss_backward": "grad (R,), target (N,) int64, weights (N,), total () -> dx (N, V)",
    },
    "embedding": {
        "embedding_backward": "grad (N, D), index (N,) int64 -> out (V, D)",
    },
    "gru": {
        "gru": "gx (N, 3H), h0 (B, H), w_hh (3H, H), b_hh (3H,)?, batch_sizes (T,) int64"
        " -> y (N, H), h_n (B, H), saved (N, 4H)",
        "gru_backward": "dy (N, H)?, dh_n (B, H)?, saved (N, 4H), y (N, H), h0 (B, H),"
        " w_hh (3H, H), batch_sizes (T,) int64 -> dgx (N, 3H), dgh (N, 3H), dh0 (B, H)",
    },
    "lstm": {
        "lstm": "gx (N, 4H), h0 (B, H), c0 (B, H), w_hh (4H, H), b_hh (4H,)?,"
        " batch_sizes (T,) int64 -> y (N, H), h_n (B, H), c_n (B, H), saved (N, 5H)",
        "lstm_backward": "dy (N, H)?, dh_n (B, H)?, dc_n (B, H)?, saved (N, 5H), c0 (B, H),"
        " w_hh (4H, H), batch_sizes (T,) int64 -> dgates (N, 4H), dh0 (B, H), dc0 (B, H)",
    },
    "attention": {
        "attention": "q (B, h, Tq, D) rows, k (B, h_kv, Tk, D) rows, v (B, h_kv, Tk, Dv) rows,"
        " mask (B, h, Tq, Tk)? bool float broadcast rows"
        " -> out (B, h, Tq, Dv) like q, lse (B, h, Tq)",
        "attention_backward": "grad (B, h, Tq, Dv) rows, q (B, h, Tq, D) rows,"
        " k (B, h_kv, Tk, D) rows, v (B, h_kv, Tk, Dv) rows, out (B, h, Tq, Dv) rows,"
        " lse (B, h, Tq), mask (B, h, Tq, Tk)? bool float broadcast rows"
        " -> dq (B, h, Tq, D) like q, dk (B, h_kv, Tk, D) like k, dv (B, h_kv, Tk, Dv) like v",
        "attention_mask_gradient": "grad (B, h, Tq, Dv) rows, q (B, h, Tq, D) rows,"
        " k (B, h_kv, Tk, D) rows, v (B, h_kv, Tk, Dv) rows, out (B, h, Tq, Dv) rows,"
        " lse (B, h, Tq), mask (B, h, Tq, Tk) bool float broadcast rows -> dmask (B, h, Tq, Tk)",
    },
    "layer_norm": {
        "layer_norm": "x (N, D), weight (D,)?, bias (D,)? -> y (N, D), mean (N,), rstd (N,)",
        "layer_norm_backward": "grad (N, D), x (N, D), mean (N,), rstd (N,), weight (D,)?"
        " -> dx (N, D), dweight (D,), dbias (D,)",
        "rms_norm": "x (N, D), weight (D,)? -> y (N, D), rstd (N,)",
        "rms_norm_backward": "grad (N, D), x (N, D), rstd (N,), weight (D,)?"
        " -> dx (N, D), dweight (D,)",
    },
    "distances": {
        "normalize": "x (N, D) -> y (N, D), size (N,) wide",
        "normalize_backward": "grad (N, D), x (N, D), size (N,) wide -> dx (N, D)",
        "cosine": "x (N, D), y (N, D) -> c (N,)",
        "cosine_backward": "grad (N,), x (N, D), y (N, D) -> dx (N, D), dy (N, D)",
        "pairwise": "x (N, D), y (N, D) -> d (N,), size (N,) wide",
        "pairwise_backward": "grad (N,), x (N, D), y (N, D), size (N,) wide -> dx (N, D)",
    },
    "additive": {
        "additive": "q (B, Tq, H), k (B, Tk, H), v (H,) -> s (B, Tq, Tk)",
        "additive_backward": "grad (B, Tq, Tk), q (B, Tq, H), k (B, Tk, H), v (H,)"
        " -> dq (B, Tq, H), dk (B, Tk, H), dv (H,)",
    },
    "elementwise": {
        "elementwise": "a (...), b (...)?, c (...)? -> out (...)",
        "elementwise_sum": "a (...), b (...)?, c (...)? -> out ()",
    },
    "copy": {
        "copy": "x (...) -> out (...)",
        "fill": "y (...) changed, x ()",
        "triangle": "x (A, N, C) -> y (A, N, C)",
        "place": "x (A, m, C) -> y (A, n, C)",
    },
    "convert": {
        "convert": "x (...) -> y (...)",
    },
    "indexing": {
        "gather": "x (A, n, C), index (A, N, C) int64 -> y (A, N, C)",
        "scatter": "y (A, n, C) changed, index (A, N, C) int64, x (A, N, C)",
        "scatter_add": "x (A, N, C), index (A, N, C) int64 -> y (A, n, C)",
    },
    "reductions": {
        "sum": "x (A, n, C) -> y (A, C)",
        "norm": "x (A, n, C) -> y (A, C)",
        "magnitudes": "x (A, n, C) -> y (A, C) wide",
        "products": "x (A, n, C), y (A, n, C) -> z (A, C)",
        "moments": "x (A, n, C) -> mean (A, C) wide, rest (A, C) wide, squares (A, C) wide",
        "moments_backward": "slope (A, C), x (A, n, C), mean (A, C) wide, rest (A, C) wide"
        " -> dx (A, n, C)",
        "cumsum": "x (A, n, C) -> y (A, n, C)",
    },
    "extremes": {
        "extreme": "x (A, n, C) -> value (A, C), at (A, C) int64, ties (A, C)",
        "topk": "x (A, n, C) -> value (A, k, C), at (A, k, C) int64",
    },
    "prod": {
        "prod": "x (A, n, C) -> y (A, C)",
        "prod_backward": "grad (A, C), x (A, n, C) -> dx (A, n, C)",
        "cumprod": "x (A, n, C) -> y (A, n, C)",
        "cumprod_backward": "grad (A, n, C), x (A, n, C) -> dx (A, n, C)",
    },
    "pooling": {
        "max_pool": "x (N, T) -> y (N, n)",
        "max_pool_backward": "grad (N, n), x (N, T) -> dx (N, T)",
        "mean_pool": "x (N, T) -> y (N, n)",
        "mean_pool_backward": "grad (N, n) -> dx (N, T)",
    },
    "glu": {
        "glu": "x (A, two, C) -> y (A, C)",
        "glu_backward": "grad (A, C), x (A, two, C) -> dx (A, two, C)",
    },
    "random": {
        "uniform": "arrays [] changed",
        "normals": "arrays [] changed",
        "dropout": "x (...) -> y (...)",
    },
    "optim": {
        "adam": "params [] changed, grads [], exp_avgs [] changed, exp_avg_sqs [] changed",
        "sgd": "params [] changed, grads [], buffers []? changed",
    },
    "norm": {
        "global_norm": "arrays []",
        "scale": "arrays [] changed",
    },
}
TABLE = {
    kernel: Contract(kernel, statement)
    for kernels in STATEMENTS.values()
    for kernel, statement in kernels.items()
}


LONGEST = 1 << 16  # K of int8_linear: the sums stay within 32 bits
MOST_K = 64  # of topk: a list of so many is kept in order element by element

# How many inputs an elementwise operation has; the last two arguments are the numbers p and q.
INPUTS = {name: formula.__code__.co_argcount - 2 for name, formula in OPERATIONS.items()}


def alike(inputs: Sequence[Any]) -> tuple[Any, ...] | None:
    """Shape, type and bytes of the largest array, if all arrays among the inputs are C-contiguous,
    of one float type, and of that shape or without axes, and the others are numbers; else None. And
    whether none is without axes."""
    first: Any = None
    plain = True
    for x in inputs:
        if type(x) is ndarray and x.flags.carray:
            if first is None:
                first, dtype, shape = x, x.dtype, x.shape
            elif x.dtype is not dtype:
                return None
            elif x.shape != shape:
                if x.shape and shape:
                    return None
                plain = False
                if not shape:
                    first, shape = x, x.shape
        elif type(x) is not float:
            return None
    if first is None or (dtype is not F32 and dtype is not F64):
        return None
    return shape, dtype, first.nbytes, plain


def _other_inputs(kernel: str, operation: str, inputs: Sequence[Any]) -> ValueError:
    expected = INPUTS.get(operation, "the name of an operation")
    return ValueError(f"{kernel}: expected {expected} inputs of {operation!r}, got {len(inputs)}")


def is_mask(x: Any, shape: Shape) -> bool:
    """Whether x is a C-contiguous array of bools of that shape."""
    return type(x) is ndarray and x.dtype is BOOL and x.shape == shape and x.flags.carray


def _overlaps(x: Array, out: Array) -> bool:
    """Whether x has some of the memory of out, but is not out itself."""
    if x is out or (x.flags.owndata and out.flags.owndata):
        return False
    return np.may_share_memory(x, out)


class Backend:
    """The kernels of one backend. Arrays in, new arrays out; outputs never share memory with
    inputs.

    Every float argument of one call has one type, float32 or float64. Any strides, alignment and
    byte order will do; the common case (contiguous, native) is passed on without a copy.
    """

    def __init__(self, name: str) -> None:
        """Load the twins of backend `name`; ImportError where they cannot be."""
        self.name = name
        self.package = importlib.import_module(f"tinyattn.kernels.{FOLDERS[name]}")
        self._twins: dict[str, Callable[..., Any]] = {}
        for file, kernels in STATEMENTS.items():
            module = importlib.import_module(f"{self.package.__name__}.{file}")
            self._twins |= {kernel: getattr(module, kernel) for kernel in kernels}

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"

    def _call(self, kernel: str, inputs: Sequence[Array | None], *options: Any) -> Any:
        """Check the inputs, make the outputs, run the twin."""
        arrays, outputs = TABLE[kernel].prepare(*inputs)
        self._twins[kernel](*arrays, *options, *outputs)
        return outputs

    def _call_along(self, kernel: str, axis: int, *inputs: Array | None) -> Array:
        """The same along one axis: the twins see (N, n) or, where it is not the last, (A, n, C)."""
        arrays, outputs = TABLE[kernel].prepare(*inputs)
        out = outputs[0]
        shape = out.shape
        if axis != -1 and axis % len(shape) != len(shape) - 1:
            axis %= len(shape)
            rows: Any = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
        else:
            rows = shape if len(shape) == 2 else (math.prod(shape[:-1]), shape[-1])
        if rows == shape:
            self._twins[kernel](*arrays, out)
        else:
            folded = [None if x is None else x.reshape(rows) for x in arrays]
            self._twins[kernel](*folded, out.reshape(rows))
        return out

    # Products

    def matmul(
        self, a: Array, b: Array, bias: Array | None = None, packings: Packings | None = None
    ) -> Array:
        """a (..., M, K) times b (..., K, P) plus bias (P,) -> (..., M, P). Batch axes broadcast.

        Operands are read through their strides where one of the last two axes has no gaps, so a
        transposed operand costs no copy. `packings` belong to the owner of b: packed copies of b
        are kept there, and the owner drops them when b changes.
        """
        dtype = getattr(a, "dtype", None)
        plain = type(a) is np.ndarray and type(b) is np.ndarray and b.dtype is dtype
        if not plain or (dtype is not F32 and dtype is not F64):
            dtype = float_type("matmul", "a", a)
            if float_type("matmul", "b", b) is not dtype:
                raise TypeError(f"matmul: a is {a.dtype} but b is {b.dtype}")
            a, b, packings = np.asarray(a, dtype), np.asarray(b, dtype), None
        shape, other = a.shape, b.shape
        if len(shape) < 2 or len(other) < 2 or shape[-1] != other[-2]:
            raise ValueError(
                f"matmul: expected a (..., M, K) and b (..., K, P), got {shape} and {other}"
            )
        M, K = shape[-2:]
        P = other[-1]
        if bias is not None:
            bias = TABLE["matmul"].inputs[2].fit("matmul", bias, dtype)
            if bias.shape != (P,):
                raise ValueError(f"matmul: bias must be (P,) = {(P,)}, got {bias.shape}")
        if not b.flags.carray:
            readable = strided(b, dtype)
            if readable is not b:
                b, packings = readable, None  # the packings are those of b itself, not of a copy
        if len(shape) == 2 and len(other) == 2:
            if not a.flags.carray:
                a = strided(a, dtype)
            out = (blocks.small if M * P < 1 << 16 else empty)((M, P), dtype)
            self._twins["matmul"](a, b, bias, packings, out)
            return out
        if len(other) == 2 and a.strides[-1] == a.itemsize:
            # Rows of the whole batch against one b: a single product, and worth a copy where a has
            # gaps.
            rows = math.prod(shape[:-1])
            out = empty((*shape[:-1], P), dtype)
            folded = strided(a.reshape(rows, K), dtype)
            self._twins["matmul"](folded, b, bias, packings, out.reshape(rows, P))
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
        a, b = strided(spread(a, batch, n), dtype), strided(spread(b, batch, n), dtype)
        # No packings: they are for weights, which are shared by the batch.
        self._twins["matmul"](a, b, bias, None, out.reshape(n, M, P))
        return out

    def int8_linear(
        self,
        x: Array,
        weight: Array,
        scale: Array,
        bias: Array | None = None,
        packings: Packings | None = None,
    ) -> Array:
        """x (N, K), weight (F, K) uint8, scale (F,), bias (F,) -> x W^T + bias, (N, F), with
        W = (weight - 128) scale and each row of x rounded to integers from -127 to 127.

        The sums are exact, so every backend gives the same bits. `packings` belong to the owner of
        weight. ValueError for a K of more than LONGEST.
        """
        inputs, outputs = TABLE["int8_linear"].prepare(x, weight, scale, bias)
        if inputs[0].shape[1] > LONGEST:
            raise ValueError(f"int8_linear: x (N, K): expected K up to {LONGEST}, got {x.shape}")
        if inputs[1] is not weight:
            packings = None  # the packings are those of the weights themselves
        self._twins["int8_linear"](*inputs, packings, *outputs)
        return outputs[0]

    def int8_rows(self, index: Array, weight: Array, scale: Array) -> Array:
        """The rows of (weight - 128) scale at the index: index (N,) in [0, V), weight (V, D) uint8,
        scale (V,) -> (N, D). IndexError for an index outside [0, V)."""
        inputs, outputs = TABLE["int8_rows"].prepare(index, weight, scale)
        check_indices("int8_rows", "index", inputs[0], len(weight))
        self._twins["int8_rows"](*inputs, *outputs)
        return outputs[0]

    # Elementwise operations

    def elementwise(
        self,
        operation: str,
        inputs: Sequence[Array | float],
        p: float = 0.0,
        q: float = 0.0,
        out: Array | None = None,
    ) -> Array:
        """The operation of this name (reference/elementwise.py has them all) on every element.

        Inputs are arrays, which broadcast and are read through their strides, and at most two
        numbers. `p` and `q` are what a few operations take besides, such as the bounds of
        clamp_numbers. `out` is where the result goes, if it is given; it may be one of the inputs.
        The result has the memory order of the inputs where they share one, else C's.
        """
        if len(inputs) != INPUTS.get(operation):
            raise _other_inputs("elementwise", operation, inputs)
        rest = inputs[1:] if operation == "where" else inputs
        one_loop = alike(rest)
        if one_loop is not None and rest is not inputs and not is_mask(inputs[0], one_loop[0]):
            one_loop = None
        if out is not None and any(type(x) is ndarray and _overlaps(x, out) for x in inputs):
            one_loop = None
        if one_loop is not None:
            (shape, real, size, plain), turned = one_loop, False
        else:
            plain = False
            inputs, real, shape, turned = elementwise_inputs("elementwise", operation, inputs, out)
        if out is None:
            out = (blocks.small if plain and size < LARGE else empty)(shape, real)
        elif out.shape != shape or out.dtype is not real or not out.flags.carray:
            raise ValueError(
                f"elementwise: out must be a C-contiguous {real} array of shape {shape}, "
                f"got {out.dtype} {out.shape}"
            )
        self._twins["elementwise"](operation, inputs, out, p, q, plain)
        return out.T if turned else out

    def elementwise_sum(
        self,
        operation: str,
        inputs: Sequence[Array | float],
        p: float = 0.0,
        divisor: float = 1.0,
    ) -> Array:
        """The sum of what `elementwise` would give, divided by divisor: an array without axes."""
        if len(inputs) != INPUTS.get(operation):
            raise _other_inputs("elementwise_sum", operation, inputs)
        one_loop = alike(inputs)
        if one_loop is None:
            plain = False
            inputs, real, shape, _ = elementwise_inputs("elementwise_sum", operation, inputs, None)
        else:
            shape, real, _, plain = one_loop
        out = blocks.small((), real)
        self._twins["elementwise_sum"](operation, inputs, shape, out, p, divisor, plain)
        return out

    # Copies and indexing. Where nothing is computed, elements may be of any type.

    def copy(self, x: Array, out: Array | None = None) -> Array:
        """x -> a C-contiguous copy; or into `out`, an array of the same shape and type that may
        have any strides.
        """
        x = elements("copy", "x", x)
        if out is None:
            out = empty(x.shape, x.dtype)
        elif out.shape != x.shape or out.dtype != x.dtype or not out.flags.writeable:
            raise ValueError(
                f"copy: out must be a writable {x.dtype} array of shape {x.shape}, got {out.dtype} "
                f"{out.shape}"
            )
        elif np.may_share_memory(x, out):
            x = x.copy()
        if x.size and x.itemsize in MOVED and x.flags.aligned and out.flags.aligned:
            self._twins["copy"](x, out)
        else:
            out[...] = x
        return out

    def fill(self, y: Array, x: Array) -> None:
        """Write one number, x () in the type of y, into every element of y (...), which changes."""
        plain = type(y) is type(x) is ndarray and y.dtype is x.dtype and not x.ndim
        if plain and y.flags.carray and x.flags.aligned and y.itemsize in (4, 8) and y.size:
            self._twins["fill"](y, x)
            return
        own, number = elements("fill", "y", y), elements("fill", "x", x)
        if own.dtype != number.dtype or number.ndim:
            raise ValueError(f"fill: x must be () in {own.dtype}, got {x.shape} in {x.dtype}")
        if not y.flags.writeable:
            raise ValueError("fill: y is read-only, it cannot change in place")
        y[...] = number

    def convert(self, x: Array, dtype: np.dtype[Any]) -> Array:
        """x (...) in another type, C-contiguous. A number that the type can't hold becomes what
        NumPy makes of it."""
        x = elements("convert", "x", x)
        if not x.flags.carray:
            x = readable(x, x.dtype)
        out = empty(x.shape, dtype)
        self._twins["convert"](x, out)
        return out

    def triangle(self, x: Array, k: int, upper: bool) -> Array:
        """x (A, N, C) -> the same, but 0 at (i, j) with j - i > k; with `upper`, with j - i < k."""
        x = elements("triangle", "x", x)
        if x.ndim != 3:
            raise ValueError(f"triangle: x must have three axes, got shape {x.shape}")
        if not isinstance(k, int):
            raise TypeError(f"triangle: k must be an int, got {type(k).__name__}")
        if not x.flags.carray:
            x = readable(x, x.dtype)
        out = empty(x.shape, x.dtype)
        if x.size:
            _, N, C = x.shape
            twin = self._twins["triangle"] if x.itemsize in (4, 8) else copy.triangle
            twin(x, min(max(k, -N), C), upper, out)
        return out

    def place(self, x: Array, n: int, start: int, step: int) -> Array:
        """x (A, m, C) -> (A, n, C), which is x at start, start + step, ... along the middle axis,
        and 0 elsewhere."""
        arrays, outputs = TABLE["place"].prepare(x, (("n", n),))
        m = arrays[0].shape[1]
        if not isinstance(start, int) or not isinstance(step, int):
            raise TypeError(f"place: expected ints as start and step, got {start!r} and {step!r}")
        if start < 0 or step < 1 or start + (m - 1) * step >= n:
            raise ValueError(
                f"place: expected {m} places from start {start} on, by step {step}, in [0, {n})"
            )
        self._twins["place"](arrays[0], start, step, outputs[0])
        return outputs[0]

    def gather(self, x: Array, index: Array) -> Array:
        """x (A, n, C), index (A, N, C) in [0, n) -> (A, N, C): y[a, i, c] = x[a, index[a, i, c], c]

        The index may have size 1 in place of A, and of C. IndexError for one outside [0, n).
        """
        x, index = picking("gather", "x", x, index)
        A, n, C = x.shape
        out = empty((A, index.shape[1], C), x.dtype)
        if out.size and not self._picks("gather", x)(x, index, out):
            check_indices("gather", "index", index, n)
        return out

    def scatter(self, y: Array, index: Array, x: Array) -> None:
        """Write x (A, N, C), or one number (1, 1, 1), into y (A, n, C), which changes:
        y[a, index[a, i, c], c] = x[a, i, c]. Of several numbers at one place the last one stays.

        The index may have size 1 in place of A, and of C. IndexError for one outside [0, n); the
        others may have been written by then.
        """
        target, index = picking("scatter", "y", y, index)
        if not y.flags.writeable:
            raise ValueError("scatter: y is read-only, it cannot change in place")
        A, n, C = y.shape
        N, x = index.shape[1], elements("scatter", "x", x)
        if x.dtype != target.dtype or x.shape not in ((A, N, C), (1, 1, 1)):
            raise ValueError(
                f"scatter: x must be (A, N, C) = {(A, N, C)} or (1, 1, 1) in {target.dtype}, got "
                f"{x.shape} in {x.dtype}"
            )
        if A * N * C and not self._picks("scatter", x)(readable(x, x.dtype), index, target):
            check_indices("scatter", "index", index, n)
        if target is not y:
            y[...] = target

    def scatter_add(self, x: Array, index: Array, n: int, onto: Array | None = None) -> Array:
        """x (A, N, C), index (A, N, C) in [0, n) -> (A, n, C): y[a, j, c] is the sum of x[a, i, c]
        over all i with index[a, i, c] = j, in their order. `onto` (A, n, C) is what the sums begin
        with, if they do not begin with 0.

        The index may have size 1 in place of A, and of C. IndexError for one outside [0, n).
        """
        real = float_type("scatter_add", "x", x)
        x, index = picking("scatter_add", "x", x, index)
        A, N, C = x.shape
        if index.shape[1] != N:
            raise ValueError(f"scatter_add: index must be (A, N, C) = {x.shape}, got {index.shape}")
        out = empty((A, n, C), real)
        if onto is not None:
            onto = elements("scatter_add", "onto", onto)
            if onto.dtype != real:
                raise TypeError(f"scatter_add: onto: expected {real}, got {onto.dtype}")
            if onto.shape != out.shape:
                raise ValueError(
                    f"scatter_add: onto must be (A, n, C) = {out.shape}, got {onto.shape}"
                )
            if not onto.flags.carray:
                onto = readable(onto, real)
        if not x.size:
            out[...] = 0 if onto is None else onto
        elif not self._twins["scatter_add"](x, index, onto, out):
            check_indices("scatter_add", "index", index, n)
        return out

    def _picks(self, kernel: str, x: Array) -> Callable[[Array, Array, Array], bool]:
        """The twin for elements of the size of x; it is NumPy's where the others have none."""
        return self._twins[kernel] if x.itemsize in (4, 8) else getattr(indexing, kernel)

    # Softmax, along the last axis or another

    def softmax(self, x: Array, mask: Array | None = None, axis: int = -1) -> Array:
        """x (..., n), mask (..., n) with True = attend -> (..., n).

        A row with nothing to attend gives zeros; a row of -inf without a mask gives NaN, as
        PyTorch's does. A mask is for the last axis only.
        """
        if mask is not None and axis != -1:
            raise ValueError(f"softmax: axis: expected -1 with a mask, got {axis}")
        return self._call_along("softmax", axis, x, mask)

    def softmax_backward(self, y: Array, grad: Array, axis: int = -1) -> Array:
        """y (..., n) from softmax, grad (..., n) -> dx (..., n)."""
        return self._call_along("softmax_backward", axis, y, grad)

    def log_softmax(self, x: Array, axis: int = -1) -> Array:
        """x (..., n) -> (..., n)."""
        return self._call_along("log_softmax", axis, x)

    def log_softmax_backward(self, y: Array, grad: Array, axis: int = -1) -> Array:
        """y (..., n) from log_softmax, grad (..., n) -> dx (..., n)."""
        return self._call_along("log_softmax_backward", axis, y, grad)

    def logsumexp(self, x: Array) -> Array:
        """x (A, n, C) -> (A, C), the logarithm of the sum of e^x over the middle axis."""
        return self._call("logsumexp", (x,))[0]

    # Loss

    def cross_entropy(
        self,
        logits: Array,
        target: Array,
        weight: Array | None,
        ignore_index: int,
        label_smoothing: float,
        mean: bool,
        with_grad: bool,
    ) -> tuple[Array, Array, Array | None]:
        """logits (N, V), target (N,), weight (V,) -> losses (N,), loss (), grad (N, V) or None.

        The losses are weighted, and zero where the target is ignore_index; loss is their sum, or
        with `mean` their sum divided by that of the weights; grad is the gradient of loss.
        IndexError for any other target outside [0, V).
        """
        check_probability("cross_entropy", "label_smoothing", label_smoothing)
        prepare = TABLE["cross_entropy"].prepare
        inputs, outputs = prepare(logits, target, weight, optional=with_grad)
        options = CrossEntropyOptions(ignore_index, label_smoothing, mean)
        if not self._twins["cross_entropy"](*inputs, options, *outputs):
            check_indices("cross_entropy", "target", inputs[1], logits.shape[1], ignore_index)
        return outputs

    def nll_loss(
        self, x: Array, target: Array, weight: Array | None, ignore_index: int, mean: bool
    ) -> tuple[Array, Array, Array, Array]:
        """x (N, V), target (N,), weight (V,) -> losses (N,), weights (N,), loss (), total ().

        weights has that of each target, 0 where it is ignore_index; losses are weighted; loss is
        their sum, divided by total: 1 or, with `mean`, the sum of weights. IndexError for any other
        target outside [0, V).
        """
        inputs, outputs = TABLE["nll_loss"].prepare(x, target, weight)
        if not self._twins["nll_loss"](*inputs, ignore_index, mean, *outputs):
            check_indices("nll_loss", "target", inputs[1], x.shape[1], ignore_index)
        return outputs

    def nll_loss_backward(
        self,
        grad: Array,
        target: Array,
        weights: Array,
        total: Array,
        ignore_index: int,
        classes: int,
    ) -> Array:
        """grad, one number (1,) or one for each row (N,), and nll_loss's own arrays -> dx (N, V),
        V = classes. IndexError for a target outside [0, V) that is not ignore_index."""
        contract = TABLE["nll_loss_backward"]
        inputs, outputs = contract.prepare(grad, target, weights, total, (("V", classes),))
        if inputs[0].size not in (1, len(inputs[1])):
            raise ValueError(
                f"nll_loss_backward: grad must be (1,) or (N,) = {target.shape}, got {grad.shape}"
            )
        if not self._twins["nll_loss_backward"](*inputs, ignore_index, *outputs):
            check_indices("nll_loss_backward", "target", inputs[1], classes, ignore_index)
        return outputs[0]

    # Embedding

    def embedding_backward(
        self, grad: Array, index: Array, num_embeddings: int, padding_idx: int
    ) -> Array:
        """grad (N, D), index (N,) in [0, V) -> (V, D), the rows of grad added up by index.

        V is num_embeddings. Within a row contributions are added in their order in index. Row
        padding_idx gets nothing (-1: none). IndexError for an index outside [0, V).
        """
        contract = TABLE["embedding_backward"]
        inputs, outputs = contract.prepare(grad, index, (("V", num_embeddings),))
        check_indices("embedding_backward", "index", inputs[1], num_embeddings)
        self._twins["embedding_backward"](*inputs, padding_idx, *outputs)
        return outputs[0]

    # Recurrent

    def _recurrent(
        self,
        kernel: str,
        rows: str,
        states: str,
        inputs: tuple[Array | None, ...],
        reverse: bool,
        packings: Packings | None,
    ) -> Any:
        """`rows` and `states` name the inputs that say how many of them there are, N and B."""
        contract = TABLE[kernel]
        arrays, outputs = contract.prepare(*inputs)
        at = contract.at
        check_batch_sizes(kernel, arrays[-1], len(arrays[at[rows]]), len(arrays[at[states]]))
        own = at["w_hh"]  # what stands before it is the kernel's own
        if arrays[own] is not inputs[own]:
            packings = None  # the packings are those of the weights themselves
        b_hh = arrays[own + 1] if "b_hh" in at else None
        layer = Recurrence(arrays[own], b_hh, arrays[-1], reverse, packings)
        self._twins[kernel](*arrays[:own], layer, *outputs)
        return outputs

    def gru(
        self,
        gx: Array,
        h0: Array,
        w_hh: Array,
        b_hh: Array | None,
        batch_sizes: Array,
        reverse: bool,
        packings: Packings | None = None,
    ) -> tuple[Array, Array, Array]:
        """gx (N, 3H), h0 (B, H), w_hh (3H, H), b_hh (3H,), batch_sizes (T,) -> y (N, H), h_n (B,
        H), saved (N, 4H).

        Packed layout: the rows of one time step stand together, batch_sizes never increases, N =
        sum(batch_sizes). `gx` is x W_ih^T + b_ih in the order r, z, n; `saved` is [r | z | n | hn]
        for gru_backward. h_n holds each row's last state, or with reverse its state after step 0.
        `packings` belong to the owner of w_hh.
        """
        inputs = gx, h0, w_hh, b_hh, batch_sizes
        return self._recurrent("gru", "gx", "h0", inputs, reverse, packings)

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
        packings: Packings | None = None,
    ) -> tuple[Array, Array, Array]:
        """dy (N, H) and dh_n (B, H), where None means zeros, and gru's own arrays -> dgx (N,
        3H), dgh (N, 3H), dh0 (B, H).
        """
        inputs = dy, dh_n, saved, y, h0, w_hh, batch_sizes
        return self._recurrent("gru_backward", "saved", "h0", inputs, reverse, packings)

    def lstm(
        self,
        gx: Array,
        h0: Array,
        c0: Array,
        w_hh: Array,
        b_hh: Array | None,
        batch_sizes: Array,
        reverse: bool,
        packings: Packings | None = None,
    ) -> tuple[Array, Array, Array, Array]:
        """gx (N, 4H), h0 (B, H), c0 (B, H), w_hh (4H, H), b_hh (4H,), batch_sizes (T,) -> y (N, H),
        h_n (B, H), c_n (B, H), saved (N, 5H).

        As gru, with the gates in the order i, f, g, o; `saved` is [i | f | g | o | c], c the cell
        state after the step.
        """
        inputs = gx, h0, c0, w_hh, b_hh, batch_sizes
        return self._recurrent("lstm", "gx", "h0", inputs, reverse, packings)

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
        packings: Packings | None = None,
    ) -> tuple[Array, Array, Array]:
        """dy (N, H), dh_n and dc_n (B, H), where None means zeros, and lstm's own arrays ->
        dgates (N, 4H), dh0 (B, H), dc0 (B, H).
        """
        inputs = dy, dh_n, dc_n, saved, c0, w_hh, batch_sizes
        return self._recurrent("lstm_backward", "saved", "c0", inputs, reverse, packings)

    def gru_gates(self, gx: Array, gh: Array, h: Array) -> Array:
        """One step of a GRU: gx = x W_ih^T + b_ih and gh = h W_hh^T + b_hh (N, 3H), h (N, H) -> the
        new state (N, H)."""
        return self._call("gru_gates", (gx, gh, h))[0]

    def lstm_gates(self, gx: Array, gh: Array, c: Array) -> tuple[Array, Array]:
        """One step of an LSTM: gx = x W_ih^T + b_ih and gh = h W_hh^T + b_hh (N, 4H), c (N, H) ->
        the new h and c (N, H)."""
        return self._call("lstm_gates", (gx, gh, c))

    # Attention

    def attention(
        self, q: Array, k: Array, v: Array, mask: Array | None, options: AttentionOptions
    ) -> tuple[Array, Array]:
        """q (B, h, Tq, D), k (B, h_kv, Tk, D), v (B, h_kv, Tk, Dv), mask (B, h, Tq, Tk) -> out (B,
        h, Tq, Dv), lse (B, h, Tq).

        A bool mask has True = attend, a float mask is added to the scores. lse is the logarithm of
        the sum of the exponentials of a query's scores. h / h_kv heads share a key. A query that
        attends nothing gives zeros. out stands in memory as q does.
        """
        inputs, (out, lse) = _heads("attention", (q, k, v, mask), options)
        if out.size and inputs[1].shape[2]:
            self._twins["attention"](*inputs, options, out, lse)
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
        options: AttentionOptions,
    ) -> tuple[Array, Array, Array]:
        """grad (B, h, Tq, Dv) and attention's own arrays -> dq, dk, dv, each in the shape and
        memory order of q, k, v.
        """
        inputs = grad, q, k, v, out, lse, mask
        arrays, (dq, dk, dv) = _heads("attention_backward", inputs, options)
        if (together := side_by_side(*arrays[1:4])) is not None:
            dq, dk, dv = together
        elif (together := side_by_side(*arrays[2:4])) is not None:
            dk, dv = together
        if out.size and dk.shape[2]:
            self._twins["attention_backward"](*arrays, options, dq, dk, dv)
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
        options: AttentionOptions,
    ) -> Array:
        """The gradient at a float mask, (B, h, Tq, Tk), before it is summed over broadcast axes.

        It has the size of all scores. Every backend computes it in NumPy.
        """
        inputs = grad, q, k, v, out, lse, mask
        arrays, (dmask,) = _heads("attention_mask_gradient", inputs, options)
        if dmask.size:
            self._twins["attention_mask_gradient"](*arrays, options, dmask)
        return dmask

    # Layer norm and RMS norm

    def layer_norm(
        self, x: Array, weight: Array | None, bias: Array | None, eps: float
    ) -> tuple[Array, Array, Array]:
        """x (N, D), weight (D,), bias (D,) -> y (N, D), mean (N,), rstd (N,); biased variance."""
        return self._call("layer_norm", (x, weight, bias), eps)

    def layer_norm_backward(
        self, grad: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
    ) -> tuple[Array, Array, Array]:
        """grad (N, D), x (N, D), mean (N,), rstd (N,), weight (D,) -> dx (N, D), dweight (D,),
        dbias (D,).
        """
        return self._call("layer_norm_backward", (grad, x, mean, rstd, weight))

    def rms_norm(self, x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
        """x (N, D), weight (D,) -> y (N, D), rstd (N,)."""
        return self._call("rms_norm", (x, weight), eps)

    def rms_norm_backward(
        self, grad: Array, x: Array, rstd: Array, weight: Array | None
    ) -> tuple[Array, Array]:
        """grad (N, D), x (N, D), rstd (N,), weight (D,) -> dx (N, D), dweight (D,)."""
        return self._call("rms_norm_backward", (grad, x, rstd, weight))

    # Directions and distances

    def normalize(self, x: Array, eps: float) -> tuple[Array, Array]:
        """x (N, D) -> x / max(|x|, eps), and |x| (N,) in float64, for the rows of x."""
        return self._call("normalize", (x,), eps)

    def normalize_backward(self, grad: Array, x: Array, size: Array, eps: float) -> Array:
        """grad (N, D), x (N, D), size (N,) of normalize -> dx (N, D)."""
        return self._call("normalize_backward", (grad, x, size), eps)[0]

    def cosine(self, x: Array, y: Array, eps: float) -> Array:
        """x (N, D), y (N, D) -> x . y / (max(|x|, eps) max(|y|, eps)), (N,)."""
        return self._call("cosine", (x, y), eps)[0]

    def cosine_backward(self, grad: Array, x: Array, y: Array, eps: float) -> tuple[Array, Array]:
        """grad (N,), x (N, D), y (N, D) -> dx (N, D), dy (N, D)."""
        return self._call("cosine_backward", (grad, x, y), eps)

    def pairwise(self, x: Array, y: Array, eps: float) -> tuple[Array, Array]:
        """x (N, D), y (N, D) -> |x - y + eps|, (N,), and the same in float64."""
        return self._call("pairwise", (x, y), eps)

    def pairwise_backward(self, grad: Array, x: Array, y: Array, size: Array, eps: float) -> Array:
        """grad (N,), x (N, D), y (N, D), size (N,) of pairwise -> dx (N, D); dy is -dx."""
        return self._call("pairwise_backward", (grad, x, y, size), eps)[0]

    # Additive scores

    def additive(self, q: Array, k: Array, v: Array) -> Array:
        """q (B, Tq, H), k (B, Tk, H), v (H,) -> v . tanh(q_i + k_j), (B, Tq, Tk)."""
        return self._call("additive", (q, k, v))[0]

    def additive_backward(
        self, grad: Array, q: Array, k: Array, v: Array
    ) -> tuple[Array, Array, Array]:
        """grad (B, Tq, Tk), the rest as additive had it -> dq, dk, dv."""
        return self._call("additive_backward", (grad, q, k, v))

    # Reductions over the middle axis

    def sum(self, x: Array, divisor: float = 1.0, wide: bool = False) -> Array:
        """x (A, n, C) -> (A, C), the sum over the middle axis divided by divisor; `wide`: in
        float64 whatever the type of x, for sums that are added up further.
        """
        (x,), (out,) = TABLE["sum"].prepare(x)
        if wide and out.dtype is F32:
            out = empty(out.shape, F64)
        self._twins["sum"](x, divisor, out)
        return out

    def norm(self, x: Array) -> Array:
        """x (A, n, C) -> the root of the sum of the squares, (A, C). The squares of float64 may
        over- or underflow."""
        (x,), (out,) = TABLE["norm"].prepare(x)
        self._twins["norm"](x, out)
        return out

    def magnitudes(self, x: Array) -> Array:
        """x (A, n, C) -> the sum of |x|, (A, C) in float64."""
        return self._call("magnitudes", (x,))[0]

    def products(self, x: Array, y: Array) -> Array:
        """x, y (A, n, C) -> the sum of the x y, (A, C)."""
        return self._call("products", (x, y))[0]

    def moments(self, x: Array) -> tuple[Array, Array, Array]:
        """x (A, n, C) -> mean, what rounding has lost of it, and the sum of the squared deviations,
        (A, C) in float64."""
        return self._call("moments", (x,))

    def moments_backward(self, slope: Array, x: Array, mean: Array, rest: Array) -> Array:
        """slope (A, C), x (A, n, C), mean and rest (A, C) from moments -> slope (x - mean), (A, n,
        C)."""
        return self._call("moments_backward", (slope, x, mean, rest))[0]

    def cumsum(self, x: Array, reverse: bool = False) -> Array:
        """x (A, n, C) -> (A, n, C), the sum of all up to each along the middle axis; `reverse`:
        from the last on.
        """
        return self._call("cumsum", (x,), reverse)[0]

    # Extremes along the middle axis

    def extreme(self, x: Array, sign: float = 1.0) -> tuple[Array, Array, Array]:
        """x (A, n, C) -> the first largest element, its place on the axis (int64), and how many are
        equal to it, (A, C). With sign -1 the smallest; a NaN counts as either. ValueError if n is
        0, or sign neither 1 nor -1."""
        if sign not in (1.0, -1.0):
            raise ValueError(f"extreme: sign: expected 1 or -1, got {sign}")
        inputs, outputs = TABLE["extreme"].prepare(x)
        if not inputs[0].shape[1]:
            raise ValueError(f"extreme: x (A, n, C): expected n of at least 1, got {x.shape}")
        self._twins["extreme"](*inputs, sign, *outputs)
        return outputs

    def topk(self, x: Array, k: int, largest: bool = True) -> tuple[Array, Array]:
        """x (A, n, C) -> the k largest elements in order, or the smallest, and where they stand on
        the axis (int64), (A, k, C). Of equals the first; a NaN counts as larger than any number.
        1 <= k <= MOST_K and k <= n."""
        if isinstance(k, int) and 1 <= k <= MOST_K:
            inputs, outputs = TABLE["topk"].prepare(x, (("k", k),))
            if k <= inputs[0].shape[1]:
                self._twins["topk"](*inputs, largest, *outputs)
                return outputs
        shape = np.shape(x)
        raise ValueError(f"topk: k: expected 1 to {MOST_K}, at most n, got {k} of {shape}")

    # Products over the middle axis

    def prod(self, x: Array) -> Array:
        """x (A, n, C) -> (A, C)."""
        return self._call("prod", (x,))[0]

    def prod_backward(self, grad: Array, x: Array) -> Array:
        """grad (A, C), x (A, n, C) -> dx (A, n, C)."""
        return self._call("prod_backward", (grad, x))[0]

    def cumprod(self, x: Array) -> Array:
        """x (A, n, C) -> (A, n, C), the product of all up to each along the middle axis."""
        return self._call("cumprod", (x,))[0]

    def cumprod_backward(self, grad: Array, x: Array) -> Array:
        """grad, x (A, n, C) -> dx (A, n, C)."""
        return self._call("cumprod_backward", (grad, x))[0]

    # GLU

    def glu(self, x: Array) -> Array:
        """x (A, 2, C), the halves a and b -> a sigmoid(b), (A, C)."""
        _check_halves("glu", x)
        return self._call("glu", (x,))[0]

    def glu_backward(self, grad: Array, x: Array) -> Array:
        """grad (A, C), x (A, 2, C) -> dx (A, 2, C)."""
        _check_halves("glu_backward", x)
        return self._call("glu_backward", (grad, x))[0]

    # Pooling

    def max_pool(self, x: Array, windows: Windows) -> Array:
        """x (N, T) -> (N, n), the largest number of each of the n windows. A NaN is the largest; a
        window without a step gives -inf."""
        return self._pool("max_pool", (x,), windows)

    def max_pool_backward(self, grad: Array, x: Array, windows: Windows) -> Array:
        """grad (N, n), x (N, T) -> dx (N, T): each gradient goes to the first largest number."""
        return self._pool("max_pool_backward", (grad, x), windows)

    def mean_pool(self, x: Array, windows: Windows) -> Array:
        """x (N, T) -> (N, n), the sum of each window, divided by the number of its steps or by
        `windows.divisor`."""
        return self._pool("mean_pool", (x,), windows)

    def mean_pool_backward(self, grad: Array, windows: Windows) -> Array:
        """grad (N, n) -> dx (N, T)."""
        return self._pool("mean_pool_backward", (grad,), windows)

    def _pool(self, kernel: str, inputs: tuple[Array, ...], windows: Windows) -> Array:
        check_windows(kernel, windows)
        sizes = ("T", windows.T), ("n", windows.n)
        arrays, outputs = TABLE[kernel].prepare(*inputs, sizes)
        self._twins[kernel](*arrays, windows, *outputs)
        return outputs[0]

    # Random numbers

    def uniform(self, arrays: Sequence[Array], stream: Stream) -> None:
        """Fill the arrays, one after another, with numbers from [0, 1): those that numpy.random
        draws from a Philox that stands where `stream` says."""
        self._in_place("uniform", (arrays,), (stream,))

    def normals(self, arrays: Sequence[Array], source: Source) -> Source:
        """Fill the arrays, one after another, with normal numbers: those that numpy.random draws
        from a Philox that stands where `source` says. Gives where it stands then."""
        return self._in_place("normals", (arrays,), (source,))

    def dropout(
        self, x: Array, stream: Stream, p: float, scale: float, places: Array | None = None
    ) -> Array:
        """x, an array of any shape, times `scale` where a number is p or more, and times 0
        elsewhere. The numbers are uniform in float32, from `stream` on, in the order of x.

        places (R,): x is R rows out of a larger array, of the numbers places[i] there, and has
        those numbers that they would have there."""
        check_probability("dropout", "p", p)
        if places is not None:
            places = _integers("dropout", "places", "(R,)", places)
            _check_places(np.size(x), places)
        return self._call("dropout", (x,), stream, p, scale, places)[0]

    # Optimisers, in place

    def adam(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        exp_avgs: Sequence[Array],
        exp_avg_sqs: Sequence[Array],
        steps: Sequence[int],
        options: AdamOptions,
    ) -> None:
        """One step of Adam or AdamW over all parameters; params and both averages change in place.

        `steps` has a number for each parameter; it counts from 1 and includes this step.
        """
        if len(steps) != len(params) or any(step < 1 for step in steps):
            raise ValueError(
                f"adam: expected {len(params)} steps, each at least 1, got {list(steps)}"
            )
        self._in_place("adam", (params, grads, exp_avgs, exp_avg_sqs), (list(steps), options))

    def sgd(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        buffers: Sequence[Array] | None,
        first: Sequence[bool],
        options: SGDOptions,
    ) -> None:
        """One step of SGD over all parameters; params and buffers change in place. Without momentum
        buffers is None.

        Where `first` is true the buffer is set to the gradient instead of decayed.
        """
        if buffers is None and options.momentum:
            raise ValueError(f"sgd: momentum {options.momentum} needs buffers, got None")
        if len(first) != len(params):
            raise ValueError(f"sgd: {len(params)} params but {len(first)} entries in first")
        self._in_place("sgd", (params, grads, buffers), (list(first), options))

    def _in_place(
        self, kernel: str, lists: tuple[Sequence[Array] | None, ...], options: tuple[Any, ...]
    ) -> Any:
        flat, gaps = TABLE[kernel].prepare_lists(lists)
        result = self._twins[kernel](*flat, *options)
        write_back(gaps)
        return result

    # Clipping

    def global_norm(self, arrays: Sequence[Array]) -> float:
        """The 2-norm over all elements of all arrays, added up in float64 in a fixed order."""
        return float(self._in_place("global_norm", (arrays,), ()))

    def scale(self, arrays: Sequence[Array], factor: float) -> None:
        """Multiply every array by `factor`, in place."""
        self._in_place("scale", (arrays,), (factor,))


def _check_halves(kernel: str, x: Array) -> None:
    shape = np.shape(x)
    if len(shape) != 3 or shape[1] != 2:
        raise ValueError(f"{kernel}: x must be (A, 2, C), got shape {shape}")


def _check_places(size: int, places: Array) -> None:
    """ValueError where these are not the places of all rows of an array of so many elements."""
    R = len(places)
    width, rest = divmod(size, R) if R else (0, size)
    if rest:
        raise ValueError(f"dropout: places: {size} numbers of x can't be R = {R} rows")
    if R and not 0 <= int(places.min()) <= int(places.max()) < 2**60 // max(1, width):
        raise ValueError(
            f"dropout: places: expected numbers of rows, from 0 on, got {places.min()} to "
            f"{places.max()}"
        )


def _heads(kernel: str, inputs: tuple[Array | None, ...], options: AttentionOptions) -> Any:
    """What attention or its gradient reads and writes, checked."""
    contract = TABLE[kernel]
    arrays, outputs = contract.prepare(*inputs)
    h, h_kv = arrays[contract.at["q"]].shape[1], arrays[contract.at["k"]].shape[1]
    if h % h_kv if h_kv else h:
        raise ValueError(f"{kernel}: h = {h} heads of q are no multiple of the {h_kv} of k and v")
    check_probability(kernel, "dropout_p", options.dropout_p)
    if options.numbers is not None:
        numbers, count = options.numbers, len(arrays[contract.at["q"]]) * h
        letters = f"(B h,) = ({count},)"
        if _integers(kernel, "numbers", letters, numbers) is not numbers or len(numbers) != count:
            raise ValueError(f"{kernel}: numbers must be {letters} without gaps")
    return arrays, outputs


def _integers(kernel: str, name: str, letters: str, x: Array) -> Array:
    """x, an int64 array of one axis, in the form that the twins read."""
    array = isinstance(x, np.ndarray)
    if not array or (x.ndim, x.dtype.kind, x.itemsize) != (1, "i", 8):
        got = f"{x.dtype} {list(x.shape)}" if array else type(x).__name__
        raise TypeError(f"{kernel}: {name} must be an int64 array {letters}, got {got}")
    return readable(x, I64)
