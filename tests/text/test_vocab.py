"""Vocab: ids there and back, and specials that no text can forge."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyattn.text.vocab import BOS, EOS, PAD, SPECIALS, UNK, Vocab


def test_specials_come_first_then_tokens_by_count_and_character() -> None:
    vocab = Vocab.build([["b", "a", "c"], ["c", "b", "d"], ["c"]])
    assert [vocab.token(i) for i in range(len(vocab))] == [*SPECIALS, "c", "b", "a", "d"]
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)


def test_min_count_and_max_size_keep_the_frequent() -> None:
    sentences = [["a", "a", "a", "b", "b", "c"]]
    assert Vocab.build(sentences, min_count=2).to_list() == ["a", "b"]
    assert Vocab.build(sentences, max_size=5).to_list() == ["a"]
    assert len(Vocab.build(sentences, max_size=5)) == 5
    assert len(Vocab.build(sentences, max_size=4)) == 4


def test_a_new_word_is_unknown_and_marked() -> None:
    vocab = Vocab(["a"])
    assert vocab.encode(["a", "new"]) == [4, UNK]
    assert vocab.decode([4, UNK]) == ["a", "<unk>"]
    assert "new" not in vocab
    assert "a" in vocab
    assert vocab.id("a") == 4
    assert vocab.id("new") == UNK


def test_decode_stops_at_eos_and_leaves_out_pad_and_bos() -> None:
    vocab = Vocab(["a", "b"])
    assert vocab.decode([BOS, 4, PAD, 5, EOS, 4]) == ["a", "b"]


@pytest.mark.parametrize("special", SPECIALS)
def test_a_text_that_spells_a_special_does_not_become_it(special: str) -> None:
    assert Vocab(["a"]).encode([special]) == [UNK]
    assert special not in Vocab(["a"])
    vocab = Vocab.build([[special]])
    assert vocab.encode([special]) == [4]
    assert vocab.decode([4]) == [special]


def test_errors_name_what_was_wrong() -> None:
    with pytest.raises(ValueError, match="expected distinct strings, got 'a' twice"):
        Vocab(["a", "b", "a"])
    with pytest.raises(TypeError, match="expected strings, got int at index 1"):
        Vocab(["a", 1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="min_count: expected at least 1, got 0"):
        Vocab.build([], min_count=0)
    with pytest.raises(ValueError, match="max_size: expected at least 4, got 3"):
        Vocab.build([], max_size=3)
    with pytest.raises(IndexError, match="expected 0 to 4, got 5"):
        Vocab(["a"]).token(5)
    with pytest.raises(IndexError, match="expected 0 to 4, got -1"):
        Vocab(["a"]).token(-1)


sentences = st.lists(st.lists(st.text(min_size=1, max_size=3)))


@given(sentences)
def test_known_words_come_back(corpus: list[list[str]]) -> None:
    vocab = Vocab.build(corpus)
    for sentence in corpus:
        ids = vocab.encode(sentence)
        assert all(id >= len(SPECIALS) for id in ids)
        assert vocab.decode([BOS, *ids, EOS]) == sentence


@given(sentences, st.integers(1, 3))
def test_json_and_back(corpus: list[list[str]], min_count: int) -> None:
    vocab = Vocab.build(corpus, min_count)
    again = Vocab(json.loads(json.dumps(vocab.to_list())))
    assert again.to_list() == vocab.to_list()
    assert len(again) == len(vocab)
    for sentence in corpus:
        assert again.encode(sentence) == vocab.encode(sentence)
