"""Elementwise operations: OPERATIONS says what each of them is for one element. The meaning of a,
b, c, p, q is that of reference/elementwise.py. Look first at OPERATIONS, then at `_run_loop`.

A loop over contiguous numbers is compiled for each operation and float type when it is first used.
LLVM makes vector instructions of it, so an operation has no branches: it computes both sides of a
condition and selects. `_run_loop` is compiled once for all operations: it brings broadcasting,
strides and threads, and calls the loop by its address.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from types import FunctionType
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.lib.stride_tricks import as_strided

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, can_cache, exact, inlined, kernel
from tinyattn.kernels.jit.reductions import sum
from tinyattn.kernels.jit.vmath import erf, exp, expm1, log, log1p, normal, power, tanh


@inlined
def _sign(x):
    return type(x)(x > 0) - type(x)(x < 0)


@inlined
def _sigmoid(x):
    """1 / (1 + e^-x); where x is negative, e^x / (1 + e^x), which is not 0 too early."""
    e = exp(-abs(x))
    return (e if x < 0 else type(x)(1)) / (1 + e)


@inlined
def _remainder(x, y):
    rest = np.fmod(x, y)
    turned = math.copysign(rest, y)
    return turned if turned == rest else rest + y


@inlined
def _gelu_slope(x):
    real = type(x)
    return normal(x) + x * exp(real(-0.5) * x * x) * real(1 / math.sqrt(2 * math.pi))


@inlined
def _gelu_tanh_of(x):
    real = type(x)
    return tanh(real(math.sqrt(2 / math.pi)) * (x + real(0.044715) * x * x * x))


@inlined
def _gelu_tanh_slope(x):
    real = type(x)
    t, half = _gelu_tanh_of(x), real(0.5)
    du = real(math.sqrt(2 / math.pi)) * (1 + real(3 * 0.044715) * x * x)
    return half + half * t + half * x * (1 - t * t) * du


@inlined
def _silu_slope(x):
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


@inlined
def _softplus(x):
    return (x if x > 0 or x != x else type(x)(0)) + log1p(exp(-abs(x)))


@inlined
def _softsign_slope(x):
    scale = 1 / (1 + abs(x))
    return scale * scale


@inlined
def _larger(x, y):
    return x if x > y or x != x else y


@inlined
def _smaller(x, y):
    return x if x < y or x != x else y


@inlined
def _bounded(x, p):
    return _smaller(_larger(x, -p), p)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "copy": lambda a, p, q: a,
    "neg": lambda a, p, q: -a,
    "abs": lambda a, p, q: abs(a),
    "abs_backward": lambda a, b, p, q: a * _sign(b),
    "sign": lambda a, p, q: _sign(a),
    "square": lambda a, p, q: a * a,
    "square_backward": lambda a, b, p, q: 2 * a * b,
    "reciprocal": lambda a, p, q: 1 / a,
    "reciprocal_backward": lambda a, b, p, q: -a * b * b,
    "sqrt": lambda a, p, q: math.sqrt(a),
    "sqrt_backward": lambda a, b, p, q: a / (2 * b),
    "rsqrt": lambda a, p, q: 1 / math.sqrt(a),
    "rsqrt_backward": lambda a, b, p, q: -0.5 * a * (b * b * b),
    "exp": lambda a, p, q: exp(a),
    "expm1": lambda a, p, q: expm1(a),
    "expm1_backward": lambda a, b, p, q: a * (b + 1),
    "log": lambda a, p, q: log(a),
    "log2": lambda a, p, q: math.log2(a),
    "log2_backward": lambda a, b, p, q: a / (b * type(b)(math.log(2))),
    "log1p": lambda a, p, q: log1p(a),
    "log1p_backward": lambda a, b, p, q: a / (1 + b),
    "sin": lambda a, p, q: math.sin(a),
    "sin_backward": lambda a, b, p, q: a * math.cos(b),
    "cos": lambda a, p, q: math.cos(a),
    "cos_backward": lambda a, b, p, q: -a * math.sin(b),
    "tanh": lambda a, p, q: tanh(a),
    "tanh_backward": lambda a, b, p, q: a * (1 - b * b),
    "sigmoid": lambda a, p, q: _sigmoid(a),
    "sigmoid_backward": lambda a, b, p, q: a * b * (1 - b),
    "erf": lambda a, p, q: erf(a),
    "erf_backward": lambda a, b, p, q: a * 1.1283791670955126 * exp(-b * b),
    "relu": lambda a, p, q: 0 if a <= 0 else a,
    "relu_backward": lambda a, b, p, q: 0 if b <= 0 else a,
    "leaky_relu": lambda a, p, q: a if a > 0 else a * p,
    "leaky_relu_backward": lambda a, b, p, q: a if b > 0 else a * p,
    "elu": lambda a, p, q: a if a > 0 else p * expm1(a),
    "elu_backward": lambda a, b, p, q: a if b > 0 else a * p * exp(b),
    "silu": lambda a, p, q: a * _sigmoid(a),
    "silu_backward": lambda a, b, p, q: a * _silu_slope(b),
    "gelu": lambda a, p, q: a * normal(a),
    "gelu_backward": lambda a, b, p, q: a * _gelu_slope(b),
    "gelu_tanh": lambda a, p, q: a * (0.5 + 0.5 * _gelu_tanh_of(a)),
    "gelu_tanh_backward": lambda a, b, p, q: a * _gelu_tanh_slope(b),
    "softplus": lambda a, p, q: a if p * a > q else _softplus(p * a) / p,
    "softplus_backward": lambda a, b, p, q: a if p * b > q else a * _sigmoid(p * b),
    "logsigmoid": lambda a, p, q: -_softplus(-a),
    "logsigmoid_backward": lambda a, b, p, q: a * _sigmoid(-b),
    "softsign": lambda a, p, q: a / (1 + abs(a)),
    "softsign_backward": lambda a, b, p, q: a * _softsign_slope(b),
    "clamp_numbers": lambda a, p, q: _smaller(_larger(a, p), q),
    "clamp_numbers_backward": lambda a, b, p, q: a if p <= b <= q else 0,
    "hardtanh_backward": lambda a, b, p, q: a if p < b < q else 0,
    "add": lambda a, b, p, q: a + b,
    "add_scaled": lambda a, b, p, q: a + p * b,
    "sub": lambda a, b, p, q: a - b,
    "mul": lambda a, b, p, q: a * b,
    "div": lambda a, b, p, q: a / b,
    "div_backward_other": lambda a, b, c, p, q: -a * (b / c / c),
    "nan_to_num": lambda a, b, p, q: (
        b if a != a else p if a == np.inf else q if a == -np.inf else a
    ),
    "nan_to_num_backward": lambda a, b, p, q: a if abs(b) < np.inf else type(a)(0),
    "maximum": lambda a, b, p, q: _larger(a, b),
    "maximum_backward": lambda a, b, c, p, q: 0 if b < c else (a / 2 if b == c else a),
    "minimum": lambda a, b, p, q: _smaller(a, b),
    "minimum_backward": lambda a, b, c, p, q: 0 if b > c else (a / 2 if b == c else a),
    "clamp": lambda a, b, c, p, q: _smaller(_larger(a, b), c),
    "where": lambda a, b, c, p, q: b if a else c,
    "squared_error": lambda a, b, p, q: (a - b) * (a - b),
    "squared_error_backward": lambda a, b, c, p, q: a * (2 * (b - c)),
    "absolute_error": lambda a, b, p, q: abs(a - b),
    "absolute_error_backward": lambda a, b, c, p, q: a * _sign(b - c),
    "huber": lambda a, b, p, q: _bounded(a - b, p) * (a - b - _bounded(a - b, p) / 2),
    "huber_backward": lambda a, b, c, p, q: a * _bounded(b - c, p),
    "smooth_l1": lambda a, b, p, q: _bounded(a - b, p) / p * (a - b - _bounded(a - b, p) / 2),
    "smooth_l1_backward": lambda a, b, c, p, q: a * (_bounded(b - c, p) / p),
    "binary_cross_entropy": lambda a, b, p, q: (1 - b) * a + _softplus(-a),
    "binary_cross_entropy_backward": lambda a, b, c, p, q: a * (_sigmoid(b) - c),
    "probability_cross_entropy": lambda a, b, p, q: (
        (b - 1) * _larger(log1p(-a), -100) - b * _larger(log(a), -100)
    ),
    "probability_cross_entropy_backward": lambda a, b, c, p, q: (
        a * (b - c) / _larger((1 - b) * b, np.float32(1e-12))
    ),
    "kl_div": lambda a, b, p, q: (0 if b == 0 else b * log(b)) - b * a,
    "kl_div_backward": lambda a, b, p, q: -a * b,
    "norm_backward": lambda a, b, c, p, q: 0 if b == 0 or c == 0 else a * (b / c),
    "logsumexp_backward": lambda a, b, c, p, q: 0 if c == -np.inf else a * exp(b - c),
    "extreme_backward": lambda a, b, c, p, q: a * (1 if b == c or (p != 0 and b != b) else 0),
    "floor": lambda a, p, q: np.floor(a),
    "ceil": lambda a, p, q: np.ceil(a),
    "trunc": lambda a, p, q: np.trunc(a),
    "round": lambda a, p, q: np.rint(a),
    "remainder": lambda a, b, p, q: _remainder(a, b),
    "fmod": lambda a, b, p, q: np.fmod(a, b),
    "pow": lambda a, b, p, q: power(a, b),
    "pow_backward": lambda a, b, c, p, q: 0 if c == 0 else a * (c * power(b, c - 1)),
    "pow_backward_exponent": lambda a, b, c, p, q: (
        0 if b == 0 and abs(c) < np.inf else a * c * log(b)
    ),
    "cube": lambda a, p, q: np.float64(a) * a * a,  # of float32
    "cube_backward": lambda a, b, p, q: a * (3 * (b * b)),
}
# What a power is where its exponent is this number, for elements of so many bytes. The product of
# three float64 would be off by more than an ULP.
PRODUCTS = {(2.0, 4): "square", (2.0, 8): "square", (3.0, 4): "cube"}
BLOCK = 2048  # elements of one call of a loop
PART = 16 * 1024  # elements of a task


def _loop_1(n, a, b, c, p, q, out):
    for i in range(n):
        out[i] = value(a[i], p, q)  # type: ignore[name-defined] # noqa: F821


def _loop_2(n, a, b, c, p, q, out):
    for i in range(n):
        out[i] = value(a[i], b[i], p, q)  # type: ignore[name-defined] # noqa: F821


def _loop_3(n, a, b, c, p, q, out):
    for i in range(n):
        out[i] = value(a[i], b[i], c[i], p, q)  # type: ignore[name-defined] # noqa: F821


@cache
def loop_of(operation: str, real: Any) -> Any:
    """The operation's loop as a function of C, which takes pointers and has an `address`."""
    function = OPERATIONS[operation]
    template = (_loop_1, _loop_2, _loop_3)[function.__code__.co_argcount - 3]
    # `value` is a global, not a variable of a closure: Numba would look for the compiled loop on
    # disk by a number that is drawn anew in every process.
    names = globals() | {"value": inlined(function)}
    loop = FunctionType(template.__code__, names, f"{template.__name__}_{operation}")
    loop.__qualname__ = loop.__name__
    element = numba.from_dtype(real)
    pointer = types.CPointer(element)
    first = types.CPointer(types.boolean) if operation == "where" else pointer
    signature = types.void(types.int64, first, pointer, pointer, element, element, pointer)
    options: Any = {"error_model": "numpy", "fastmath": {"contract"}}
    return numba.cfunc(signature, cache=can_cache(), **options)(loop)


