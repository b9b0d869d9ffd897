"""Bags of words are reduced to one row each."""

import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import functional as F

TABLE = ta.tensor([[1.0, 8.0], [2.0, 7.0], [4.0, 1.0], [9.0, 3.0]], dtype=ta.float64)
WORDS = ta.tensor([0, 2, 3, 1, 1, 3])
STARTS = ta.tensor([0, 2, 2])
REDUCED = {
    "sum": [[5, 9], [0, 0], [22, 20]],
    "mean": [[2.5, 4.5], [0, 0], [5.5, 5]],
    "max": [[4, 8], [0, 0], [9, 7]],
}


@pytest.mark.parametrize("mode", REDUCED)
def test_a_bag_is_reduced_and_an_empty_one_gives_zeros(mode):
    assert F.embedding_bag(WORDS, TABLE, STARTS, mode=mode).tolist() == REDUCED[mode]
    last = ta.tensor([0, 2, 2, 6])
    kept = F.embedding_bag(WORDS, TABLE, last, mode=mode, include_last_offset=True)
    assert kept.tolist() == REDUCED[mode]
    rows = F.embedding_bag(ta.tensor([[0, 2], [1, 1]]), TABLE, mode=mode)
    assert rows[0].tolist() == REDUCED[mode][0]
    assert F.embedding_bag(ta.zeros(2, 0).long(), TABLE, mode=mode).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("mode", REDUCED)
def test_the_gradient_of_the_table(mode):
    table = TABLE.clone().requires_grad_()
    options = {"mode": mode, "padding_idx": 1}
    assert ta.gradcheck(lambda t: F.embedding_bag(WORDS, t, STARTS, **options), (table,))
    F.embedding_bag(WORDS, table, STARTS, **options).sum().backward()
    assert table.grad[1].tolist() == [0, 0]


def test_the_padding_row_is_left_out_and_not_counted():
    got = F.embedding_bag(WORDS, TABLE, STARTS, padding_idx=-1)
    assert got.tolist() == [[2.5, 4.5], [0, 0], [2, 7]]


def test_words_have_factors():
    factors = ta.tensor([1.0, 2.0, 0.0, 1.0, -1.0, 3.0], dtype=ta.float64, requires_grad=True)
    got = F.embedding_bag(WORDS, TABLE, STARTS, mode="sum", per_sample_weights=factors)
    assert got.tolist() == [[9, 10], [0, 0], [27, 9]]
    assert ta.gradcheck(
        lambda f: F.embedding_bag(WORDS, TABLE, STARTS, mode="sum", per_sample_weights=f),
        (factors,),
    )
    with pytest.raises(NotImplementedError, match="per_sample_weights"):
        F.embedding_bag(WORDS, TABLE, STARTS, per_sample_weights=factors)
    with pytest.raises(ValueError, match="per_sample_weights"):
        F.embedding_bag(WORDS, TABLE, STARTS, mode="sum", per_sample_weights=factors[:2])


@pytest.mark.parametrize("offsets", [[1, 2], [0, 7], [0, 3, 2]])
def test_offsets_that_are_no_bags_are_refused(offsets):
    with pytest.raises(RuntimeError, match="offsets"):
        F.embedding_bag(WORDS, TABLE, ta.tensor(offsets))


def test_wrong_calls_name_what_is_wrong():
    with pytest.raises(ValueError, match="offsets"):
        F.embedding_bag(WORDS, TABLE)
    with pytest.raises(ValueError, match="offsets"):
        F.embedding_bag(WORDS[None], TABLE, STARTS)
    with pytest.raises(ValueError, match="mode"):
        F.embedding_bag(WORDS, TABLE, STARTS, mode="median")
    with pytest.raises(RuntimeError, match="index 9"):
        F.embedding_bag(ta.tensor([9]), TABLE, ta.tensor([0]))
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.EmbeddingBag(4, 2, sparse=True)


def test_the_module_has_a_table_and_the_mode():
    layer = nn.EmbeddingBag(4, 2, mode="sum", padding_idx=1, _weight=None)
    assert layer.weight[1].tolist() == [0, 0]
    layer.weight.data = TABLE
    assert layer(WORDS, STARTS).tolist() == [[5, 9], [0, 0], [18, 6]]
    assert repr(layer) == "EmbeddingBag(4, 2, mode='sum', padding_idx=1)"
    given = nn.EmbeddingBag(4, 2, _weight=TABLE)
    assert given(WORDS, STARTS).tolist() == REDUCED["mean"]
