"""The reference kernels against independent definitions: plain loops, finite differences and
PyTorch.

What stands in reference/ is the measure of the other backends, so it must not be wrong along with
them.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import AdamOptions, AttentionOptions, Backend, SGDOptions
from tinyattn.kernels.windows import Windows

from . import cases
from .bounds import slope

r = cases.rng(30)


def close(got: Any, want: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_matmul_is_the_sum_over_k(definition: Backend) -> None:
    a, b, bias = r.normal(size=(3, 4)), r.normal(size=(4, 5)), r.normal(size=5)
    got = definition.matmul(a, b, bias)
    for m in range(3):
        for p in range(5):
            close(got[m, p], sum(a[m, k] * b[k, p] for k in range(4)) + bias[p], 1e-14)


def test_numbers_in_another_type_are_those_of_python(definition: Backend) -> None:
    x = r.normal(size=(3, 4)) * 10
    for dtype, plain in (("int64", int), ("int32", int), ("bool", bool), ("float64", float)):
        got = definition.convert(x.astype(np.float32), np.dtype(dtype))
        assert got.tolist() == [[plain(v) for v in row] for row in x.astype(np.float32).tolist()]
    assert definition.convert(np.array([1e300, -2.5]), np.dtype(np.float32)).tolist() == [
        math.inf,
        -2.5,
    ]


def test_one_number_stands_in_every_element(definition: Backend) -> None:
    y = r.normal(size=(3, 4))
    definition.fill(y[:, ::2], np.array(2.5))
    assert (y[:, ::2] == 2.5).all()
    assert (y[:, 1::2] != 2.5).all()


def test_int8_linear_rounds_each_row_to_127_steps(definition: Backend) -> None:
    x = np.array([[1.27, 0.5, -0.004], [0.0, 0.0, 0.0], [-254.0, 2.99, 1.0]])
    weight, scale = np.array([[129, 127, 255], [1, 128, 138]], np.uint8), np.array([0.5, 2.0])
    # Rows of integers: 127, 50, 0; zeros; -127, 1, 0 (0.5 is halfway, and 0 is even).
    sums = [[127 - 50, -127 * 127], [0, 0], [-127 - 1, 127 * 127]]
    want = np.array(sums) * [[0.01], [0], [2]] * scale
    close(definition.int8_linear(x, weight, scale), want)
    close(definition.int8_linear(x, weight, scale, np.array([3.0, -4.0])), want + np.array([3, -4]))


def test_int8_linear_gives_nan_where_a_row_is_not_finite(definition: Backend) -> None:
    x = np.array([[1.0, np.nan], [np.inf, 1.0], [1e-31, -1e-31], [1.0, 1.0]])
    got = definition.int8_linear(x, np.full((1, 2), 129, np.uint8), np.ones(1))
    np.testing.assert_allclose(got[:, 0], [np.nan, np.nan, 0, 2], rtol=1e-12)


def test_int8_linear_refuses_rows_whose_sums_might_not_fit(definition: Backend) -> None:
    x, weight = np.zeros((1, 65537)), np.zeros((1, 65537), np.uint8)
    with pytest.raises(ValueError, match=r"int8_linear: x \(N, K\): expected K up to 65536"):
        definition.int8_linear(x, weight, np.ones(1))


def test_int8_rows_are_counted_from_128(definition: Backend) -> None:
    weight = np.array([[128, 129], [1, 255]], np.uint8)
    got = definition.int8_rows(np.array([1, 0, 1]), weight, np.array([0.5, 2.0]))
    assert got.tolist() == [[-254, 254], [0, 0.5], [-254, 254]]
    with pytest.raises(IndexError, match=r"index must be in \[0, 2\), got 2"):
        definition.int8_rows(np.array([2]), weight, np.ones(2))


def test_the_gates_are_one_step_of_the_layers(definition: Backend) -> None:
    h, c, one = r.normal(size=(3, 5)), r.normal(size=(3, 5)), np.array([3])
    gx, w = r.normal(size=(3, 15)), r.normal(size=(15, 5))
    y, *_ = definition.gru(gx, h, w, None, one, False)
    close(definition.gru_gates(gx, h @ w.T, h), y)
    gx, w = r.normal(size=(3, 20)), r.normal(size=(20, 5))
    y, _, c_n, _ = definition.lstm(gx, h, c, w, None, one, False)
    for got, want in zip(definition.lstm_gates(gx, h @ w.T, c), (y, c_n), strict=True):
        close(got, want)


@pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
def test_softmax_of_large_numbers_depends_on_their_differences(
    definition: Backend, shift: float
) -> None:
    x = np.array([[1.0, 3.0, 2.0]])
    want = np.exp(x) / np.exp(x).sum()
    close(definition.softmax(x + shift), want)
    close(definition.log_softmax(x + shift), np.log(want))


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("turned", [False, True])
def test_blocks_of_a_long_product_lose_nothing(kernels: Backend, rows: int, turned: bool) -> None:
    """1e16 + 1 is 1e16 in float64: what every addition of blocks loses comes back in the end."""
    block = 400 if kernels.name != "numpy" else 512 if rows == 1 else 4096
    a, b, bias = np.zeros((rows, 3 * block)), np.ones((3 * block, 2)), np.array([4.0, -8.0])
    a[:, ::block] = 1e16, 3, -1e16
    a[-1, ::block] = -1e16, -1, 1e16
    b[:, 1] = 2
    b = np.asfortranarray(b) if turned else b
    want = [[3, 6]] * (rows - 1) + [[-1, -2]]
    assert kernels.matmul(a, b, bias).tolist() == [[x + 4, y - 8] for x, y in want]


def test_matmul_of_a_row_loses_nothing_between_blocks_of_512(definition: Backend) -> None:
    a = np.zeros((1, 3 * 512))
    a[0, [0, 512, 1024, 1025]] = 1e16, 1.0, -1e16, 4.0
    assert definition.matmul(a, np.ones((3 * 512, 1))).tolist() == [[5.0]]


def test_matmul_pairs_batches_by_broadcasting(definition: Backend) -> None:
    a, b = r.normal(size=(2, 1, 3, 4)), r.normal(size=(5, 4, 6))
    got = definition.matmul(a, b)
    assert got.shape == (2, 5, 3, 6)
    for i in range(2):
        for j in range(5):
            close(got[i, j], definition.matmul(a[i, 0], b[j]), 1e-14)


def test_softmax_of_a_row(definition: Backend) -> None:
    x = [0.5, -1.0, 2.0, 0.0]
    total = sum(math.exp(v) for v in x)
    close(definition.softmax(np.array(x)), [math.exp(v) / total for v in x], 1e-15)
    close(definition.log_softmax(np.array(x)), [v - math.log(total) for v in x], 1e-15)


def test_masked_softmax_is_softmax_of_what_is_left(definition: Backend) -> None:
    x, mask = r.normal(size=6), np.array([1, 0, 0, 1, 1, 0], bool)
    got = definition.softmax(x, mask)
    close(got[mask], definition.softmax(x[mask]), 1e-15)
    assert not got[~mask].any()


def test_gradients_of_softmax_and_its_logarithm(definition: Backend) -> None:
    x, g = r.normal(size=(3, 5)), r.normal(size=(3, 5))
    want = slope(lambda x: float((definition.softmax(x) * g).sum()), x)
    close(definition.softmax_backward(definition.softmax(x), g), want)
    want = slope(lambda x: float((definition.log_softmax(x) * g).sum()), x)
    close(definition.log_softmax_backward(definition.log_softmax(x), g), want)


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_by_the_book(definition: Backend, smoothing: float, weighted: bool) -> None:
    N, V = 5, 4
    logits, target = r.normal(size=(N, V)), np.array([0, 3, -7, 1, 3])
    weight = r.uniform(0.5, 2, size=V) if weighted else None
    w = np.ones(V) if weight is None else weight

    def loss(logits: np.ndarray) -> np.ndarray:
        out = np.zeros(N)
        for i, t in enumerate(target):
            if t != -7:
                logp = [x - math.log(sum(math.exp(v) for v in logits[i])) for x in logits[i]]
                out[i] = -(1 - smoothing) * w[t] * logp[t]
                out[i] -= smoothing / V * sum(w[c] * logp[c] for c in range(V))
        return out

    for total in (1, sum(w[target[target != -7]])):
        options = -7, smoothing, total != 1, True
        losses, whole, grad = definition.cross_entropy(logits, target, weight, *options)
        close(losses, loss(logits), 1e-14)
        close(whole, loss(logits).sum() / total, 1e-14)
        close(grad, slope(lambda x, total=total: float(loss(x).sum()) / total, logits))


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("weight", [None, np.array([0.5, 2.0, 0.0, 3.0])])
def test_nll_loss_by_the_book(definition: Backend, mean: bool, weight: Any) -> None:
    x, target = r.normal(size=(5, 4)), np.array([0, 3, -7, 2, 3])
    w = np.ones(4) if weight is None else weight
    factors = [0 if t == -7 else w[t] for t in target]
    total = sum(factors) if mean else 1

    def loss(x: np.ndarray) -> list[float]:
        return [-factors[i] * x[i, t] if factors[i] else 0 for i, t in enumerate(target)]

    losses, weights, whole, divisor = definition.nll_loss(x, target, weight, -7, mean)
    close(losses, loss(x), 1e-14)
    close(whole, sum(loss(x)) / total, 1e-14)
    rest = target, weights, divisor, -7, 4
    dx = definition.nll_loss_backward(np.array([0.3]), *rest)
    close(dx, slope(lambda x: 0.3 * sum(loss(x)) / total, x))
    dy = r.normal(size=5)
    dx = definition.nll_loss_backward(dy, *rest)
    close(dx, slope(lambda x: float(dy @ loss(x)) / total, x))


@pytest.mark.parametrize("eps", [1e-12, 3.0])
def test_directions_and_distances_by_the_book(definition: Backend, eps: float) -> None:
    x, y = r.normal(size=(2, 3, 4))
    x[2] *= 4
    g, rows = r.normal(size=(3, 4)), r.normal(size=3)

    def size(x: np.ndarray) -> np.ndarray:
        return np.sqrt((x * x).sum(axis=1, keepdims=True))

    def unit(x: np.ndarray) -> np.ndarray:
        return x / np.maximum(size(x), eps)

    y1, of_x = definition.normalize(x, eps)
    close(y1, unit(x), 1e-14)
    close(of_x, size(x)[:, 0], 1e-14)
    dx = definition.normalize_backward(g, x, of_x, eps)
    close(dx, slope(lambda x: float((g * unit(x)).sum()), x))

    close(definition.cosine(x, y, eps), (unit(x) * unit(y)).sum(axis=1), 1e-14)
    dx, dy = definition.cosine_backward(rows, x, y, eps)
    long = [size(v)[:, 0] >= eps for v in (x, y)]  # elsewhere the gradient is PyTorch's
    wanted = [
        slope(lambda v: float(rows @ (unit(v) * unit(y)).sum(axis=1)), x),
        slope(lambda v: float(rows @ (unit(x) * unit(v)).sum(axis=1)), y),
    ]
    for got, want, where in zip((dx, dy), wanted, long, strict=True):
        close(got[where], want[where])

    d, of_w = definition.pairwise(x, y, eps)
    close(d, size(x - y + eps)[:, 0], 1e-14)
    dx = definition.pairwise_backward(rows, x, y, of_w, eps)
    close(dx, slope(lambda x: float(rows @ size(x - y + eps)[:, 0]), x))


@np.errstate(under="ignore")
def test_sizes_and_directions_of_extreme_rows(definition: Backend) -> None:
    x = np.array(
        [[3e200, -4e200], [3e-200, -4e-200], [0, -5e-324], [0, 0], [np.inf, 1], [np.nan, 1]]
    )
    y, size = definition.normalize(x, 0.0)
    np.testing.assert_allclose(size, [5e200, 5e-200, 5e-324, 0, np.inf, np.nan], rtol=1e-15)
    np.testing.assert_allclose(y[:3], [[0.6, -0.8], [0.6, -0.8], [0, -1]], rtol=1e-15)
    _, size = definition.normalize(x[1:2], 0.0)
    np.testing.assert_allclose(size, [5e-200], rtol=1e-15)
    _, size = definition.normalize(np.array([[3.0, 4.0], [3e200, 4e200]]), 0.0)
    np.testing.assert_allclose(size, [5, 5e200], rtol=1e-15)
    cancelling = definition.cosine(np.array([[1e17, 1.0, -1e17]]), np.ones((1, 3)), 1e-8)
    np.testing.assert_allclose(cancelling, 1 / (1e17 * 6**0.5), rtol=0.2)
    same, infinite = np.array([[1.0, 2.0]]), np.array([np.inf])
    dx = definition.pairwise_backward(infinite, same, np.array([[1.0, 0.0]]), np.array([2.0]), 0.0)
    np.testing.assert_array_equal(dx, [[0, np.inf]])


def test_embedding_backward_is_the_slope_of_the_lookup(definition: Backend) -> None:
    index, g = np.array([2, 0, 2, 1, 2]), r.normal(size=(5, 3))
    want = slope(lambda w: float((w[index] * g).sum()), np.zeros((4, 3)))
    close(definition.embedding_backward(g, index, 4, -1), want)
    want[2] = 0
    close(definition.embedding_backward(g, index, 4, 2), want)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [2, 1, 0]])
def test_embedding_backward_keeps_what_cancels_in_any_order(
    definition: Backend, dtype: Any, order: list[int]
) -> None:
    large = 1e8 if dtype is np.float32 else 1e17
    grad = np.array([[large], [1.0], [-large]], dtype)[order]
    assert definition.embedding_backward(grad, np.zeros(3, np.int64), 1, -1)[0, 0] == 1


def gru_by_rows(args: dict[str, Any]) -> tuple[list[list[np.ndarray]], list[np.ndarray]]:
    """Each row on its own, one number at a time: states[b][t] and the last state of b."""
    sizes, H = args["batch_sizes"].tolist(), args["h0"].shape[1]
    starts = np.cumsum([0, *sizes]).tolist()
    w, bias = args["w_hh"], args["b_hh"]
    states: list[list[Any]] = []
    last = []
    for b in range(sizes[0]):
        length = sum(size > b for size in sizes)
        states.append([None] * length)
        h = args["h0"][b]
        for t in reversed(range(length)) if args["reverse"] else range(length):
            x = args["gx"][starts[t] + b]
            new = np.empty(H)
            for j in range(H):
                gate = [sum(w[k * H + j, i] * h[i] for i in range(H)) for k in range(3)]
                if bias is not None:
                    gate = [gate[k] + bias[k * H + j] for k in range(3)]
                reset = 1 / (1 + math.exp(-(x[j] + gate[0])))
                keep = 1 / (1 + math.exp(-(x[H + j] + gate[1])))
                candidate = math.tanh(x[2 * H + j] + reset * gate[2])
                new[j] = (1 - keep) * candidate + keep * h[j]
            h = new
            states[b][t] = h
        last.append(h)
    return states, last


def small_gru(reverse: bool, sizes: tuple[int, ...] = (3, 2, 2, 1)) -> dict[str, Any]:
    H, B, N = 2, sizes[0], sum(sizes)
    return {
        "gx": r.normal(size=(N, 3 * H)),
        "h0": r.normal(size=(B, H)),
        "w_hh": r.normal(size=(3 * H, H)),
        "b_hh": r.normal(size=3 * H),
        "batch_sizes": np.array(sizes, np.int64),
        "reverse": reverse,
    }


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_gru_row_by_row(definition: Backend, reverse: bool, bias: bool) -> None:
    args = small_gru(reverse)
    if not bias:
        args["b_hh"] = None
    y, h_n, _ = definition.gru(**args)
    states, last = gru_by_rows(args)
    close(h_n, last, 1e-13)
    starts = np.cumsum([0, *args["batch_sizes"]])
    for b, row in enumerate(states):
        for t, h in enumerate(row):
            close(y[starts[t] + b], h, 1e-13)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_gru(definition: Backend, reverse: bool) -> None:
    args = small_gru(reverse)
    y, h_n, saved = definition.gru(**args)
    dy, dh_n = r.normal(size=y.shape), r.normal(size=h_n.shape)

    def loss(name: str) -> Callable[[np.ndarray], float]:
        def f(x: np.ndarray) -> float:
            y, h_n, _ = definition.gru(**(args | {name: x}))
            return float((y * dy).sum() + (h_n * dh_n).sum())

        return f

    rest = [args[name] for name in ("h0", "w_hh", "batch_sizes", "reverse")]
    dgx, dgh, dh0 = definition.gru_backward(dy, dh_n, saved, y, *rest)
    close(dgx, slope(loss("gx"), args["gx"]))
    close(dh0, slope(loss("h0"), args["h0"]))
    close(dgh.sum(axis=0), slope(loss("b_hh"), args["b_hh"]))
    # The weights' gradient needs the state before each step.
    states, _ = gru_by_rows(args)
    starts = np.cumsum([0, *args["batch_sizes"]])
    before = np.empty_like(y)
    for b, row in enumerate(states):
        for t in range(len(row)):
            s = t + 1 if reverse else t - 1
            before[starts[t] + b] = row[s] if 0 <= s < len(row) else args["h0"][b]
    close(dgh.T @ before, slope(loss("w_hh"), args["w_hh"]))


@pytest.mark.parametrize("reverse", [False, True])
def test_gru_agrees_with_torch(definition: Backend, reverse: bool, torch: Any) -> None:
    sizes, D, H = [4, 3, 3, 1], 3, 5
    twin = torch.nn.GRU(D, H, bidirectional=True, dtype=torch.float64)
    suffix = "_l0_reverse" if reverse else "_l0"
    w_ih, w_hh, b_ih, b_hh = (
        getattr(twin, name + suffix).detach().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    x, h0 = r.normal(size=(sum(sizes), D)), r.normal(size=(sizes[0], H))
    packed = torch.nn.utils.rnn.PackedSequence(
        torch.tensor(x, requires_grad=True), torch.tensor(sizes)
    )
    both = torch.tensor(np.stack([h0, h0]), requires_grad=True)
    out, h_last = twin(packed, both)
    half = slice(H, None) if reverse else slice(0, H)

    args = [h0, w_hh]
    gx = x @ w_ih.T + b_ih
    y, h_n, saved = definition.gru(gx, *args, b_hh, np.array(sizes), reverse)
    close(y, out.data[:, half].detach().numpy(), 1e-12)
    close(h_n, h_last[int(reverse)].detach().numpy(), 1e-12)

    dy, dh_n = r.normal(size=y.shape), r.normal(size=h_n.shape)
    loss = (out.data[:, half] * torch.tensor(dy)).sum()
    (loss + (h_last[int(reverse)] * torch.tensor(dh_n)).sum()).backward()
    dgx, dgh, dh0 = definition.gru_backward(dy, dh_n, saved, y, *args, np.array(sizes), reverse)
    close(dgx @ w_ih, packed.data.grad.numpy(), 1e-12)
    close(dh0, both.grad[int(reverse)].numpy(), 1e-12)
    close(dgh.sum(axis=0), getattr(twin, "bias_hh" + suffix).grad.numpy(), 1e-12)
    close(dgx.T @ x, getattr(twin, "weight_ih" + suffix).grad.numpy(), 1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_lstm_agrees_with_torch(definition: Backend, reverse: bool, bias: bool, torch: Any) -> None:
    sizes, D, H = [4, 3, 3, 1], 3, 5
    twin = torch.nn.LSTM(D, H, bias=bias, bidirectional=True, dtype=torch.float64)
    suffix = "_l0_reverse" if reverse else "_l0"
    weights = {k.removesuffix(suffix): v for k, v in twin.named_parameters() if k.endswith(suffix)}
    w_ih, w_hh, b_ih, b_hh = (
        weights[k].detach().numpy() if k in weights else None
        for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    x, h0, c0 = r.normal(size=(sum(sizes), D)), r.normal(size=(4, H)), r.normal(size=(4, H))
    packed = torch.nn.utils.rnn.PackedSequence(
        torch.tensor(x, requires_grad=True), torch.tensor(sizes)
    )
    first = [torch.tensor(np.stack([s, s]), requires_grad=True) for s in (h0, c0)]
    out, last = twin(packed, first)
    half, side = slice(H, None) if reverse else slice(0, H), int(reverse)

    gx = x @ w_ih.T + (b_ih if bias else 0)
    y, h_n, c_n, saved = definition.lstm(gx, h0, c0, w_hh, b_hh, np.array(sizes), reverse)
    theirs = [out.data[:, half], *(state[side] for state in last)]
    for mine, other in zip((y, h_n, c_n), theirs, strict=True):
        close(mine, other.detach().numpy(), 1e-12)
    grads = [r.normal(size=a.shape) for a in (y, h_n, c_n)]
    sum((a * torch.tensor(g)).sum() for a, g in zip(theirs, grads, strict=True)).backward()
    da, dh0, dc0 = definition.lstm_backward(*grads, saved, c0, w_hh, np.array(sizes), reverse)
    close(da @ w_ih, packed.data.grad.numpy(), 1e-12)
    close(dh0, first[0].grad[side].numpy(), 1e-12)
    close(dc0, first[1].grad[side].numpy(), 1e-12)
    if bias:
        close(da.sum(axis=0), weights["bias_hh"].grad.numpy(), 1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_lstm(definition: Backend, reverse: bool) -> None:
    H, sizes = 2, np.array([3, 2, 2, 1])
    args = {
        "gx": r.normal(size=(8, 4 * H)),
        "h0": r.normal(size=(3, H)),
        "c0": r.normal(size=(3, H)),
        "w_hh": r.normal(size=(4 * H, H)),
        "b_hh": r.normal(size=4 * H),
    }

    def run(**others: np.ndarray) -> tuple[np.ndarray, ...]:
        return definition.lstm(**(args | others), batch_sizes=sizes, reverse=reverse)

    *results, saved = run()
    grads = [r.normal(size=x.shape) for x in results]

    def loss(name: str) -> Callable[[np.ndarray], float]:
        return lambda x: sum(
            float((a * g).sum()) for a, g in zip(run(**{name: x}), grads, strict=False)
        )

    da, dh0, dc0 = definition.lstm_backward(*grads, saved, args["c0"], args["w_hh"], sizes, reverse)
    close(da, slope(loss("gx"), args["gx"]))
    close(dh0, slope(loss("h0"), args["h0"]))
    close(dc0, slope(loss("c0"), args["c0"]))
    close(da.sum(axis=0), slope(loss("b_hh"), args["b_hh"]))


def test_layer_norm_of_a_row(definition: Backend) -> None:
    x, w, b = [1.0, 2.0, 4.0], [1.0, -1.0, 0.5], [0.0, 1.0, 2.0]
    mean = sum(x) / 3
    var = sum((v - mean) ** 2 for v in x) / 3
    y, m, rstd = definition.layer_norm(np.array([x]), np.array(w), np.array(b), 0.01)
    close([m[0], rstd[0]], [mean, (var + 0.01) ** -0.5], 1e-15)
    close(y[0], [(x[i] - mean) * (var + 0.01) ** -0.5 * w[i] + b[i] for i in range(3)], 1e-14)


@pytest.mark.parametrize("affine", [False, True])
def test_gradients_of_layer_norm(definition: Backend, affine: bool) -> None:
    x, g = r.normal(size=(3, 4)), r.normal(size=(3, 4))
    w, b = (r.normal(size=4), r.normal(size=4)) if affine else (None, None)

    def loss(x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None) -> float:
        return float((definition.layer_norm(x, w, b, 0.1)[0] * g).sum())

    _, mean, rstd = definition.layer_norm(x, w, b, 0.1)
    dx, dw, db = definition.layer_norm_backward(g, x, mean, rstd, w)
    close(dx, slope(lambda x: loss(x, w, b), x))
    ones, zeros = np.ones(4) if w is None else w, np.zeros(4) if b is None else b
    close(dw, slope(lambda w: loss(x, w, zeros), ones))
    close(db, slope(lambda b: loss(x, ones, b), zeros))


@pytest.mark.parametrize("affine", [False, True])
def test_rms_norm_of_a_row_and_its_gradients(definition: Backend, affine: bool) -> None:
    x, g = r.normal(size=(3, 4)), r.normal(size=(3, 4))
    w = r.normal(size=4) if affine else None

    def loss(x: np.ndarray, w: np.ndarray | None) -> float:
        return float((definition.rms_norm(x, w, 0.1)[0] * g).sum())

    y, rstd = definition.rms_norm(x, w, 0.1)
    ones = np.ones(4) if w is None else w
    for i, row in enumerate(x.tolist()):
        scale = (sum(v * v for v in row) / 4 + 0.1) ** -0.5
        close(rstd[i], scale, 1e-14)
        close(y[i], [v * scale * k for v, k in zip(row, ones, strict=True)], 1e-14)
    dx, dw = definition.rms_norm_backward(g, x, rstd, w)
    close(dx, slope(lambda x: loss(x, w), x))
    close(dw, slope(lambda w: loss(x, w), ones))


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_adam_number_by_number(definition: Backend, decoupled: bool, maximize: bool) -> None:
    p, m, v, lr, b1, b2, eps, decay = 0.7, 0.0, 0.0, 0.1, 0.8, 0.9, 1e-3, 0.05
    arrays = [[np.array([value])] for value in (p, m, v)]
    for step in range(1, 6):
        g = math.sin(step)
        definition.adam(
            arrays[0], [np.array([g])], arrays[1], arrays[2],
            [step], AdamOptions(lr, b1, b2, eps, decay, decoupled, maximize),
        )  # fmt: skip
        g = -g if maximize else g
        if decoupled:
            p -= lr * decay * p
        else:
            g += decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        p -= lr * (m / (1 - b1**step)) / (math.sqrt(v / (1 - b2**step)) + eps)
        close([float(a[0][0]) for a in arrays], [p, m, v], 1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_number_by_number(definition: Backend, nesterov: bool) -> None:
    p, buffer, lr, momentum, dampening, decay = 0.7, 0.0, 0.1, 0.9, 0.25, 0.05
    params, buffers = [np.array([p])], [np.array([np.nan])]
    for step in range(1, 5):
        g = math.cos(step)
        definition.sgd(
            params,
            [np.array([g])],
            buffers,
            [step == 1],
            SGDOptions(lr, momentum, dampening, decay, nesterov),
        )
        g += decay * p
        buffer = g if step == 1 else momentum * buffer + (1 - dampening) * g
        p -= lr * (g + momentum * buffer if nesterov else buffer)
        close([params[0][0], buffers[0][0]], [p, buffer], 1e-14)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_optimisers_agree_with_torch(definition: Backend, name: str, torch: Any) -> None:
    start, grads = r.normal(size=(3, 4)), r.normal(size=(6, 3, 4))
    twin = torch.tensor(start.copy(), requires_grad=True)
    options: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.1}
    if name == "SGD":
        options |= {"momentum": 0.9, "dampening": 0.2, "maximize": True}
    optimiser = getattr(torch.optim, name)([twin], **options)
    p, first, second = [start.copy()], [np.zeros((3, 4))], [np.zeros((3, 4))]
    for step, grad in enumerate(grads, 1):
        twin.grad = torch.tensor(grad)
        optimiser.step()
        if name == "SGD":
            options = SGDOptions(0.05, 0.9, 0.2, 0.1, maximize=True)
            definition.sgd(p, [grad], first, [step == 1], options)
        else:
            options = AdamOptions(0.05, 0.9, 0.999, 1e-8, 0.1, name == "AdamW")
            definition.adam(p, [grad], first, second, [step], options)
        close(p[0], twin.detach().numpy(), 1e-13)


def test_global_norm_is_that_of_one_long_vector(definition: Backend) -> None:
    arrays = [r.normal(size=s) for s in [(3, 5), (7,), ()]]
    want = math.sqrt(math.fsum(v * v for x in arrays for v in x.ravel().tolist()))
    close(definition.global_norm(arrays), want, 1e-15)


def test_global_norm_of_float32_is_summed_in_float64(definition: Backend) -> None:
    ones = np.full(2**25, 1.0, np.float32)
    assert definition.global_norm([ones, ones]) == math.sqrt(2**26)


# 2^60 + 1 is 2^60 in float64: what is left of the sum of these numbers, 1, is what rounding lost.
LOST = [2.0**60, -(2.0**60), 1.0, 0.0]


def test_what_rounding_loses_is_added_in_the_end(definition: Backend) -> None:
    x = np.array(LOST).reshape(1, 4, 1)
    assert definition.sum(x).item() == 1
    assert definition.products(x, np.ones_like(x)).item() == 1
    assert definition.moments(x)[0].item() == 0.25
    assert definition.scatter_add(x[:, [0, 2, 1, 3]], np.zeros((1, 4, 1), int), 1).item() == 1
    (row,) = definition.mean_pool(x[:, :, 0], Windows(T=4, n=1, size=4))
    assert row.tolist() == [0.25]


def test_the_terms_of_softmax_are_summed_exactly(definition: Backend) -> None:
    u = 2.0**-55  # 1 + u is 1, but not 1 + 7 u
    x = np.log([[1.0] + 7 * [u]])
    want = 1 / math.fsum(np.exp(x[0]).tolist())
    assert definition.softmax(x)[0, 0] == want < 1


def test_a_mean_of_infinities_is_no_less_than_infinite(definition: Backend) -> None:
    mean, rest, _ = definition.moments(np.array([math.inf, 1.0]).reshape(1, 2, 1))
    assert (mean.item(), rest.item()) == (math.inf, 0)


def test_a_triangle_keeps_one_side_of_a_diagonal(definition: Backend) -> None:
    x = r.normal(size=(2, 3, 4))
    for k, upper in ((0, True), (0, False), (1, True), (-1, False)):
        got = definition.triangle(x, k, upper)
        for a, i, j in np.ndindex(x.shape):
            kept = j - i >= k if upper else j - i <= k
            assert got[a, i, j] == (x[a, i, j] if kept else 0)


def test_the_gradient_of_a_norm_is_0_at_0_and_for_no_other_number(definition: Backend) -> None:
    grad, x, y = (
        np.array([2.0, math.inf, 3.0]),
        np.array([1.0, 0.0, 5.0]),
        np.array([4.0, 3.0, 0.0]),
    )
    got = definition.elementwise("norm_backward", (grad, x, y))
    assert got.tolist() == [0.5, 0, 0]


def test_attention_of_a_query_without_keys_is_0(definition: Backend) -> None:
    q, k = r.normal(size=(1, 1, 2, 3)), r.normal(size=(1, 1, 4, 3))
    mask = np.array([[True, True, False, True], [False] * 4]).reshape(1, 1, 2, 4)
    out, lse = definition.attention(q, k, k, mask, AttentionOptions(False, 1.0))
    assert out[0, 0, 1].tolist() == [0, 0, 0]
    assert lse[0, 0, 1] == -math.inf
    assert np.isfinite(out[0, 0, 0]).all()


def test_no_class_is_before_the_first(definition: Backend) -> None:
    total = np.array(1.0)
    with pytest.raises(IndexError, match="target"):
        definition.nll_loss_backward(np.ones(1), np.array([-1]), np.ones(1), total, -100, 4)