@intrinsic
def _call(typing, loop, n, a, b, c, p, q, out):
    """Call the loop at the address `loop`; a, b, c and out are addresses, too."""

    def generate(context, builder, signature, arguments):
        given = [argument.type for argument in arguments[1:]]
        function = ir.FunctionType(ir.VoidType(), given).as_pointer()
        builder.call(builder.inttoptr(arguments[0], function), arguments[1:])
        return context.get_dummy_value()

    address = types.int64
    return types.void(address, n, address, address, address, p, q, address), generate


@exact
def side_by_side(x, room, target):
    """The address of the elements of x (n,), side by side and not where the result goes: LLVM's
    loops work in vectors only if what they read and what they write lies apart. Elements that do
    not stand like that are copied into `room`.
    """
    if x.strides[0] == x.itemsize and x.ctypes.data != target:
        return x.ctypes.data
    if x.strides[0] == 0:
        room[: len(x)] = x[0]
    else:
        for i in range(len(x)):
            room[i] = x[i]
    return room.ctypes.data


@exact
def run_piece(loop, a, b, c, p, q, out, room_a, room_b, room_c):
    for begin in range(0, len(out), BLOCK):
        to = out[begin : begin + BLOCK]
        target = to.ctypes.data
        x = side_by_side(a[begin : begin + BLOCK], room_a, target)
        y = side_by_side(b[begin : begin + BLOCK], room_b, target)
        z = side_by_side(c[begin : begin + BLOCK], room_c, target)
        _call(loop, len(to), x, y, z, p, q, target)  # type: ignore[call-arg]


