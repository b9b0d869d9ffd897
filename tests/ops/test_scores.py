"""attention() by every score: gradients, masks, weights, and the formulas by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn.ops import scores as module
from tinyattn.ops.scores import scores

F64 = ta.float64
D, H = 4, 5


def randn(*shape):
    return ta.randn(*shape, dtype=F64, requires_grad=True)


def parameters(score):
    shapes = {
        "general": {"weight": (D, D)},
        "additive": {"weight_q": (H, D), "weight_k": (H, D), "v": (H,), "bias": (H,)},
    }
    return {name: randn(*shape) for name, shape in shapes.get(score, {}).items()}


def by_hand(score, q, k, p):
    """One score of two vectors, in plain NumPy."""
    cases = {
        "dot": lambda: q @ k,
        "scaled_dot": lambda: q @ k / np.sqrt(len(q)),
        "general": lambda: q @ p["weight"] @ k,
        "additive": lambda: p["v"] @ np.tanh(p["weight_q"] @ q + p["weight_k"] @ k + p["bias"]),
        "cosine": lambda: q @ k / np.linalg.norm(q) / np.linalg.norm(k),
        "neg_sq_distance": lambda: -np.sum((q - k) ** 2),
        "geometric_mean": lambda: q @ k / np.sqrt(np.linalg.norm(q) * np.linalg.norm(k)),
    }
    return cases[score]()


@pytest.mark.parametrize("score", scores)
def test_a_score_is_its_formula(score, backend):
    q, k, p = randn(2, 3, D), randn(2, 5, D), parameters(score)
    s = scores[score](q, k, **p).detach().numpy()
    arrays = {name: x.detach().numpy() for name, x in p.items()}
    for b, i, j in np.ndindex(2, 3, 5):
        want = by_hand(score, q.detach().numpy()[b, i], k.detach().numpy()[b, j], arrays)
        np.testing.assert_allclose(s[b, i, j], want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("score", scores)
def test_gradients_with_a_mask_and_a_row_that_attends_nothing(score, need_weights, backend):
    q, k, v, p = randn(2, 3, D), randn(2, 5, D), randn(2, 5, 6), parameters(score)
    mask = np.random.default_rng(0).random((2, 3, 5)) < 0.6
    mask[0, 1] = False
    mask = ta.tensor(mask)

    def call(q, k, v, *values):
        named = dict(zip(p, values, strict=True))
        return ta.attention(q, k, v, score, mask, need_weights=need_weights, **named)

    assert ta.gradcheck(call, (q, k, v, *p.values()))
    out = call(q, k, v, *p.values())
    out = out[0] if need_weights else out
    assert not out.detach().numpy()[0, 1].any()
    out.sum().backward()
    assert not q.grad.numpy()[0, 1].any()


@pytest.mark.parametrize("score", scores)
def test_nothing_to_attend_at_all_gives_zeros_not_nan(score, backend):
    q, k, v, p = randn(3, D), randn(5, D), randn(5, 6), parameters(score)
    for mask in (ta.zeros(1, 5, dtype=bool), ta.full((1, 5), -np.inf, dtype=F64)):
        out, weights = ta.attention(q, k, v, score, mask, need_weights=True, **p)
        out.sum().backward()
        assert not out.detach().numpy().any()
        assert not weights.detach().numpy().any()
        assert not ta.attention(q, k, v, score, mask, **p).detach().numpy().any()
        for x in (q, k, v, *p.values()):
            assert not x.grad.numpy().any()


@pytest.mark.parametrize("score", scores)
def test_masked_keys_change_nothing(score):
    q, k, v, p = randn(3, D), randn(5, D), randn(5, 6), parameters(score)
    mask = ta.tensor([True, True, True, False, False])
    got = ta.attention(q, k, v, score, mask, **p)
    want = ta.attention(q, k[:3], v[:3], score, **p)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-12, atol=1e-13)
    added = ta.zeros(5, dtype=F64).masked_fill(mask.logical_not(), -np.inf)
    got = ta.attention(q, k, v, score, added, need_weights=True, **p)[0]
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_an_added_mask_has_its_gradient(backend):
    q, k, v, mask = randn(2, 3, D), randn(2, 5, D), randn(2, 5, 6), randn(3, 5)
    for weights in (False, True):
        assert ta.gradcheck(
            lambda q, k, v, m, w=weights: ta.attention(q, k, v, mask=m, need_weights=w),
            (q, k, v, mask),
        )


@given(
    batch=st.sampled_from([((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((1,), (2,))]),
    Tq=st.integers(0, 3),
    Tk=st.integers(0, 3),
    score=st.sampled_from(list(scores)),
)
@settings(max_examples=30)
def test_batches_broadcast_and_sizes_may_be_zero(batch, Tq, Tk, score):
    q, k, v, p = randn(*batch[0], Tq, D), randn(*batch[1], Tk, D), randn(Tk, 6), parameters(score)
    out, weights = ta.attention(q, k, v, score, need_weights=True, **p)
    whole = np.broadcast_shapes(*batch)
    assert out.shape == (*whole, Tq, 6)
    assert weights.shape == (*whole, Tq, Tk)
    if Tk:
        np.testing.assert_allclose(weights.detach().numpy().sum(-1), 1, rtol=1e-12)
    assert ta.attention(q, k, v, score, **p).shape[-2:] == out.shape[-2:]
    out.sum().backward()
    assert q.grad.shape == q.shape


@pytest.mark.parametrize("score", ["dot", "scaled_dot"])
def test_without_weights_the_products_take_linear_memory(score, monkeypatch):
    called = []
    kernel = module.scaled_dot_product_attention

    def watched(*args, **options):
        called.append(args)
        return kernel(*args, **options)

    monkeypatch.setattr(module, "scaled_dot_product_attention", watched)
    q, k, v = randn(2, 3, D), randn(2, 5, D), randn(2, 5, 6)
    got = ta.attention(q, k, v, score)
    assert called
    want = ta.attention(q, k, v, score, need_weights=True)[0]
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-12)
    with pytest.raises(TypeError):
        ta.attention(q, k, v, score, temperature=2.0)


def test_projected_keys_go_in_without_their_weight():
    q, k, v, p = randn(2, 3, D), randn(2, 5, D), randn(2, 5, 6), parameters("additive")
    want = ta.attention(q, k, v, "additive", **p)
    keys = ta.nn.functional.linear(k, p.pop("weight_k"))
    got = ta.attention(q, keys, v, "additive", **p)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-13)


def test_a_function_of_ones_own():
    def manhattan(query, key, scale):
        return -(query.unsqueeze(-2) - key.unsqueeze(-3)).abs().sum(-1) * scale

    q, k, v = randn(3, D), randn(5, D), randn(5, 6)
    _, weights = ta.attention(q, k, v, manhattan, need_weights=True, scale=0.5)
    distance = np.abs(q.detach().numpy()[:, None] - k.detach().numpy()).sum(-1)
    want = np.exp(-distance / 2)
    want /= want.sum(-1, keepdims=True)
    np.testing.assert_allclose(weights.detach().numpy(), want, rtol=1e-12)
    with pytest.raises(RuntimeError, match=r"score: expected \(..., Tq, Tk\) = \(..., 3, 5\), got"):
        ta.attention(q, k, v, lambda query, key: query)


def test_cosine_needs_a_temperature_to_be_sharp():
    """Of n keys none gets more than e^2 / (n - 1 + e^2) of the weight at temperature 1."""
    n = 10
    q = ta.ones(1, D, dtype=F64)
    k = ta.cat([q, -q.expand(n - 1, D)])
    _, weights = ta.attention(q, k, k, "cosine", need_weights=True)
    np.testing.assert_allclose(weights.amax().item(), np.e**2 / (n - 1 + np.e**2), rtol=1e-12)
    _, weights = ta.attention(q, k, k, "cosine", need_weights=True, temperature=0.1)
    assert weights.amax().item() > 0.999


@pytest.mark.parametrize("score", ["cosine", "geometric_mean"])
def test_the_zero_vector_has_score_zero_and_a_finite_gradient(score):
    q, k = ta.zeros(1, D, dtype=F64, requires_grad=True), randn(3, D)
    s = scores[score](q, k)
    s.sum().backward()
    assert not s.detach().numpy().any()
    assert np.isfinite(q.grad.numpy()).all()
    assert np.isfinite(k.grad.numpy()).all()


def test_dropout_acts_on_the_weights():
    q, k, v = randn(50, D), randn(40, D), randn(40, 6)
    out, weights = ta.attention(q, k, v, dropout_p=0.25, need_weights=True)
    assert 0.15 < (weights.detach().numpy() == 0).mean() < 0.35
    np.testing.assert_allclose(out.detach().numpy(), (weights @ v).detach().numpy(), rtol=1e-12)


x = np.zeros
ERRORS = [
    (x((3, 4)), x((5, 4)), x((5, 6)), {"score": "luong"}, ValueError, "dot, scaled_dot, general"),
    (
        x((3, 4)),
        x((5, 3)),
        x((5, 6)),
        {"score": "cosine"},
        RuntimeError,
        "key: expected D = 4 .* 3",
    ),
    (x((3, 4)), x((5, 4)), x((6, 6)), {}, RuntimeError, "value: expected Tk = 5 .* got Tk = 6"),
    (
        x(4),
        x((5, 4)),
        x((5, 6)),
        {},
        RuntimeError,
        r"query, key, and value to be at least 2-D.* \[4\]",
    ),
    (
        x((3, 4)),
        x((5, 4), "f4"),
        x((5, 6)),
        {},
        RuntimeError,
        "same dtype, .* query float64, key float32",
    ),
    (x((2, 3, 4)), x((3, 5, 4)), x((3, 5, 6)), {}, RuntimeError, "axes before T of query"),
    (
        x((2, 3, 4)),
        x((2, 5, 4)),
        x((2, 5, 6)),
        {"mask": x((2, 5), bool)},
        RuntimeError,
        r"mask: .* \[2, 5\] .*\(..., Tq, Tk\) = \[2, 3, 5\].* padding mask .* as \(B, 1, Tk\)",
    ),
    (
        x((3, 4)),
        x((5, 4)),
        x((5, 6)),
        {"mask": x((3, 5), int)},
        RuntimeError,
        "mask dtype to be bool or float .* got mask int64",
    ),
    (
        x((3, 4)),
        x((5, 4)),
        x((5, 6)),
        {"score": "general", "weight": x((4, 3))},
        RuntimeError,
        r"weight: expected \(Dq, Dk\) = \[4, 4\], got \[4, 3\]",
    ),
    (
        x((3, 4)),
        x((5, 4)),
        x((5, 6)),
        {"score": "additive", "v": x(3)},
        RuntimeError,
        r"v \(H,\), got \[3, 4\], \[5, 4\] and \[3\]",
    ),
    (
        x((3, 4)),
        x((5, 4)),
        x((5, 6)),
        {"score": "cosine", "temperature": 0.0},
        ValueError,
        "temperature: expected a positive number, got 0.0",
    ),
]


@pytest.mark.parametrize(("q", "k", "v", "options", "error", "message"), ERRORS)
def test_errors_name_the_argument_and_both_sizes(q, k, v, options, error, message):
    options = {n: ta.tensor(o) if isinstance(o, np.ndarray) else o for n, o in options.items()}
    with pytest.raises(error, match=message):
        ta.attention(ta.tensor(q), ta.tensor(k), ta.tensor(v), **options)
