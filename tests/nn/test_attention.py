"""Attention, multi-head attention, positions, the cache: torch's numbers, and what it lacks."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import numbers
from tinyattn import nn
from tinyattn.ops.attention import SplitHeads
from tinyattn.ops.scores import scores

from .helpers import agree, same_gradients, twins

F64 = ta.float64


B, Tq, Tk, E, h = 3, 4, 5, 8, 2
MASKS = {
    "none": {},
    "padding": {"key_padding_mask": np.arange(Tk) >= np.array([5, 3, 1])[:, None]},
    "bool": {"attn_mask": np.triu(np.ones((Tq, Tk), bool), 2)},
    "float": {"attn_mask": numbers((Tq, Tk))},
    "heads": {"attn_mask": numbers((B * h, Tq, Tk))},
    "bool and padding": {
        "attn_mask": np.triu(np.ones((Tq, Tk), bool), 2),
        "key_padding_mask": np.arange(Tk) >= np.array([5, 3, 1])[:, None],
    },
    "float and padding": {
        "attn_mask": numbers((Tq, Tk)),
        "key_padding_mask": np.arange(Tk) >= np.array([5, 3, 1])[:, None],
    },
    "float padding": {"key_padding_mask": numbers((B, Tk))},
}
KINDS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "own widths": {"kdim": 6, "vdim": 7},
    "bias_kv and zeros": {"add_bias_kv": True, "add_zero_attn": True},
}


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention_is_torchs(torch, kind, mask, need_weights):
    ours, theirs = twins(torch, "MultiheadAttention", E, h, **KINDS[kind])
    arrays = [
        numbers((Tq, B, E)),
        numbers((Tk, B, ours.kdim), 1),
        numbers((Tk, B, ours.vdim), 2),
    ]
    if ours.batch_first:
        arrays = [x.swapaxes(0, 1).copy() for x in arrays]
    a = [ta.tensor(x, requires_grad=True) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    options = {"need_weights": need_weights, "average_attn_weights": kind != "plain"}
    out, weights = ours(*a, **{k: ta.tensor(m) for k, m in MASKS[mask].items()}, **options)
    want, want_weights = theirs(
        *b, **{k: torch.tensor(m) for k, m in MASKS[mask].items()}, **options
    )
    agree(out, want)
    assert (weights is None) == (want_weights is None)
    if weights is not None:
        agree(weights, want_weights)
    same_gradients(ours, theirs, out, want, a, b)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_self_attention_is_torchs(torch, backend, need_weights, padded):
    ours, theirs = twins(torch, "MultiheadAttention", E, h, batch_first=True)
    x = numbers((B, Tk, E))
    a, b = ta.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    mask = np.triu(np.ones((Tk, Tk), bool), 1)
    padding = np.arange(Tk) >= np.array([5, 3, 1])[:, None] if padded else None

    def call(t, module, x):
        named = {"attn_mask": t.tensor(mask), "need_weights": need_weights, "is_causal": True}
        if padded:
            named["key_padding_mask"] = t.tensor(padding)
        return module(x, x, x, **named)[0]

    out, want = call(ta, ours, a), call(torch, theirs, b)
    agree(out, want)
    same_gradients(ours, theirs, out, want, [a], [b])


@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention_passes_the_gradient_check(kind, backend):
    module = nn.MultiheadAttention(4, 2, **KINDS[kind], dtype=F64)
    q, k, v = (
        ta.randn(2, 2, size, dtype=F64, requires_grad=True)
        for size in (4, module.kdim, module.vdim)
    )
    assert ta.gradcheck_module(
        module, (q, k, v, ta.tensor([[False, True], [False, False]])), samples=30
    )


def test_one_sequence_without_a_batch(torch):
    for batch_first in (False, True):
        ours, theirs = twins(torch, "MultiheadAttention", E, h, batch_first=batch_first)
        q, k = numbers((Tq, E)), numbers((Tk, E))
        padding, mask = np.arange(Tk) >= 3, numbers((h, Tq, Tk))
        got = ours(
            ta.tensor(q), ta.tensor(k), ta.tensor(k), ta.tensor(padding), True, ta.tensor(mask)
        )
        with torch.no_grad():
            want = theirs(
                torch.tensor(q),
                torch.tensor(k),
                torch.tensor(k),
                torch.tensor(padding).double().masked_fill(torch.tensor(padding), -np.inf),
                True,
                torch.tensor(mask),
            )
        for x, y in zip(got, want, strict=True):
            agree(x, y)


def test_the_start_is_torchs(torch):
    torch.manual_seed(0)
    ours = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    theirs = torch.nn.MultiheadAttention(64, 4, add_bias_kv=True)
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        a, b = a.numpy(), b.numpy()
        assert (a.std() == 0) == (b.std() == 0), name
        if a.std():
            np.testing.assert_allclose(np.abs(a).max(), np.abs(b).max(), rtol=0.5, err_msg=name)
            np.testing.assert_allclose(a.std(), b.std(), rtol=0.4, err_msg=name)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_that_may_attend_nothing_gives_zeros(backend, need_weights, kind):
    attention = nn.MultiheadAttention(4, 2, bias=False)
    x = ta.randn(3, 2, 4, requires_grad=True)
    mask = ta.zeros(3, 3, dtype=bool)
    mask[1] = True
    if kind == "float":
        mask = ta.zeros(3, 3).masked_fill(mask, -np.inf)
    q = ta.randn(3, 2, 4, requires_grad=True)
    out, weights = attention(q, x, x, attn_mask=mask, need_weights=need_weights)
    out.sum().backward()
    assert not out.detach().numpy()[1].any()
    assert weights is None or not weights.detach().numpy()[:, 1].any()
    assert not q.grad.numpy()[1].any()
    for grad in [q.grad, x.grad, *(p.grad for p in attention.parameters())]:
        assert np.isfinite(grad.numpy()).all()


def test_dropout_acts_on_the_weights_in_training_only():
    attention = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = ta.randn(6, 3, 8)
    _, weights = attention(x, x, x, average_attn_weights=False)
    assert 0.2 < (weights.detach().numpy() == 0).mean() < 0.8
    attention.eval()
    _, weights = attention(x, x, x)
    np.testing.assert_allclose(weights.sum(-1).detach().numpy(), 1, rtol=1e-5)


ERRORS = [
    (lambda m, x: m(x[0, 0], x, x), "unbatched 2D or batched 3D tensor but received 1-D"),
    (lambda m, x: m(x, x[0], x), "For batched .3-D. `query`, expected `key` and `value` to be 3-D"),
    (
        lambda m, x: m(x[0], x, x),
        "For unbatched .2-D. `query`, expected `key` and `value` to be 2-D",
    ),
    (
        lambda m, x: m(x, x, x, ta.ones(5, dtype=bool)),
        "expected `key_padding_mask` .* 2-D but found 1",
    ),
    (
        lambda m, x: m(x, x, x, attn_mask=ta.ones(5)),
        "`attn_mask` to be `None`, 2-D or 3-D but found 1",
    ),
    (lambda m, x: m(x[..., :4], x, x), r"query: .*E = 8, but got 4 in \[5, 2, 4\]"),
    (
        lambda m, x: m(x, x, x[:3]),
        r"value: expected the Tk and B of key \[5, 2, 8\], got \[3, 2, 8\]",
    ),
    (lambda m, x: m(x[:, :1], x, x), r"key: expected B = 1 .* got B = 2"),
    (lambda m, x: m(x.double(), x, x), "query: expected float32 as the weights have, got float64"),
    (lambda m, x: m(x, x, x, is_causal=True), "Need attn_mask if specifying the is_causal hint"),
    (
        lambda m, x: m(x, x, x, attn_mask=ta.ones(2, 5, dtype=bool)),
        r"attn_mask is \[2, 5\], but should be \(Tq, Tk\) = \[5, 5\]; padding.*key_padding_mask",
    ),
    (lambda m, x: m(x, x, x, attn_mask=ta.ones(2, 5, 5)), r"\(B h, Tq, Tk\) = \[8, 5, 5\]"),
    (
        lambda m, x: m(x, x, x, ta.ones(5, 2, dtype=bool)),
        r"key_padding_mask is \[5, 2\], but should be \(B, Tk\) = \[2, 5\]",
    ),
    (
        lambda m, x: m(x, x, x, attn_mask=ta.ones(5, 5, dtype=ta.int64)),
        "only bool and floating types",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_name_the_argument_and_both_sizes(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(nn.MultiheadAttention(8, 4), ta.randn(5, 2, 8))


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_the_width_and_the_dtype_of_each_input_are_checked(name):
    attention, x = nn.MultiheadAttention(8, 2), ta.ones(3, 2, 8)
    inputs = dict.fromkeys(("query", "key", "value"), x)
    with pytest.raises(RuntimeError, match=rf"{name}: was expecting .* E = 8, but got 7"):
        attention(**inputs | {name: ta.ones(3, 2, 7)})
    with pytest.raises(RuntimeError, match=f"{name}: expected float32 as the weights have"):
        attention(**inputs | {name: x.double()})


def test_heads_must_divide_the_features():
    with pytest.raises(AssertionError, match=r"divisible by num_heads, got E = 8 .* h = 3"):
        nn.MultiheadAttention(8, 3)
    with pytest.raises(ValueError, match="greater than 0, got embed_dim=8 and num_heads=0"):
        nn.MultiheadAttention(8, 0)


# The cache


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("sizes", [[1] * 6, [2, 1, 3], [1, 2, 3], [6]])
@pytest.mark.parametrize("need_weights", [True, False])
def test_steps_through_a_cache_are_the_whole_sequence(backend, sizes, batch_first, need_weights):
    attention = nn.MultiheadAttention(8, 2, batch_first=batch_first, dtype=F64)
    x = ta.randn(3, 6, 8, dtype=F64) if batch_first else ta.randn(6, 3, 8, dtype=F64)
    mask = ta.ones(6, 6, dtype=bool).triu(1)
    want, want_weights = attention(x, x, x, attn_mask=mask, is_causal=True)
    cache, parts, at = nn.KeyValueCache(), [], 0
    for size in sizes:
        step = x.narrow(1 if batch_first else 0, at, size)
        at += size
        out, weights = attention(
            step, step, step, is_causal=True, cache=cache, need_weights=need_weights
        )
        parts.append(out)
        assert len(cache) == at
    agree(ta.cat(parts, 1 if batch_first else 0), want, 1e-13)
    if need_weights:
        agree(weights, want_weights[:, -sizes[-1] :], 1e-13)


def test_gradients_flow_through_a_cache():
    attention = nn.MultiheadAttention(4, 2, dtype=F64)
    x = ta.randn(3, 2, 4, dtype=F64, requires_grad=True)

    def by_steps(x):
        cache = nn.KeyValueCache()
        return ta.cat(
            [attention(x[t : t + 1], *[x[t : t + 1]] * 2, cache=cache)[0] for t in range(3)]
        )

    assert ta.gradcheck(by_steps, (x,))


def test_a_memory_is_projected_once():
    attention = nn.MultiheadAttention(8, 2, dtype=F64)
    memory, query = ta.randn(5, 3, 8, dtype=F64), ta.randn(2, 3, 8, dtype=F64)
    cache = nn.KeyValueCache(grows=False)
    want = attention(query, memory, memory)[0]
    agree(attention(query, memory, memory, cache=cache)[0], want, 1e-14)
    kept = cache.keys
    agree(attention(query, memory, memory, cache=cache)[0], want, 1e-14)
    assert cache.keys is kept


def test_a_refused_step_leaves_the_cache_as_it_was():
    attention, cache, x = nn.MultiheadAttention(8, 2), nn.KeyValueCache(), ta.randn(1, 3, 8)
    attention(x, x, x, cache=cache)
    with pytest.raises(RuntimeError, match=r"\(B, Tk\) = \[3, 2\]"):
        attention(x, x, x, ta.zeros(3, 1, dtype=bool), cache=cache)
    assert len(cache) == 1


def test_a_reordered_cache_is_that_of_the_reordered_batch():
    attention = nn.MultiheadAttention(8, 2, dtype=F64)
    x = ta.randn(4, 3, 8, dtype=F64)
    order = ta.tensor([2, 0, 0])
    cache = nn.KeyValueCache()
    attention(x[:3], x[:3], x[:3], is_causal=True, cache=cache)
    cache.reorder(order)
    out, _ = attention(x[3:], x[3:], x[3:], cache=cache)
    y = ta.cat([x[:3].index_select(1, order), x[3:]])
    want, _ = attention(y, y, y, attn_mask=ta.ones(4, 4, dtype=bool).triu(1))
    agree(out[0], want[3], 1e-13)


# Attention by any score


@pytest.mark.parametrize("score", scores)
def test_attention_module_is_the_function_with_its_parameters(score):
    module = nn.Attention(score, 6, 6, 5, dtype=F64)
    q, k, v = (
        ta.randn(2, n, d, dtype=F64, requires_grad=True) for n, d in ((3, 6), (4, 6), (4, 7))
    )
    mask = ta.tensor([True, True, False, True])
    parameters = dict(module.named_parameters())
    assert bool(parameters) == (score in ("general", "additive"))
    out, weights = module(q, k, v, mask, need_weights=True)
    want = ta.attention(q, k, v, score, mask, **parameters)
    agree(out, want, 1e-13)
    assert weights.shape == (2, 3, 4)
    assert not weights.detach().numpy()[..., 2].any()
    assert ta.gradcheck_module(module, (q, k, v))


def test_attention_module_needs_its_sizes():
    with pytest.raises(ValueError, match="query_size: the score 'general' has weights"):
        nn.Attention("general")
    assert repr(nn.Attention("cosine", temperature=0.1)) == "Attention('cosine', temperature=0.1)"


# Positions


def test_sinusoids_by_the_formula():
    x = ta.zeros(4, 2, 6, dtype=F64)
    p = nn.SinusoidalPositions(6)(x, start=3).numpy()
    for t in range(4):
        for i in range(3):
            a = (3 + t) / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(p[t, :, 2 * i], np.sin(a), rtol=1e-12)
            np.testing.assert_allclose(p[t, :, 2 * i + 1], np.cos(a), rtol=1e-12)
    first = nn.SinusoidalPositions(6, batch_first=True)(x.transpose(0, 1), start=3)
    np.testing.assert_array_equal(first.numpy(), p.swapaxes(0, 1))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_positions_of_a_part_are_those_of_the_whole(kind, batch_first):
    if kind == "learned":
        module = nn.LearnedPositions(7, 4, batch_first, dtype=F64)
    else:
        module = nn.SinusoidalPositions(4, batch_first)
    axis = 1 if batch_first else 0
    x = ta.randn(2, 7, 4, dtype=F64) if batch_first else ta.randn(7, 2, 4, dtype=F64)
    parts = [module(x.narrow(axis, 0, 3)), module(x.narrow(axis, 3, 4), start=3)]
    agree(ta.cat(parts, axis), module(x), 0)
    agree(module(x.select(1 - axis, 0)), module(x).select(1 - axis, 0), 0)


def test_learned_positions_end():
    module = nn.LearnedPositions(5, 4)
    with pytest.raises(IndexError, match="from 0 to max_len = 5, got 3 to 6"):
        module(ta.zeros(3, 2, 4), start=3)
    with pytest.raises(RuntimeError, match=r"x: expected \(T, B, D\) or \(T, D\) with D = 4"):
        module(ta.zeros(3, 2, 5))
    assert ta.gradcheck_module(
        nn.LearnedPositions(5, 4, dtype=F64), (ta.randn(3, 2, 4, dtype=F64),)
    )


def test_rotary_products_depend_on_the_distance_only():
    q, k = ta.randn(1, 8, dtype=F64), ta.randn(1, 8, dtype=F64)

    def product(s, t):
        return (nn.apply_rotary(q, s) * nn.apply_rotary(k, t)).sum().item()

    np.testing.assert_allclose(product(9, 4), product(105, 100), rtol=1e-10)
    np.testing.assert_allclose(product(0, 0), (q * k).sum().item(), rtol=1e-12)
    assert abs(product(9, 4) - product(9, 5)) > 1e-3
    x = ta.randn(2, 3, 5, 8, dtype=F64)
    turned = nn.RotaryPositions()(x)
    agree((turned * turned).sum(-1), (x * x).sum(-1), 1e-12)
    agree(nn.apply_rotary(x[:, :, 3:], start=3), turned[:, :, 3:], 1e-14)


def test_rotary_pairs_of_two_halves():
    x = ta.randn(2, 5, 8, dtype=F64)
    halves = nn.RotaryPositions(base=50.0, interleaved=False)(x)
    order = [0, 4, 1, 5, 2, 6, 3, 7]  # the pairs side by side
    agree(halves[..., order], nn.apply_rotary(x[..., order], base=50.0), 1e-14)
    angle = 3 * 50.0 ** (-2 / 8)  # step 3, pair 1
    a, b = x.numpy()[0, 3, [1, 5]]
    turned = [a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)]
    np.testing.assert_allclose(halves.numpy()[0, 3, [1, 5]], turned, rtol=1e-12)


def test_rotary_gradients_and_odd_widths():
    x = ta.randn(2, 3, 4, dtype=F64, requires_grad=True)
    assert ta.gradcheck(lambda x: nn.apply_rotary(x, 2), (x,))
    assert ta.gradcheck(lambda x: nn.apply_rotary(x, 2, interleaved=False), (x,))
    with pytest.raises(ValueError, match="got D = 3"):
        nn.apply_rotary(ta.zeros(2, 3))
    for wrong in (ta.zeros(4), ta.ones(2, 4, dtype=ta.int64)):
        with pytest.raises(ValueError, match=r"x: expected floats \(\.\.\., T, D\), got"):
            nn.apply_rotary(wrong)


@pytest.mark.parametrize("batch_first", [False, True])
def test_without_a_batch_is_a_batch_of_one(batch_first):
    module = nn.MultiheadAttention(4, 2, batch_first=batch_first)
    one = 0 if batch_first else 1
    query, key, value = ta.randn(3, 4), ta.randn(5, 4), ta.randn(5, 4)
    hidden = ta.tensor([False, True, False, False, True])
    out, weights = module(query, key, value, key_padding_mask=hidden)
    batch = (x.unsqueeze(one) for x in (query, key, value))
    expected, of_batch = module(*batch, key_padding_mask=hidden.unsqueeze(0))
    np.testing.assert_allclose(out.detach(), expected.detach().squeeze(one), rtol=1e-6)
    np.testing.assert_allclose(weights.detach(), of_batch.detach().squeeze(0), rtol=1e-6)


def test_what_is_one_tensor_is_projected_as_different_ones_would_be():
    module = nn.MultiheadAttention(4, 2, batch_first=True)
    x, y = ta.randn(3, 2, 4), ta.randn(3, 2, 4)
    for given in ((x, x, x), (x, x, y), (x, y, y), (x, y, x)):
        out, expected = module(*given)[0], module(*(each.clone() for each in given))[0]
        np.testing.assert_allclose(out.detach(), expected.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("added", ["add_bias_kv", "add_zero_attn"])
def test_added_keys_are_the_same_for_every_row_of_a_batch(added):
    module = nn.MultiheadAttention(4, 2, batch_first=True, **{added: True})
    x = ta.randn(3, 5, 4)
    whole = module(x, x, x)[0]
    for b in range(3):
        row = x[b : b + 1]
        np.testing.assert_allclose(
            module(row, row, row)[0].detach(), whole[b : b + 1].detach(), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("steps", [[1, 1, 1, 1], [2, 2], [1, 2, 1], [3, 1]])
def test_steps_of_a_cache_see_no_later_ones(steps):
    module = nn.MultiheadAttention(4, 2, batch_first=True)
    x = ta.randn(2, 4, 4)
    later = ta.ones(4, 4, dtype=bool).triu(1)
    expected = module(x, x, x, attn_mask=later)[0]
    cache, outs = nn.KeyValueCache(), []
    for part in x.split(steps, 1):
        outs.append(module(part, part, part, is_causal=True, cache=cache)[0])
    np.testing.assert_allclose(ta.cat(outs, 1).detach(), expected.detach(), rtol=1e-5, atol=1e-6)


def test_one_dimension_and_one_head_are_enough_and_none_is_not():
    assert nn.MultiheadAttention(1, 1).head_dim == 1
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match=r"embed_dim|num_heads"):
            nn.MultiheadAttention(*sizes)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side_by_side", [False, True])
def test_the_gradient_of_heads_has_their_gradients_side_by_side(batch_first, side_by_side):
    """As one array of which they are views, or as arrays of their own."""
    node = SplitHeads()
    x = np.arange(2 * 3 * 24.0).reshape(2, 3, 24)
    heads = node.forward(x, 3, 2, batch_first)
    assert [y.shape for y in heads] == [(2, 2, 3, 4) if batch_first else (3, 2, 2, 4)] * 3
    whole = (10 * x).reshape(2, 3, 3, 2, 4)
    grads = whole.transpose((2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4))
    parts = [part if side_by_side else part.copy() for part in grads]
    assert node.backward(*parts).tolist() == (10 * x).tolist()