def _run_loop(out, loop, a, b, c, p, q):
    """a, b, c (A, B, C, n) -> out (A B C, n). A task is a piece of a long row, or some short
    rows."""
    _, B, C, n = a.shape
    rows, each, pieces = len(out), max(1, PART // n), (n + PART - 1) // PART
    for task in numba.prange((rows + each - 1) // each * pieces):
        room_a, room_b = np.empty(BLOCK, a.dtype), np.empty(BLOCK, out.dtype)
        room_c = np.empty(BLOCK, out.dtype)
        first = task % pieces * PART
        last = min(n, first + PART)
        begin = task // pieces * each
        for row in range(begin, min(rows, begin + each)):
            i, j, k = row // (B * C), row // C % B, row % C
            run_piece(
                loop, a[i, j, k, first:last], b[i, j, k, first:last], c[i, j, k, first:last],
                out.dtype.type(p), out.dtype.type(q), out[row, first:last], room_a, room_b, room_c,
            )  # fmt: skip


run = kernel("w2 int v4 v4 v4 float float")(_run_loop)
run_where = kernel("w2 int m4 v4 v4 float float")(_run_loop)


MOST_AXES = 4
Steps = tuple[int, ...]


@lru_cache(4096)
def plan(shape: Steps, *layouts: tuple[Steps, Steps]) -> tuple[Steps, tuple[Steps, ...]]:
    """The axes to walk over: their sizes and each input's steps in bytes, 0 where it broadcasts. An
    input is its shape and strides. Axes of size 1 are left out; neighbours become one axis where
    every input walks evenly over both.
    """
    spread = [
        (0,) * (len(shape) - len(sizes))
        + tuple(0 if n == 1 else step for n, step in zip(sizes, strides, strict=True))
        for sizes, strides in layouts
    ]
    joined: list[tuple[int, ...]] = []
    for n, *steps in zip(shape, *spread, strict=True):
        if n == 1:
            continue
        if joined and joined[-1][1:] == tuple(n * step for step in steps):
            n *= joined.pop()[0]
        joined.append((n, *steps))
    ones = (1, *(0,) * len(layouts))
    joined = [ones] * (MOST_AXES - len(joined)) + joined
    sizes, *all_steps = zip(*joined, strict=True)
    return sizes, tuple(all_steps)


def strided(x: Array, shape: Steps, steps: Steps) -> Array:
    if x.flags.c_contiguous:  # the same as as_strided in a tenth of its time
        return np.ndarray(shape, x.dtype, x, 0, steps)
    return as_strided(x, shape, steps)


def elementwise(
    operation: str,
    inputs: Sequence[Array | float],
    out: Array,
    p: float = 0.0,
    q: float = 0.0,
    alike: bool = False,
) -> None:
    """inputs, arrays or numbers that broadcast to out's shape -> out."""
    if not out.size:
        return
    last = inputs[-1]
    if type(last) is float and operation in ("pow", "pow_backward"):
        product = PRODUCTS.get((last, out.itemsize))
        if product:
            operation, inputs = operation.replace("pow", product), inputs[:-1]
    if alike and float not in map(type, inputs):
        rows = out.reshape(1, -1)
        views: list[Any] = [x.reshape(1, 1, 1, -1) for x in inputs]  # type: ignore[union-attr]
    else:
        arrays: list[Any] = [np.array(x, out.dtype) if type(x) is float else x for x in inputs]
        shape, steps = plan(out.shape, *[(x.shape, x.strides) for x in arrays])
        if len(shape) > MOST_AXES:
            arrays = [np.ascontiguousarray(np.broadcast_to(x, out.shape)) for x in arrays]
            shape, steps = plan(out.shape, *[(x.shape, x.strides) for x in arrays])
        rows = out.reshape(-1, shape[-1])
        views = [strided(x, shape, step) for x, step in zip(arrays, steps, strict=True)]
    views += views[:1] * (3 - len(views))  # a loop takes three inputs and may read fewer
    loop = loop_of(operation, out.dtype)
    function = run_where if operation == "where" else run
    function(rows, loop.address, *views, p, q, alone=out.size < SMALL)


def elementwise_sum(
    operation: str,
    inputs: Sequence[Array | float],
    shape: tuple[int, ...],
    out: Array,
    p: float = 0.0,
    divisor: float = 1.0,
    alike: bool = False,
) -> None:
    """inputs, arrays or numbers that broadcast to shape -> out (), the sum of the results divided
    by divisor."""
    results, total = np.empty(shape, out.dtype), np.empty((1, 1))
    elementwise(operation, inputs, results, p, 0.0, alike)
    sum(results.reshape(1, -1, 1), 1.0, total)
    with np.errstate(all="ignore"):
        out[...] = total[0, 0] / divisor
