"""nn.shrink: what is left computes what the whole computed without the units that went."""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import shrink


def test_the_units_of_the_smallest_weights_go():
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    first.weight.data = ta.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0]])
    first.bias.data = ta.tensor([1.0, 2.0, 3.0])
    second.weight.data = ta.tensor([[1.0, 2.0, 0.1]])  # norms 5 * 1, 1 * 2, 10 * 0.1
    kept = shrink.hidden_units(first, second, amount=1)
    assert kept.tolist() == [0, 1]
    assert first.weight.tolist() == [[3, 4], [0, 1]]
    assert first.bias.tolist() == [1, 2]
    assert second.weight.tolist() == [[1, 2]]
    assert (first.out_features, second.in_features) == (2, 2)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_without_dead_units_give_the_same(bias):
    model = nn.Sequential(nn.Linear(4, 10, bias), nn.ReLU(), nn.Linear(10, 3, bias))
    x, dead = ta.randn(5, 4), [1, 4, 5, 9]
    with ta.no_grad():
        model[2].weight[:, dead] = 0
    before = model(x).detach().numpy()
    kept = shrink.hidden_units(model[0], model[2], amount=0.4)
    assert kept.tolist() == [0, 2, 3, 6, 7, 8]
    np.testing.assert_allclose(model(x).detach().numpy(), before, rtol=1e-5, atol=1e-6)
    model(x).sum().backward()
    assert model[0].weight.grad.shape == (6, 4)


@pytest.mark.parametrize("cell", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_layers_without_dead_units_give_the_same(cell, bias):
    rnn, out = cell(3, 6, bias=bias), nn.Linear(6, 2)
    with ta.no_grad():
        out.weight[:, [0, 4]] = 0
        rnn.weight_hh_l0[:, [0, 4]] = 0
    x = ta.randn(5, 2, 3)
    before = out(rnn(x)[0]).detach().numpy()
    assert shrink.hidden_units(rnn, out, amount=2).tolist() == [1, 2, 3, 5]
    np.testing.assert_allclose(out(rnn(x)[0]).detach().numpy(), before, rtol=1e-5, atol=1e-6)
    assert rnn.weight_hh_l0.shape[1] == rnn.hidden_size == 4
    assert rnn(x)[0].shape == (5, 2, 4)


@pytest.mark.parametrize("options", [{}, {"kdim": 5, "vdim": 3}, {"bias": False}])
@pytest.mark.parametrize("more", [{}, {"add_bias_kv": True}, {"add_zero_attn": True}])
def test_attention_without_dead_heads_gives_the_same(options, more):
    attention = nn.MultiheadAttention(8, 4, batch_first=True, **options, **more)
    with ta.no_grad():
        attention.out_proj.weight.view(8, 4, 2)[:, [1, 2]] = 0
    query = ta.randn(2, 3, 8)
    key = ta.randn(2, 4, options.get("kdim", 8))
    value = ta.randn(2, 4, options.get("vdim", 8))
    before, _ = attention(query, key, value)
    assert shrink.heads(attention, amount=0.5).tolist() == [0, 3]
    after, weights = attention(query, key, value, average_attn_weights=False)
    np.testing.assert_allclose(
        after.detach().numpy(), before.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    assert weights.shape[1] == attention.num_heads == 2
    after.sum().backward()
    assert all(p.grad is None or p.grad.shape == p.shape for p in attention.parameters())


def test_heads_are_scored_by_what_they_write():
    attention = nn.MultiheadAttention(6, 3)
    with ta.no_grad():
        attention.in_proj_weight[14:16] *= 0.01  # the values of head 1
    assert shrink.heads(attention, amount=1).tolist() == [0, 2]


def test_a_cache_works_with_fewer_heads():
    attention = nn.MultiheadAttention(8, 4)
    shrink.heads(attention, 2)
    x = ta.randn(3, 2, 8)
    causal = ta.ones(3, 3, dtype=ta.bool).triu(1)
    whole, _ = attention(x, x, x, attn_mask=causal, need_weights=False)
    cache = nn.KeyValueCache()
    steps = [
        attention(s, s, s, is_causal=True, need_weights=False, cache=cache)[0] for s in x.split(1)
    ]
    np.testing.assert_allclose(
        ta.cat(steps).detach().numpy(), whole.detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_importance_says_which_ones_stay():
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    assert shrink.hidden_units(first, second, 2, ta.tensor([1.0, 3.0, 2.0])).tolist() == [1]
    attention = nn.MultiheadAttention(4, 2)
    assert shrink.heads(attention, 1, ta.tensor([0.0, 1.0])).tolist() == [1]


LINEAR, OUT = nn.Linear(2, 3), nn.Linear(3, 1)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: shrink.hidden_units(LINEAR, OUT, 3), ValueError, "one of 3 stays, got 3"),
        (lambda: shrink.hidden_units(LINEAR, OUT, 1.0), ValueError, "below 1.0.*got 1.0"),
        (lambda: shrink.hidden_units(LINEAR, OUT, -1), ValueError, "got -1"),
        (lambda: shrink.hidden_units(LINEAR, OUT, "1"), TypeError, "amount: .*got str"),
        (lambda: shrink.hidden_units(LINEAR, LINEAR, 1), ValueError, "in_features = 3.*got 2"),
        (lambda: shrink.hidden_units(nn.ReLU(), OUT, 1), TypeError, "first: .*got ReLU"),
        (lambda: shrink.hidden_units(LINEAR, nn.ReLU(), 1), TypeError, "second: .*got ReLU"),
        (lambda: shrink.hidden_units(LINEAR, OUT, 1, ta.ones(2)), ValueError, r"importance: .*\(3"),
        (lambda: shrink.hidden_units(LINEAR, OUT, 1, [1, 2, 3]), ValueError, "got list"),
        (
            lambda: shrink.hidden_units(LINEAR, OUT, 1, ta.full((3,), ta.nan)),
            ValueError,
            "expected finite",
        ),
        (
            lambda: shrink.hidden_units(nn.GRU(2, 3, bidirectional=True), OUT, 1),
            ValueError,
            "one direction",
        ),
        (lambda: shrink.heads(nn.MultiheadAttention(4, 2), 2), ValueError, "one of 2 stays"),
        (lambda: shrink.heads(LINEAR, 1), TypeError, "attention: .*got Linear"),
        (
            lambda: shrink.hidden_units(nn.utils.prune.identity(nn.Linear(2, 3), "weight"), OUT, 1),
            ValueError,
            "prune.remove first",
        ),
    ],
)
def test_wrong_input_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()
    assert (LINEAR.weight.shape, OUT.weight.shape) == ((3, 2), (1, 3))
