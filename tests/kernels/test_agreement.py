"""Every kernel of every backend against the definition computed in float64.

The definition is itself held to independent ones in test_definition.py. Shapes and layouts stand in
cases.py, the bounds in bounds.py. On the NumPy backend these tests measure the rounding of float32.
"""

import math
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend

from . import cases
from .bounds import assert_within, summing
from .cases import cast


def each(generator: Any) -> Any:
    return pytest.mark.parametrize(
        "args", [pytest.param(args, id=name) for name, args in generator()]
    )


def as_float64(args: dict[str, Any]) -> dict[str, Any]:
    """The very numbers a backend sees, with nothing lost."""
    return cast(args, np.float64)


@pytest.mark.parametrize("operation", ["exp", "tanh", "sigmoid"])
@each(cases.elements)
def test_functions_of_every_element(
    kernels: Backend, definition: Backend, dtype: Any, operation: str, args: dict[str, Any]
) -> None:
    x = cast(args, dtype)["x"]
    got = kernels.elementwise(operation, [x])
    want = definition.elementwise(operation, [x.astype(np.float64)])
    assert got.dtype == dtype
    # A sigmoid near 0 is as exact as its e^-x, where x is the logarithm of the result.
    with np.errstate(all="ignore"):
        want = np.where(want > np.finfo(dtype).max, np.inf, want)
        distance = -np.log(np.where(want > 0, np.minimum(want, 1), 1)) * (operation == "sigmoid")
    assert_within(got, want, np.abs(want) + 8 * np.finfo(dtype).tiny, 3 + distance)


