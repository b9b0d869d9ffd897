"""scaled_dot_product_attention: PyTorch's results, gradients and errors; differences; dropout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tests.helpers import leaf, numbers
from tinyattn.nn import functional as F
from tinyattn.ops.attention import ScaledDotProductAttention, SplitHeads

from .parity import same_as_torch

INF = np.inf
sdpa = "scaled_dot_product_attention"


def call(t, *tensors, **options):
    return getattr(t.nn.functional, sdpa)(*tensors, **options)


# Leading axes of query, key and value; heads in groups where the last is True.
BATCHES = [
    ((), (), (), False),
    ((3,), (3,), (3,), False),
    ((2, 3), (2, 3), (2, 3), False),
    ((2, 1, 2, 3), (2, 1, 2, 3), (2, 1, 2, 3), False),
    ((1, 3), (2, 3), (2, 3), False),
    ((2, 3), (1, 3), (2, 1), False),
    ((2, 3), (3,), (1, 3), False),
    ((2, 4), (2, 2), (2, 2), True),
    ((4,), (1,), (1,), True),
    ((0, 2), (0, 2), (0, 2), False),
]
MASKS = ["none", "causal", "bool", "added", "added -inf", "padding", "per query"]


def mask_of(kind, batch, Tq, Tk, dtype):
    r = np.random.default_rng([Tq, Tk])
    wide = (batch[0], *[1] * (len(batch) - 1)) if batch else ()
    return {
        "none": None,
        "causal": None,
        "bool": r.random((Tq, Tk)) < 0.7,
        "added": r.standard_normal((*batch, Tq, Tk)).astype(dtype),
        "added -inf": np.where(r.random((Tq, Tk)) < 0.3, -INF, 0.5).astype(dtype),
        "padding": r.random((*wide, 1, Tk)) < 0.7,
        "per query": r.random((*wide, Tq, 1)) < 0.7,
    }[kind]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    batches=st.sampled_from(BATCHES),
    Tq=st.integers(0, 9),
    Tk=st.integers(0, 9),
    D=st.integers(0, 5),
    Dv=st.integers(1, 5),
    mask=st.sampled_from(MASKS),
    scale=st.sampled_from([None, 0.3, -1.0, 0.0]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_same_as_torch(torch, batches, Tq, Tk, D, Dv, mask, scale, dtype):
    bq, bk, bv, grouped = batches
    if D == 0 and scale is None:
        scale = 1.0  # PyTorch's 1 / sqrt(0) times an empty sum depends on the path it takes
    options = {"is_causal": mask == "causal", "scale": scale, "enable_gqa": grouped}
    batch = bq if grouped else np.broadcast_shapes(bq, bk, bv)
    arrays = [
        numbers((*bq, Tq, D), dtype=dtype),
        numbers((*bk, Tk, D), 1, dtype=dtype),
        numbers((*bv, Tk, Dv), 2, dtype=dtype),
    ]
    given_mask = mask_of(mask, batch, Tq, Tk, dtype)
    if given_mask is not None and (given_mask.size or given_mask.dtype == bool):
        arrays.append(given_mask)  # PyTorch has no gradient for an empty one
    same_as_torch(torch, lambda t, *x: call(t, *x, **options), *arrays)


def test_long_sequences_in_heads_are_the_same_as_torch(torch, backend):
    q, k, v = (numbers((2, 130, 3 * 16), i, dtype="float32") for i in range(3))

    def case(t, q, k, v):
        heads = [x.reshape(2, 130, 3, 16).transpose(1, 2) for x in (q, k, v)]
        return call(t, *heads, is_causal=True).transpose(1, 2).reshape(2, 130, 48)

    same_as_torch(torch, case, q, k, v)


@pytest.mark.parametrize(
    ("shapes", "mask", "options"),
    [
        pytest.param(((3, 5), (4, 6), (4, 2)), None, {}, id="D differs"),
        pytest.param(((3, 5), (4, 5), (3, 2)), None, {}, id="Tk differs"),
        pytest.param(((5,), (5,), (5,)), None, {}, id="1-D"),
        pytest.param(((2, 3, 5), (4, 3, 5), (4, 3, 5)), None, {}, id="batches differ"),
        pytest.param(((3, 5), (4, 5), (4, 2)), np.ones((3, 3), bool), {}, id="mask too narrow"),
        pytest.param(((2, 3, 5), (2, 4, 5), (2, 4, 5)), np.ones((2, 4), bool), {}, id="padding"),
        pytest.param(((3, 5), (4, 5), (4, 2)), np.ones((2, 3, 4), bool), {}, id="mask too deep"),
        pytest.param(((3, 5), (4, 5), (4, 2)), np.ones((3, 4), int), {}, id="mask of integers"),
        pytest.param(
            ((3, 5), (4, 5), (4, 2)), np.ones((3, 4), bool), {"is_causal": True}, id="two"
        ),
        pytest.param(((3, 5), (4, 5), (4, 2)), None, {"dropout_p": 1.5}, id="dropout_p"),
        pytest.param(
            ((1, 3, 2, 5), (1, 2, 2, 5), (1, 2, 2, 5)), None, {"enable_gqa": True}, id="heads"
        ),
    ],
)
def test_errors_are_torchs(torch, shapes, mask, options):
    arrays = [numbers(shape) for shape in shapes] + ([] if mask is None else [mask])
    same_as_torch(torch, lambda t, *x: call(t, *x, **options), *arrays)


@pytest.mark.parametrize("dtypes", [("float32", "float64", "float32"), ("int64",) * 3])
def test_one_float_dtype(torch, dtypes):
    arrays = [np.ones((2, 2), dtype) for dtype in dtypes]
    same_as_torch(torch, call, *arrays)


def test_a_float32_mask_for_float64_is_the_same_as_torch(torch):
    arrays = [numbers((2, 3, 4)), numbers((2, 5, 4)), numbers((2, 5, 4))]
    same_as_torch(torch, call, *arrays, numbers((3, 5), dtype="float32"))


@pytest.mark.parametrize(
    ("shapes", "options", "words"),
    [
        (((3, 5), (4, 6), (4, 2)), {}, "key: expected D = 5 .*got D = 6"),
        (((3, 5), (4, 5), (3, 2)), {}, "value: expected Tk = 4 .*got Tk = 3"),
        (((5,), (5,), (5,)), {}, r"at least 2-D, \(..., T, D\), got shapes \[5\]"),
        (((2, 3, 5), (4, 3, 5), (4, 3, 5)), {}, r"query \[2, 3, 5\].*key \[4, 3, 5\]"),
        (((3, 2, 5), (2, 2, 5), (2, 2, 5)), {"enable_gqa": True}, "h = 3 in query, 2 in key"),
        (((3, 5), (4, 5), (4, 2)), {"attn_mask": (3, 3)}, r"\[3, 3\].*\(..., Tq, Tk\) = \[3, 4\]"),
        (((2, 2, 3, 5), (2, 2, 4, 5), (2, 2, 4, 5)), {"attn_mask": (2, 4)}, "key_padding_mask"),
        (((3, 5), (4, 5), (4, 2)), {"dropout_p": -0.5}, "dropout_p.*between 0 and 1.*-0.5"),
    ],
)
def test_errors_name_the_argument_the_letters_and_both_sizes(shapes, options, words):
    if "attn_mask" in options:
        options = {"attn_mask": ta.ones(*options["attn_mask"], dtype=ta.bool)}
    with pytest.raises(RuntimeError, match=words):
        F.scaled_dot_product_attention(*(ta.zeros(*shape) for shape in shapes), **options)


def test_something_else_than_a_tensor_is_named():
    x = ta.zeros(2, 2)
    for name, args in [
        ("query", ([1.0], x, x)),
        ("key", (x, np.zeros((2, 2)), x)),
        ("value", (x, x, None)),
        ("attn_mask", (x, x, x, [True])),
    ]:
        with pytest.raises(TypeError, match=f"{name}: expected a Tensor"):
            F.scaled_dot_product_attention(*args)


@pytest.mark.parametrize("mask", MASKS)
def test_gradients(backend, mask):
    q, k, v = (
        leaf(numbers((2, 2, 3, 2))),
        leaf(numbers((2, 2, 4, 2), 1)),
        leaf(numbers((2, 2, 4, 3), 2)),
    )
    given_mask = mask_of(mask, (2, 2), 3, 4, "float64")
    inputs = [q, k, v]
    rest = []
    if mask == "added":
        inputs.append(ta.tensor(given_mask, requires_grad=True))
    elif given_mask is not None:
        rest = [ta.tensor(given_mask)]
    assert ta.gradcheck(lambda *x: call(ta, *x, *rest, is_causal=mask == "causal"), inputs)


def test_gradients_with_dropout(backend):
    def case(q, k, v, mask):
        ta.manual_seed(7)
        return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=0.4)

    inputs = (
        leaf(numbers((2, 2, 3, 2))),
        leaf(numbers((2, 2, 4, 2), 1)),
        leaf(numbers((2, 2, 4, 3), 2)),
    )
    assert ta.gradcheck(case, (*inputs, leaf(numbers((3, 4), 3))))


def test_gradients_of_grouped_and_broadcast_heads(backend):
    q, k, v = (
        leaf(numbers((2, 4, 3, 2))),
        leaf(numbers((2, 2, 4, 2), 1)),
        leaf(numbers((2, 2, 4, 3), 2)),
    )
    assert ta.gradcheck(lambda *x: call(ta, *x, enable_gqa=True), (q, k, v))
    k, v = leaf(numbers((1, 1, 4, 2), 1)), leaf(numbers((4, 4, 3), 2))
    assert ta.gradcheck(lambda *x: call(ta, *x), (q, k, v))


def test_gradients_of_more_axes_with_a_mask(backend):
    q, k, v = (
        leaf(numbers((2, 1, 2, 2, 2))),
        leaf(numbers((3, 1, 3, 2), 1)),
        leaf(numbers((3, 2, 3, 1), 2)),
    )
    assert ta.gradcheck(lambda *x: call(ta, *x), (q, k, v, leaf(numbers((2, 3, 1, 2, 3), 3))))


def test_both_halves_work_on_arrays(backend):
    node = ScaledDotProductAttention()
    q, k, v, mask = numbers((3, 4)), numbers((5, 4)), numbers((5, 2)), numbers((3, 5))
    s = q @ k.T / 2 + mask
    p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(node.forward(q, k, v, mask), p @ v)
    dq, dk, dv, dmask = node.backward(np.ones((3, 2)))
    dp = np.ones((3, 2)) @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    for got, want in [(dq, ds @ k / 2), (dk, ds.T @ q / 2), (dv, p.T @ np.ones((3, 2)))]:
        np.testing.assert_allclose(got, want, atol=1e-14)
    np.testing.assert_allclose(dmask, ds, atol=1e-14)


def test_a_query_that_may_attend_nothing_gives_zeros_and_zero_gradients(backend):
    q, k, v = leaf(numbers((2, 3, 4))), leaf(numbers((2, 5, 4), 1)), leaf(numbers((2, 5, 4), 2))
    keep = np.ones((3, 5), bool)
    keep[1] = False
    for mask in (keep, np.where(keep, 0.0, -INF)):
        out = F.scaled_dot_product_attention(q, k, v, ta.tensor(mask))
        assert not out.detach().numpy()[:, 1].any()
        q.grad = None
        out.sum().backward()
        assert not q.grad.numpy()[:, 1].any()
        assert all(np.isfinite(x.grad.numpy()).all() for x in (q, k, v))


def test_dropout_is_the_seeds_and_the_same_in_every_backend():
    x = ta.tensor(numbers((2, 40, 8)))
    found = []
    for name in ta.available_backends():
        with ta.use_backend(name):
            ta.manual_seed(3)
            one, two = (F.scaled_dot_product_attention(x, x, x, dropout_p=0.5) for _ in range(2))
            ta.manual_seed(3)
            again = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
        assert (one.numpy() != two.numpy()).any()
        np.testing.assert_array_equal(one.numpy(), again.numpy())
        found.append(one.numpy())
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-12)


def test_dropout_keeps_the_expectation():
    q, v = ta.tensor(numbers((1, 4))), ta.tensor(numbers((6, 3)))
    k = ta.tensor(numbers((6, 4)))
    many = F.scaled_dot_product_attention(q.expand(20_000, 1, 4), k, v, dropout_p=0.3)
    want = F.scaled_dot_product_attention(q, k, v)
    np.testing.assert_allclose(many.numpy().mean(axis=0), want.numpy(), atol=0.03)


def test_a_padded_key_changes_nothing(backend):
    q, k, v = numbers((2, 5, 4)), numbers((2, 7, 4), 1), numbers((2, 7, 4), 2)
    mask = ta.tensor(np.arange(7) < 5)
    whole = F.scaled_dot_product_attention(ta.tensor(q), ta.tensor(k), ta.tensor(v), mask)
    short = [ta.tensor(x) for x in (q, k[:, :5], v[:, :5])]
    np.testing.assert_allclose(
        whole.numpy(), F.scaled_dot_product_attention(*short).numpy(), atol=1e-14
    )


def test_each_call_drops_other_weights():
    x = ta.ones(1, 8, 4)
    found = {str(F.scaled_dot_product_attention(x, x, x, dropout_p=0.5).tolist()) for _ in range(8)}
    assert len(found) == 8


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_gradient_of_projections_is_the_array_in_which_their_gradients_lie(
    batch_first: bool,
) -> None:
    node = SplitHeads()
    parts = node.forward(np.zeros((4, 5, 24), np.float32), 3, 2, batch_first)
    whole = np.empty((4, 5, 3, 2, 4), np.float32)
    whole.flat = np.arange(480)
    order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)
    grads = tuple(whole.transpose(order))
    assert [g.shape for g in grads] == [part.shape for part in parts]
    got = node.backward(*grads)
    assert np.shares_memory(got, whole)
    np.testing.assert_array_equal(got, whole.reshape(4, 5, 24))
    dq, dk, dv = grads
    for others in [
        (dq, dk, dv.copy()),
        (dk, dq, dv),
        (dk, dk, dv),
        (dq, dk, None),
        (dq, dk, dv[..., ::-1]),
    ]:
        got = node.backward(*others)
        assert not np.shares_memory(got, whole)
        for part, g in zip(got.reshape(whole.shape).transpose(order), others, strict=True):
            np.testing.assert_array_equal(part, 0 if g is None else g)


def test_a_gradient_that_is_kept_does_not_change_when_the_projection_is_used_twice() -> None:
    x = ta.randn(2, 5, 24, requires_grad=True)
    y = x * 1
    q, k, v = SplitHeads.apply(y, 3, 2, True)
    q.retain_grad()
    out = F.scaled_dot_product_attention(q, k, v)
    (out.sum() + (y * y).sum()).backward()
    alone = ta.tensor(q.detach().numpy().copy(), requires_grad=True)
    F.scaled_dot_product_attention(alone, k.detach(), v.detach()).sum().backward()
    np.testing.assert_allclose(q.grad.numpy(), alone.grad.numpy(), rtol=1e-5, atol=1e-6)
