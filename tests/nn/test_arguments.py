"""Modules pass on what they were made with: each one against its function."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import functional as F


def x(*shape: int) -> ta.Tensor:
    return ta.arange(math.prod(shape), dtype=ta.float64).sin().reshape(*shape)


def test_distances() -> None:
    a, b = x(3, 4), x(3, 4) * 2 + 0.5
    for p, eps, keepdim in ((2.0, 1e-6, False), (1.0, 0.5, True), (3.0, 0.25, False)):
        module = nn.PairwiseDistance(p, eps, keepdim)
        np.testing.assert_array_equal(module(a, b), F.pairwise_distance(a, b, p, eps, keepdim))
    np.testing.assert_array_equal(nn.PairwiseDistance()(a, b), F.pairwise_distance(a, b))
    tiny = a * 1e-9
    np.testing.assert_array_equal(nn.CosineSimilarity()(tiny, b), F.cosine_similarity(tiny, b))
    one = nn.CosineSimilarity(dim=0, eps=10.0)(a, b)
    np.testing.assert_array_equal(one, F.cosine_similarity(a, b, 0, 10.0))


def test_unflatten() -> None:
    np.testing.assert_array_equal(
        nn.Unflatten(1, (2, -1))(x(3, 4)), x(3, 4).numpy().reshape(3, 2, 2)
    )


def test_average_pooling_counts_the_padding_unless_told() -> None:
    v = ta.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert nn.AvgPool1d(2, padding=1)(v).tolist() == [[0.5, 2.5, 2.0]]
    assert nn.AvgPool1d(2, padding=1, count_include_pad=False)(v).tolist() == [[1.0, 2.5, 4.0]]


def test_a_lazy_convolution_becomes_the_one_that_was_asked_for() -> None:
    for options in ({}, {"padding": 2, "dilation": 2, "groups": 2, "stride": 2, "bias": False}):
        lazy, plain = nn.LazyConv1d(4, 3, **options), nn.Conv1d(2, 4, 3, **options)
        lazy(x(1, 2, 9).float())
        assert repr(lazy) == repr(plain)
        lazy.load_state_dict(plain.state_dict())
        np.testing.assert_array_equal(lazy(x(1, 2, 9).float()), plain(x(1, 2, 9).float()))


def test_no_batch_has_been_normalised_at_first() -> None:
    layer = nn.BatchNorm1d(3)
    assert layer.num_batches_tracked.item() == 0
    layer(x(4, 3).float())
    assert layer.num_batches_tracked.item() == 1


def test_a_bag_of_words() -> None:
    table = x(5, 3)
    bag = nn.EmbeddingBag(5, 3, _weight=table.clone(), mode="sum")
    words, offsets = ta.tensor([0, 4, 4, 1]), ta.tensor([0, 3])
    got = bag(words, offsets, per_sample_weights=ta.tensor([1.0, 2.0, 3.0, 4.0], dtype=ta.float64))
    want = table.numpy()
    np.testing.assert_allclose(got, [want[0] + 5 * want[4], 4 * want[1]], rtol=1e-12)
    bag(words, offsets).sum().backward()
    assert bag.weight.grad is not None
    assert bag.weight.grad[:, 0].tolist() == [1, 1, 0, 0, 2]
    often = nn.EmbeddingBag(5, 3, _weight=table.clone(), mode="sum", scale_grad_by_freq=True)
    often(words, offsets).sum().backward()
    assert often.weight.grad is not None
    assert often.weight.grad[:, 0].tolist() == [1, 1, 0, 0, 1]
    short = nn.EmbeddingBag(5, 3, _weight=table.clone(), mode="sum", max_norm=0.5, norm_type=1.0)
    assert short(words, offsets).shape == (2, 3)
    assert short.weight.detach().abs().sum(1)[4].item() == pytest.approx(0.5)
    usual = nn.EmbeddingBag(5, 3, _weight=table.clone(), mode="sum", max_norm=0.5)
    usual(words, offsets)
    assert usual.weight.detach()[0].norm().item() == pytest.approx(0.5)


def test_a_bag_leaves_out_padding_and_knows_its_end() -> None:
    bag = nn.EmbeddingBag(4, 2, mode="sum", padding_idx=-1, include_last_offset=True)
    nn.init.ones_(bag.weight)
    got = bag(ta.tensor([0, 3, 1, 2]), ta.tensor([0, 2, 4]))
    assert got.tolist() == [[1, 1], [2, 2]]
    assert repr(bag) == "EmbeddingBag(4, 2, mode='sum', padding_idx=3)"
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.EmbeddingBag(4, 2, sparse=True)


def test_the_table_of_a_bag_is_drawn_in_its_dtype() -> None:
    ta.manual_seed(0)
    bag = nn.EmbeddingBag(50, 20, dtype=ta.float64, padding_idx=3)
    assert bag.weight.dtype == ta.float64
    assert bag.weight.detach()[3].tolist() == [0.0] * 20
    assert bag.weight.detach().std().item() == pytest.approx(1, abs=0.1)
    with pytest.raises(ValueError, match=r"_weight: expected shape \[5, 3\], got \[3, 5\]"):
        nn.EmbeddingBag(5, 3, _weight=x(3, 5))
    with pytest.raises(RuntimeError, match="CPU only"):
        nn.EmbeddingBag(5, 3, device="cuda")


def test_a_vector_that_is_none() -> None:
    layer = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"vec: expected a tensor of shape \[3\], got list"):
        nn.utils.vector_to_parameters([1.0, 2.0, 3.0], layer.parameters())
    with pytest.raises(ValueError, match=r"vec: expected a tensor of shape \[3\], got \[2\]"):
        nn.utils.vector_to_parameters(ta.ones(2), layer.parameters())


def test_packed_data_in_another_dtype() -> None:
    packed = nn.utils.rnn.pack_padded_sequence(x(2, 1, 3), [2])
    assert packed.data.dtype == ta.float64
    single = packed.float()
    assert single.data.dtype == ta.float32
    np.testing.assert_array_equal(single.data, packed.data.numpy().astype(np.float32))


def test_heads_go_with_the_biases_of_key_and_value() -> None:
    attention = nn.MultiheadAttention(6, 3, add_bias_kv=True)
    assert attention.bias_k is not None
    before = attention.bias_k.detach().numpy().reshape(3, 2).copy()
    nn.shrink.heads(attention, 1, importance=ta.tensor([1.0, 0.0, 2.0]))
    assert attention.bias_k.shape == (1, 1, 4)
    np.testing.assert_array_equal(attention.bias_k.detach(), before[[0, 2]].reshape(1, 1, 4))
    assert attention.out_proj.in_features == 4
    assert repr(attention.out_proj.in_features) == "4"
    assert attention(*[ta.ones(5, 1, 6)] * 3)[0].shape == (5, 1, 6)


def test_units_that_are_alike_go_in_their_order_and_none_need_go() -> None:
    first, second = nn.Linear(2, 40), nn.Linear(40, 1)
    assert nn.shrink.hidden_units(first, second, 0).tolist() == [*range(40)]
    kept = nn.shrink.hidden_units(first, second, 30, importance=ta.tensor([1.0, 0.0] * 20))
    assert kept.tolist() == [*range(20, 40, 2)]
    with pytest.raises(ValueError, match="amount: expected a share"):
        nn.shrink.hidden_units(first, second, 1.0)


def test_pruning_gives_back_what_it_works_on() -> None:
    layer = nn.Linear(40, 1)
    method = nn.utils.prune.L1Unstructured.apply(layer, "weight", amount=1)
    assert isinstance(method, nn.utils.prune.L1Unstructured)
    assert nn.utils.prune.remove(layer, "weight") is layer
    even = nn.Linear(40, 1)
    nn.init.ones_(even.weight)
    nn.utils.prune.l1_unstructured(even, "weight", amount=25)
    assert even.weight.detach().tolist() == [[0.0] * 25 + [1.0] * 15]


def test_keys_that_are_values_of_another_width() -> None:
    attention = nn.MultiheadAttention(6, 3, kdim=5, vdim=5, dtype=ta.float64)
    query, key = x(2, 1, 6), x(4, 1, 5)
    same, apart = attention(query, key, key), attention(query, key, key.clone())
    np.testing.assert_allclose(same[0].detach(), apart[0].detach(), rtol=1e-12)
    assert same[0].shape == (2, 1, 6)