@each(cases.matmul)
def test_matmul(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    exact = as_float64(args)
    magnitude = np.abs(exact["a"]) @ np.abs(exact["b"]) + np.abs(exact.get("bias", 0))
    got = kernels.matmul(**args)
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    K = args["a"].shape[-1]
    assert_within(got, definition.matmul(**exact), magnitude, K + 2)


@each(cases.int8_linear)
def test_int8_linear(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    """The sums are exact, so the bits are the same."""
    args = cast(args, dtype)
    got = kernels.int8_linear(**args)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, definition.int8_linear(**args))


@pytest.mark.parametrize("K", [16, 63, 64, 100, 4096, 4097, 9001])
def test_one_column_has_the_same_bits_at_every_instruction_set(
    native: Backend, dtype: Any, K: int
) -> None:
    a, b = cases.rng(K).normal(size=(7, K)).astype(dtype), np.ones((K, 1), dtype)
    package = native.package
    best = package.isa()
    want = native.matmul(a, b)
    exact = a.astype(np.longdouble).sum(1, keepdims=True)
    room = np.abs(a.astype(np.longdouble)).sum(1, keepdims=True)
    assert (np.abs(want - exact) <= 2 * np.finfo(dtype).eps * room).all()
    for isa in package.supported_isas():
        try:
            package.set_isa(isa)
            np.testing.assert_array_equal(native.matmul(a, b), want)
        finally:
            package.set_isa(best)


@pytest.mark.parametrize(
    "case", ["7x17x65 between steps", "97x33x130", "special rows between steps"]
)
def test_int8_linear_has_the_same_bits_at_every_instruction_set(
    native: Backend, definition: Backend, dtype: Any, case: str
) -> None:
    args = cast(dict(cases.int8_linear())[case], dtype)
    want = definition.int8_linear(**args)
    package = native.package
    best, packings = package.isa(), {}
    for isa in package.supported_isas():
        try:
            package.set_isa(isa)
            for _ in range(2):  # the second time with the packed weights of the first
                got = native.int8_linear(**args, packings=packings)
                np.testing.assert_array_equal(got, want)
        finally:
            package.set_isa(best)
    assert len(packings) == len(package.supported_isas())


@each(cases.int8_rows)
def test_int8_rows(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    got = kernels.int8_rows(**args)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, definition.int8_rows(**args))


@each(cases.softmax)
def test_softmax(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    want = definition.softmax(**as_float64(args))
    got = kernels.softmax(**args)
    # x - max is rounded before the exponential, which turns it into a relative error of |x - max|.
    with np.errstate(all="ignore"):
        distance = -np.log(np.where(want > 0, want, 1))
    assert_within(got, want, want, summing(want.shape[args.get("axis", -1)]) + distance)


@each(cases.backward_rows)
def test_softmax_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    axis, grad = args.get("axis", -1), args["grad"]
    y = kernels.softmax(args["x"], axis=axis)
    got = kernels.softmax_backward(y, grad, axis)
    y64, grad64 = y.astype(np.float64), grad.astype(np.float64)
    size = y64 * (np.abs(grad64) + np.abs(y64 * grad64).sum(axis, keepdims=True))
    want = definition.softmax_backward(y64, grad64, axis)
    assert_within(got, want, size, summing(y.shape[axis]))


def test_columns_of_large_numbers_depend_on_their_differences(kernels: Backend, dtype: Any) -> None:
    x = np.array([[1.0, 3.0], [3.0, 1.0], [2.0, 2.0]], dtype)
    for shift in (-(2.0**20), 2.0**20):
        for name in ("softmax", "log_softmax"):
            kernel = getattr(kernels, name)
            np.testing.assert_array_equal(kernel(x + dtype(shift), axis=0), kernel(x, axis=0))


def test_a_gradient_of_columns_keeps_what_cancels(native: Backend) -> None:
    y, grad = np.full((9, 3), np.log(0.25)), np.zeros((9, 3))
    grad[[0, 4, 8]] = [[1e17], [1.0], [-1e17]]
    got = native.log_softmax_backward(y, grad, 0)
    np.testing.assert_allclose(got[1], -0.25, rtol=1e-15)


@each(cases.log_softmax)
def test_log_softmax(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    want = definition.log_softmax(**as_float64(args))
    n = want.shape[args.get("axis", -1)]
    size = 1 + np.abs(want) + np.log(max(n, 1))
    assert_within(kernels.log_softmax(**args), want, size, summing(n))


@each(cases.backward_rows)
def test_log_softmax_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    axis, grad = args.get("axis", -1), args["grad"]
    y = kernels.log_softmax(args["x"], axis)
    got = kernels.log_softmax_backward(y, grad, axis)
    y64, grad64 = y.astype(np.float64), grad.astype(np.float64)
    size = np.abs(grad64) + np.exp(y64) * np.abs(grad64).sum(axis, keepdims=True)
    want = definition.log_softmax_backward(y64, grad64, axis)
    assert_within(got, want, size, summing(y.shape[axis]) + 10)


@each(cases.cross_entropy)
def test_cross_entropy(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    exact = as_float64(args)
    losses, loss, grad = kernels.cross_entropy(**args)
    want, want_loss, want_grad = definition.cross_entropy(**exact)
    _N, V = args["logits"].shape
    count = summing(V)

    logp = definition.log_softmax(exact["logits"])
    w = np.ones(V) if exact["weight"] is None else exact["weight"]
    size = (w * (1 + np.abs(logp))).max(axis=1, initial=0) + np.log(max(V, 1))
    assert_within(losses, want, size, count)
    ignored = args["target"] == args["ignore_index"]
    total = w[args["target"][~ignored]].sum() if args["mean"] else 1
    with np.errstate(all="ignore"):
        assert_within(loss, want_loss, size.sum() / total, count)
    assert not losses[ignored].any()

    if not args["with_grad"]:
        assert grad is None
        return
    assert grad is not None
    assert want_grad is not None
    smooth = exact["label_smoothing"] / max(V, 1)
    top = w.max(initial=0)
    size = np.exp(logp) * (top + smooth * w.sum()) * (1 + np.abs(logp)) + smooth * w
    rows = np.flatnonzero(~ignored)
    size[rows, args["target"][rows]] += top
    with np.errstate(all="ignore"):
        assert_within(grad, want_grad, size / total, count)
    assert not grad[ignored].any()


@each(cases.elementwise_sum)
def test_elementwise_sum(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    """The exact sum of what the elementwise kernel gives, rounded."""
    args = cast(args, dtype)
    got = kernels.elementwise_sum(**args)
    each = kernels.elementwise(args["operation"], args["inputs"], args["p"])
    want = np.float64(math.fsum(each.reshape(-1).tolist())) / args["divisor"]
    assert got.dtype == dtype
    assert_within(got, np.asarray(want), want, 1)


def test_a_sum_of_results_keeps_what_cancels(kernels: Backend) -> None:
    x = np.ones(40_000)
    x[[0, -1]] = 1e17, -1e17
    assert kernels.elementwise_sum("add", [x, 0.0]) == 39_998


@each(cases.glu)
def test_glu_and_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    x = args["x"].astype(np.float64)
    want = definition.glu(x)
    assert_within(kernels.glu(args["x"]), want, np.abs(want), 6)
    grad = cases.rng(88).normal(size=want.shape).astype(dtype)
    dx = kernels.glu_backward(grad, args["x"])
    wanted = definition.glu_backward(grad.astype(np.float64), x)
    size = np.abs(np.stack([wanted[:, 0], wanted[:, 0] * x[:, 0]], 1))
    assert_within(dx, wanted, size, 8)


@each(cases.normalize)
def test_normalize(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    exact = as_float64(args)
    (y, size), (want, of_x) = kernels.normalize(**args), definition.normalize(**exact)
    assert_within(y, want, np.abs(want), 2)
    np.testing.assert_allclose(size, of_x, rtol=4e-15)
    g = cases.rng(84).normal(size=y.shape).astype(dtype)
    along = np.abs(g * want).sum(axis=1, keepdims=True) * np.abs(want)
    want = definition.normalize_backward(g.astype(np.float64), exact["x"], of_x, args["eps"])
    a = np.maximum(of_x, args["eps"])[:, None]
    assert_within(
        kernels.normalize_backward(g, args["x"], size, args["eps"]),
        want,
        (np.abs(g) + along) / a,
        8,
    )


@each(cases.cosine)
def test_cosine(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    exact = as_float64(args)
    assert_within(kernels.cosine(**args), definition.cosine(**exact), 1, 4)
    grad = cases.rng(85).normal(size=len(args["x"])).astype(dtype)
    got = kernels.cosine_backward(grad, **args)
    want = definition.cosine_backward(grad.astype(np.float64), **exact)
    for dx, wanted, x, y in zip(got, want, exact.values(), [exact["y"], exact["x"]], strict=False):
        a, b = (np.maximum(np.linalg.norm(v, axis=1), args["eps"])[:, None] for v in (x, y))
        size = np.abs(grad)[:, None] / a * (np.abs(x) / a + np.abs(y) / b)
        assert_within(dx, wanted, size, 8)


@each(cases.pairwise)
def test_pairwise(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    d, size = kernels.pairwise(**args)
    want, of_w = definition.pairwise(**args)  # the same w, rounded in the same way
    assert_within(d, want.astype(np.float64), want, 1)
    np.testing.assert_allclose(size, of_w, rtol=4e-15)
    grad = cases.rng(86).normal(size=len(d)).astype(dtype)
    rest = args["x"], args["y"], size, args["eps"]
    want = definition.pairwise_backward(grad, *rest).astype(np.float64)
    assert_within(kernels.pairwise_backward(grad, *rest), want, np.abs(want), 4)


@each(cases.nll_loss)
def test_nll_loss(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    losses, weights, loss, total = kernels.nll_loss(**args)
    want = definition.nll_loss(**as_float64(args))
    assert_within(losses, want[0], np.abs(want[0]), 1)
    np.testing.assert_array_equal(weights, want[1])
    assert_within(loss, want[2], np.abs(want[2]), 3)
    assert_within(total, want[3], want[3], 1)


@pytest.mark.parametrize("outside", [-1, 3, -101])
def test_a_target_that_is_no_class_is_refused(kernels: Backend, dtype: Any, outside: int) -> None:
    target, x, ones = np.array([-100, outside, 2]), np.zeros((3, 3), dtype), np.ones(3, dtype)
    refused = rf": target must be in \[0, 3\) or ignore_index = -100, got {outside}"
    with pytest.raises(IndexError, match="^nll_loss" + refused):
        kernels.nll_loss(x, target, None, -100, True)
    with pytest.raises(IndexError, match="^nll_loss_backward" + refused):
        kernels.nll_loss_backward(ones, target, ones, np.ones((), dtype), -100, 3)
    with pytest.raises(IndexError, match="^cross_entropy" + refused):
        kernels.cross_entropy(x, target, None, -100, 0.0, True, True)


@each(cases.nll_loss_backward)
def test_nll_loss_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    want = definition.nll_loss_backward(**as_float64(args))
    assert_within(kernels.nll_loss_backward(**args), want, np.abs(want), 2)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_row_that_many_places_name(kernels: Backend, kind: Any) -> None:
    grad = cases.rng(89).normal(size=(1500, 1)).astype(kind)
    index = np.arange(1500) % 3
    index[-1] = 3
    got = kernels.embedding_backward(grad, index, 5, 1)
    want = [math.fsum(grad[index == v, 0].tolist()) * (v != 1) for v in range(5)]
    np.testing.assert_allclose(got[:, 0], want, rtol=1e-6 if kind is np.float32 else 1e-15)


@each(cases.embedding_backward)
def test_embedding_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    """Bitwise the definition in the same type: the order of the sum is part of the contract."""
    args = cast(args, dtype)
    np.testing.assert_array_equal(
        kernels.embedding_backward(**args), definition.embedding_backward(**args)
    )


@each(cases.copy)
def test_copy(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    got = kernels.copy(**args)
    np.testing.assert_array_equal(got, args["x"])
    assert got.flags.c_contiguous
    assert not np.may_share_memory(got, args["x"])


@each(cases.fill)
def test_fill(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    y, x = cast(args, dtype).values()
    kernels.fill(y, x)
    np.testing.assert_array_equal(y, np.full(y.shape, x, dtype))
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))


@each(cases.convert)
def test_convert(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    x, to = cast(args, dtype).values()
    got = kernels.convert(x, to)
    assert got.dtype == to
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, x.astype(to))


@each(cases.triangle)
def test_triangle(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    x, k, upper = cast(args, dtype).values()
    kept = np.subtract.outer(np.arange(x.shape[1]), np.arange(x.shape[2]))
    kept = kept <= -k if upper else kept >= -k
    np.testing.assert_array_equal(kernels.triangle(x, k, upper), np.where(kept, x, 0))


@each(cases.gather)
def test_gather(kernels: Backend, dtype: Any, args: dict[str, Any]) -> None:
    x, index = cast(args, dtype).values()
    whole = np.broadcast_to(index, (len(x), index.shape[1], x.shape[2]))
    np.testing.assert_array_equal(kernels.gather(x, index), np.take_along_axis(x, whole, 1))


@each(cases.scatter)
def test_scatter(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    one, two = cast(args, dtype), cast(args, dtype)
    kernels.scatter(**one)
    definition.scatter(**two)
    np.testing.assert_array_equal(one["y"], two["y"])


@each(cases.scatter_add)
def test_scatter_add(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    """Bitwise the definition in the same type: the order of the sum is part of the contract."""
    args = cast(args, dtype)
    np.testing.assert_array_equal(kernels.scatter_add(**args), definition.scatter_add(**args))


def gru_room(args: dict[str, Any]) -> float:
    """Roundings of T steps of products over H with states in [-1, 1]; the weights don't expand them
    by much.
    """
    return 8.0 * len(args["batch_sizes"]) * (8 + args["h0"].shape[1] ** 0.5)


@each(cases.gru_gates)
def test_gru_gates(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    want = definition.gru_gates(**as_float64(args))
    assert_within(kernels.gru_gates(**args), want, 1 + np.abs(want), 12)


@each(cases.lstm_gates)
def test_lstm_gates(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    got, wanted = kernels.lstm_gates(**args), definition.lstm_gates(**as_float64(args))
    for one, want in zip(got, wanted, strict=True):
        assert_within(one, want, 1 + np.abs(args["c"]), 12)


@each(cases.gru)
def test_gru(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    for got, want in zip(kernels.gru(**args), definition.gru(**as_float64(args)), strict=True):
        assert_within(got, want, 1 + np.abs(want), gru_room(args))


@each(cases.gru)
@pytest.mark.parametrize("given", ["dy", "dh_n", "dy and dh_n", "nothing"])
def test_gru_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any], given: str
) -> None:
    args = cast(args, dtype)
    y, _, saved = kernels.gru(**args)
    r = cases.rng(20)
    rest = {
        "dy": r.normal(size=y.shape) if "dy" in given else None,
        "dh_n": r.normal(size=args["h0"].shape) if "dh_n" in given else None,
        "saved": saved,
        "y": y,
    }
    rest = cast(rest, dtype) | {
        name: args[name] for name in ("h0", "w_hh", "batch_sizes", "reverse")
    }
    got = kernels.gru_backward(**rest)
    want = definition.gru_backward(**as_float64(rest))
    for g, w in zip(got, want, strict=True):
        assert_within(g, w, 1 + np.abs(w).max(initial=0), gru_room(args))
    if given == "nothing":
        assert not any(g.any() for g in got)


@each(cases.lstm)
def test_lstm(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    args = cast(args, dtype)
    # A cell that forgets nothing adds up, so its state grows with time.
    size = 1 + np.abs(args["c0"]).max(initial=0) + len(args["batch_sizes"])
    for got, want in zip(kernels.lstm(**args), definition.lstm(**as_float64(args)), strict=True):
        assert_within(got, want, size, gru_room(args))


@each(cases.lstm)
@pytest.mark.parametrize("given", ["dy", "dh_n, dc_n", "dy, dh_n, dc_n", "dc_n", "nothing"])
def test_lstm_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any], given: str
) -> None:
    args = cast(args, dtype)
    y, h_n, c_n, saved = kernels.lstm(**args)
    r = cases.rng(24)
    shapes = {"dy": y.shape, "dh_n": h_n.shape, "dc_n": c_n.shape}
    rest: dict[str, Any] = {
        name: r.normal(size=shape) if name in given else None for name, shape in shapes.items()
    }
    rest = cast(rest | {"saved": saved}, dtype)
    rest |= {name: args[name] for name in ("c0", "w_hh", "batch_sizes", "reverse")}
    got = kernels.lstm_backward(**rest)
    want = definition.lstm_backward(**as_float64(rest))
    for g, w in zip(got, want, strict=True):
        assert_within(g, w, 1 + np.abs(w).max(initial=0), gru_room(args))
    if given == "nothing":
        assert not any(g.any() for g in got)


@each(cases.layer_norm)
def test_layer_norm(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    exact = as_float64(args)
    x = exact["x"]
    count = summing(x.shape[1])
    y, mean, rstd = kernels.layer_norm(**args)
    want, want_mean, want_rstd = definition.layer_norm(**exact)
    largest = np.abs(x).max(axis=1, initial=0)
    assert_within(mean, want_mean, largest, count)
    # An error of eps |x| in the mean moves xhat by that times rstd.
    lost = 1 + largest * want_rstd
    assert_within(rstd, want_rstd, want_rstd * lost, count)
    w = 1 if exact["weight"] is None else np.abs(exact["weight"])
    b = 0 if exact["bias"] is None else np.abs(exact["bias"])
    xhat = np.abs((x - want_mean[:, None]) * want_rstd[:, None])
    assert_within(y, want, (1 + xhat) * w * lost[:, None] + b, count)


@each(cases.layer_norm)
def test_layer_norm_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    _, mean, rstd = kernels.layer_norm(**args)
    grad = cases.rng(21).normal(size=args["x"].shape)
    rest = cast({"grad": grad, "x": args["x"], "weight": args["weight"]}, dtype)
    rest |= {"mean": mean, "rstd": rstd}
    exact = as_float64(rest)
    dx, dweight, dbias = kernels.layer_norm_backward(**rest)
    want_dx, want_dweight, want_dbias = definition.layer_norm_backward(**exact)

    N, D = args["x"].shape
    g = np.abs(exact["grad"])
    lost = 1 + np.abs(exact["x"]) * exact["rstd"][:, None]
    xhat = np.abs(exact["x"] - exact["mean"][:, None]) * exact["rstd"][:, None]
    assert_within(dbias, want_dbias, g.sum(axis=0), summing(N))
    assert_within(dweight, want_dweight, (g * (xhat + lost)).sum(axis=0), summing(N))
    gw = g if exact["weight"] is None else g * np.abs(exact["weight"])
    largest = gw.max(axis=1, initial=0, keepdims=True)
    size = exact["rstd"][:, None] * largest * (1 + xhat * (1 + xhat)) * lost
    assert_within(dx, want_dx, size, summing(D))


def test_the_weights_of_layer_norm_get_the_sum_of_many_rows(kernels: Backend) -> None:
    r = cases.rng(90)
    grad, x, rstd = r.normal(size=(1100, 1)), r.normal(size=(1100, 1)), r.uniform(1, 2, 1100)
    _, dweight, dbias = kernels.layer_norm_backward(grad, x, x[:, 0] + 1, rstd, None)
    np.testing.assert_allclose(dweight, [-math.fsum(grad[:, 0] * rstd)], rtol=1e-13)
    np.testing.assert_allclose(dbias, [math.fsum(grad[:, 0])], rtol=1e-13)


def test_gradients_of_a_norm_keep_what_cancels_between_pieces_of_the_rows(native: Backend) -> None:
    grad = np.zeros((99, 500))  # three pieces of 33 rows, each added up 16 rows at a time
    for row, number in {0: 3.0, 33: 1e17, 49: 1.0, 66: -1e17, 82: 1.0}.items():
        grad[row] = number
    x, mean, rstd = np.ones_like(grad), np.zeros(99), np.ones(99)
    _, dweight, dbias = native.layer_norm_backward(grad, x, mean, rstd, None)
    assert (dweight == 5).all()
    assert (dbias == 5).all()


@each(cases.rms_norm)
def test_rms_norm_and_backward(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    exact = as_float64(args)
    N, D = args["x"].shape
    y, rstd = kernels.rms_norm(**args)
    want, want_rstd = definition.rms_norm(**exact)
    assert_within(rstd, want_rstd, want_rstd, summing(D))
    assert_within(y, want, np.abs(want), summing(D))

    grad = cases.rng(22).normal(size=(N, D))
    rest = cast({"grad": grad, "x": args["x"], "weight": args["weight"]}, dtype) | {"rstd": rstd}
    exact = as_float64(rest)
    dx, dweight = kernels.rms_norm_backward(**rest)
    want_dx, want_dweight = definition.rms_norm_backward(**exact)
    g, scale = np.abs(exact["grad"]), exact["rstd"][:, None]
    xhat = np.abs(exact["x"]) * scale
    assert_within(dweight, want_dweight, (g * xhat).sum(axis=0), summing(N))
    gw = g if exact["weight"] is None else g * np.abs(exact["weight"])
    size = scale * (gw + xhat * (gw * xhat).sum(axis=1, keepdims=True) / D)
    assert_within(dx, want_dx, size, summing(D))


@each(cases.adam)
def test_adam(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    ours = cast(args, dtype)
    exact = as_float64(ours)
    before = [p.copy() for p in exact["params"]]
    kernels.adam(**ours)
    definition.adam(**exact)
    for i, start in enumerate(before):
        g = 1 + np.abs(exact["grads"][i]) + np.abs(start)
        assert_within(ours["exp_avgs"][i], exact["exp_avgs"][i], g, 8)
        assert_within(ours["exp_avg_sqs"][i], exact["exp_avg_sqs"][i], g * g, 8)
        # The step is a quotient; where v is a square of cancelled terms its relative error grows.
        root = np.sqrt(exact["exp_avg_sqs"][i])
        step = np.abs(exact["params"][i] - start) * (1 + g / (root + 1e-3))
        assert_within(ours["params"][i], exact["params"][i], np.abs(start) + step + g * 1e-3, 24)


@each(cases.sgd)
def test_sgd(kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]) -> None:
    ours = cast(args, dtype)
    exact = as_float64(ours)
    kernels.sgd(**ours)
    definition.sgd(**exact)
    for i, grad in enumerate(exact["grads"]):
        size = 1 + np.abs(grad) + np.abs(exact["params"][i])
        if exact["buffers"] is not None:
            size += np.abs(exact["buffers"][i])
            assert_within(ours["buffers"][i], exact["buffers"][i], size, 8)
        assert_within(ours["params"][i], exact["params"][i], size, 8)


@pytest.mark.parametrize("arrays", [pytest.param(a, id=name) for name, a in cases.norms()])
def test_global_norm(
    kernels: Backend, definition: Backend, dtype: Any, arrays: list[np.ndarray]
) -> None:
    arrays = cast({"arrays": arrays}, dtype)["arrays"]
    got = kernels.global_norm(arrays)
    assert isinstance(got, float)
    want = definition.global_norm([x.astype(np.float64) for x in arrays])
    # Both add up in float64, whatever the type of the elements.
    assert abs(got - want) <= 1e-13 * want


@pytest.mark.parametrize("arrays", [pytest.param(a, id=name) for name, a in cases.norms()])
def test_scale(kernels: Backend, dtype: Any, arrays: list[np.ndarray]) -> None:
    arrays = cast({"arrays": arrays}, dtype)["arrays"]
    want = [x * dtype(0.3) for x in arrays]
    kernels.scale(arrays, 0.3)
    for x, w in zip(arrays, want, strict=True):
        np.testing.assert_array_equal(x, w)
