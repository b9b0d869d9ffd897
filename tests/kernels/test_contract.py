"""What the contract promises on every backend: any memory layout, clear refusals, new arrays."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import AdamOptions, Backend, SGDOptions
from tinyattn.kernels.contract import Contract
from tinyattn.kernels.table import TABLE

from . import calls, cases
from .cases import cast

LISTS = {"adam", "sgd", "scale", "global_norm", "uniform", "normals"}


def richest(kernel: str) -> dict[str, Any]:
    """The arguments of a small call of a kernel, with as many arrays as it takes."""
    some = [call.args for call in calls.calls(kernel) if "1e4" not in call.case]
    full = [args for args in some if all(x.size > 1 or not x.ndim for x in calls.arrays(args))]
    most = max(len(calls.arrays(args)) for args in full)
    full = [args for args in full if len(calls.arrays(args)) == most]
    return min(full, key=lambda args: abs(sum(x.size for x in calls.arrays(args)) - 200))


# One call of every kernel that returns arrays.
IN_PLACE = LISTS | {"fill", "scatter"}  # test_moving.py has their errors
CALLS = {kernel: richest(kernel) for kernel in calls.kernels() if kernel not in IN_PLACE}
MOVING = {"convert", "copy", "triangle", "gather"}  # they move elements of any type


def outputs(result: Any) -> list[np.ndarray]:
    return [x for x in (result if isinstance(result, tuple) else (result,)) if x is not None]


@pytest.mark.parametrize("kernel", [k for k in calls.kernels() if k[:11] != "elementwise"])
def test_methods_take_the_inputs_of_the_statement_in_its_order(kernel: str) -> None:
    # elementwise takes its inputs as a list, since numbers may stand among them.
    stated = [argument.name for argument in TABLE[kernel].inputs]
    taken = list(inspect.signature(getattr(Backend, kernel)).parameters)[1:]
    assert taken[: len(stated)] == stated


def test_a_statement_says_shapes_types_and_what_may_be_left_out() -> None:
    contract = Contract(
        "k", "x (..., 2n), w (n,), b (n,)?, index (N,) int64 -> y (N, n), z (..., n) wide"
    )
    x, w, index = np.ones((3, 4, 10), np.float32), np.ones(5, np.float32), np.arange(7)
    inputs, (y, z) = contract.prepare(x, w, None, index)
    assert all(got is given for got, given in zip(inputs, (x, w, None, index), strict=True))
    assert (y.shape, y.dtype) == ((7, 5), np.float32)
    assert (z.shape, z.dtype) == ((3, 4, 5), np.float64)
    with pytest.raises(ValueError, match=r"k: b must be \(n,\) = \(5,\), got \(4,\)"):
        contract.prepare(x, w, w[:4], index)
    with pytest.raises(ValueError, match=r"k: x must be \(..., 2n\) = \(3, 4, 8\), got"):
        contract.prepare(x, w[:4], None, index)
    with pytest.raises(TypeError, match="k: index must be an int64 array, got NoneType"):
        contract.prepare(x, w, None, None)
    with pytest.raises(TypeError, match="k: w must be a NumPy array, got list"):
        contract.prepare(x, [1.0], None, index)


@pytest.mark.parametrize("statement", ["x", "x N -> y (N,)", "x (N) -> y [N]", "x (N, 3-H)", ""])
def test_a_statement_that_cannot_be_read_is_refused(statement: str) -> None:
    with pytest.raises(ValueError, match="expected an argument such as"):
        Contract("k", statement)


def test_a_word_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected words among .*, got 'x \(N,\) int32'"):
        Contract("k", "x (N,) int32 -> y (N,)")


@pytest.mark.parametrize("statement", ["x (2N,) -> y (N,)", "x (N,), w (M,)? -> y (N,)"])
def test_a_letter_whose_size_no_argument_tells_is_refused(statement: str) -> None:
    with pytest.raises(ValueError, match=r"no argument of k tells the size of [NM]"):
        Contract("k", statement)


@pytest.mark.parametrize("layout", cases.LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", CALLS)
def test_any_memory_layout_gives_the_same_bits(
    kernels: Backend, dtype: Any, name: str, layout: Callable[[np.ndarray], np.ndarray]
) -> None:
    plain = cast(CALLS[name], dtype)
    spoilt = {k: layout(v) for k, v in plain.items() if isinstance(v, np.ndarray) and v.ndim}
    awkward = plain | spoilt
    want, got = outputs(getattr(kernels, name)(**plain)), outputs(getattr(kernels, name)(**awkward))
    for w, g in zip(want, got, strict=True):
        assert g.dtype == w.dtype
        if name == "matmul" and layout is cases.fortran:
            # A transposed operand is read as it stands, maybe by another loop.
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("name", CALLS)
def test_outputs_are_new_and_inputs_unchanged(kernels: Backend, dtype: Any, name: str) -> None:
    args = cast(CALLS[name], dtype)
    before = {k: v.copy() for k, v in args.items() if isinstance(v, np.ndarray)}
    results = outputs(getattr(kernels, name)(**args))
    for i, x in enumerate(results):
        assert x.flags.writeable
        assert not any(np.may_share_memory(x, args[k]) for k in before)
        assert not any(np.may_share_memory(x, other) for other in results[:i])
    for k, copy in before.items():
        np.testing.assert_array_equal(args[k], copy)


@pytest.mark.parametrize("kind", [np.float16, np.complex64, np.int64, np.bool_, object])
@pytest.mark.parametrize("name", CALLS)
def test_other_types_are_refused_by_name(kernels: Backend, name: str, kind: Any) -> None:
    if name in MOVING and np.dtype(kind).kind in "fib":
        pytest.skip("elements of this type are moved")
    args = cast(CALLS[name], np.float32)
    for k, v in CALLS[name].items():
        if isinstance(v, np.ndarray) and v.dtype == np.float64:
            wrong = np.zeros(v.shape, kind)
            message = rf"{name}: {k}.* got {wrong.dtype}|{name}: a is .* but b is {wrong.dtype}"
            with pytest.raises(TypeError, match=message):
                getattr(kernels, name)(**(args | {k: wrong}))


@pytest.mark.parametrize("name", CALLS)
def test_two_float_types_in_one_call_are_refused(kernels: Backend, name: str) -> None:
    args = cast(CALLS[name], np.float32)
    either = {x.name for x in TABLE[name].inputs if "wide" in x.words}
    floats = [k for k, v in args.items() if isinstance(v, np.ndarray) and v.dtype == np.float32]
    floats = [k for k in floats if k not in either]
    for k in floats if len(floats) > 1 else []:
        with pytest.raises(TypeError, match=f"{name}: .*float(32|64)"):
            getattr(kernels, name)(**(args | {k: args[k].astype(np.float64)}))


def test_a_list_is_refused(kernels: Backend) -> None:
    with pytest.raises(TypeError, match="softmax: x must be a NumPy array, got list"):
        kernels.softmax([1.0, 2.0])  # type: ignore[arg-type]


f = np.zeros
ONE = np.ones(1, np.int64)
REFUSED: list[tuple[str, Callable[[Backend], Any], str]] = [
    ("K", lambda k: k.matmul(f((2, 3)), f((4, 5))), r"matmul: .*\(2, 3\) and \(4, 5\)"),
    ("vectors", lambda k: k.matmul(f(3), f((3, 5))), r"matmul: expected a \(\.\.\., M, K\)"),
    ("bias", lambda k: k.matmul(f((2, 3)), f((3, 5)), f(4)), r"bias must be \(P,\) = \(5,\)"),
    ("batch", lambda k: k.matmul(f((2, 2, 3)), f((3, 3, 5))), "batch axes .* do not broadcast"),
    ("scalar", lambda k: k.softmax(f(())), r"x must be \(\.\.\., n\), got shape \(\)"),
    ("mask type", lambda k: k.softmax(f(3), f(3)), "mask must be a bool array, got float64"),
    (
        "mask",
        lambda k: k.softmax(f(3), f(4, bool)),
        r"mask must broadcast to \(\.\.\., n\) = \(3,\), got \(4,\)",
    ),
    (
        "grad",
        lambda k: k.softmax_backward(f(3), f(4)),
        r"grad must be \(\.\.\., n\) = \(3,\), got \(4,\)",
    ),
    (
        "smoothing",
        lambda k: k.cross_entropy(f((1, 3)), ONE, None, -100, 1.5, False, True),
        r"label_smoothing must be in \[0, 1\], got 1.5",
    ),
    (
        "target",
        lambda k: k.cross_entropy(f((2, 3)), ONE, None, -100, 0.0, False, True),
        r"target must be \(N,\) = \(2,\), got \(1,\)",
    ),
    (
        "weight",
        lambda k: k.cross_entropy(f((1, 3)), ONE, f(2), -100, 0.0, False, True),
        r"weight must be \(V,\) = \(3,\), got \(2,\)",
    ),
    (
        "gradients of nll_loss",
        lambda k: k.nll_loss_backward(f(2), np.array([1, 1, 1]), f(3), f(()), -100, 2),
        r"nll_loss_backward: grad must be \(1,\) or \(N,\) = \(3,\), got \(2,\)",
    ),
    (
        "index type",
        lambda k: k.embedding_backward(f((1, 3)), ONE.astype(np.int32), 4, -1),
        "index must be an int64 array, got int32",
    ),
    ("rows", lambda k: k.layer_norm(f((1, 3, 3)), None, None, 1e-5), r"x must be \(N, D\)"),
    (
        "growing batch sizes",
        lambda k: k.gru(f((3, 3)), f((1, 1)), f((3, 1)), None, np.array([1, 2]), False),
        r"never increase, got \[1, 2\]",
    ),
    (
        "too many rows",
        lambda k: k.gru(f((4, 3)), f((2, 1)), f((3, 1)), None, np.array([2, 1]), False),
        "add up to 3, but there are N = 4 rows",
    ),
    (
        "no steps",
        lambda k: k.gru(f((0, 3)), f((2, 1)), f((3, 1)), None, ONE[:0], False),
        "at least one time step",
    ),
    (
        "weights of another size",
        lambda k: k.gru(f((1, 3)), f((1, 1)), f((3, 2)), None, ONE, False),
        r"w_hh must be \(3H, H\) = \(3, 1\), got \(3, 2\)",
    ),
    (
        "cell state of another size",
        lambda k: k.lstm(f((1, 4)), f((1, 1)), f((2, 1)), f((4, 1)), None, ONE, False),
        r"c0 must be \(B, H\) = \(1, 1\), got \(2, 1\)",
    ),
    (
        "step 0",
        lambda k: k.adam([f(2)], [f(2)], [f(2)], [f(2)], [0], AdamOptions(0.1, 0.9, 0.99, 0, 0)),
        "steps, each at least 1",
    ),
    (
        "no buffers",
        lambda k: k.sgd([f(2)], [f(2)], None, [True], SGDOptions(0.1, 0.9, 0.0, 0.0)),
        "momentum 0.9 needs buffers",
    ),
    (
        "gradient of another shape",
        lambda k: k.sgd([f(2)], [f(3)], None, [True], SGDOptions(0.1, 0.0, 0.0, 0.0)),
        r"grads\[0\] must be the shape of params\[0\] = \(2,\), got \(3,\)",
    ),
    ("read-only", lambda k: k.scale([cases.read_only(f(2))], 2.0), "read-only"),
]


@pytest.mark.parametrize(
    ("call", "message"), [pytest.param(c, m, id=name) for name, c, m in REFUSED]
)
def test_wrong_shapes_are_refused_with_the_letters(
    kernels: Backend, call: Callable[[Backend], Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call(kernels)


@pytest.mark.parametrize("layout", [cases.unaligned, cases.gapped, cases.big_endian, cases.fortran])
def test_in_place_kernels_write_through_any_layout(
    kernels: Backend, dtype: Any, layout: Callable[[np.ndarray], np.ndarray]
) -> None:
    p, g, m, v = (cases.rng(41, i).random((5, 4)).astype(dtype) for i in range(4))
    rest = ([3], AdamOptions(0.1, 0.9, 0.99, 1e-8, 0.01, decoupled=True))
    want = [x.copy() for x in (p, m, v)]
    kernels.adam([want[0]], [g], [want[1]], [want[2]], *rest)
    got = [layout(x) for x in (p, m, v)]
    kernels.adam([got[0]], [layout(g)], [got[1]], [got[2]], *rest)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)

    x = layout(p)
    kernels.scale([x], 0.5)
    np.testing.assert_array_equal(x, p * dtype(0.5))


def test_optimisers_leave_gradients_alone(kernels: Backend, dtype: Any) -> None:
    g = cases.rng(42).normal(size=9).astype(dtype)
    keep = g.copy()
    p, m, v = (np.ones(9, dtype) for _ in range(3))
    kernels.adam([p], [g], [m], [v], [1], AdamOptions(0.1, 0.9, 0.99, 1e-8, 0.1, maximize=True))
    kernels.sgd([p], [g], [m], [True], SGDOptions(0.1, 0.9, 0.0, 0.1, True, True))
    np.testing.assert_array_equal(g, keep)
    assert not np.may_share_memory(m, g)
