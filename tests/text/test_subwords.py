"""Subwords of sentencepiece: nothing is lost, nothing is unknown, and bytes do no harm."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinyattn.datasets import everyday
from tinyattn.text import learn_subwords, normalize, pieces_of, subword_tokeniser, word_starts
from tinyattn.text.subwords import scores_of

pytest.importorskip("sentencepiece")

CHINESE, ENGLISH = zip(*everyday.generate(600, seed=0), strict=True)
MODELS = {
    (kind, name): learn_subwords(texts, kind, 1000)
    for kind in ("unigram", "bpe")
    for name, texts in (("chinese", CHINESE), ("english", ENGLISH))
}


@pytest.mark.parametrize("model", MODELS.values(), ids=map(" ".join, MODELS))
@settings(deadline=None, max_examples=60)
@given(text=st.text())
@example(text="▁ \uf8ff <0x41> <unk> ⁇ naïve\u200b 猫\U0001f600 \n don't")
def test_nothing_is_lost(model: bytes, text: str) -> None:
    tokeniser = subword_tokeniser(model)
    if "\uf8ff" not in text:
        assert tokeniser.detokenize(tokeniser.tokenize(text)) == normalize(text)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_pieces_are_those_of_the_texts_and_all_bytes(kind: str) -> None:
    model = MODELS[kind, "english"]
    pieces = pieces_of(model)
    assert len(pieces) == len(set(pieces)) <= 1000
    assert {"<0x00>", "<0xFF>", "▁the"} <= set(pieces)
    tokens = subword_tokeniser(model).tokenize("Who wants these coats?")
    assert tokens[0].startswith("▁")
    assert "".join(tokens) == "▁Who▁wants▁these▁coats?"
    for text in (*ENGLISH, "猫", "▁"):
        assert set(subword_tokeniser(model).tokenize(text)) <= set(pieces) | {"\uf8ff"}


def test_each_piece_has_its_score() -> None:
    """Those of BPE are 0, -1, -2, ... in the order in which the pieces were learnt."""
    model = MODELS["bpe", "english"]
    scores, pieces = scores_of(model), pieces_of(model)
    assert len(scores) == len(pieces)
    pairs = zip(pieces, scores, strict=True)
    learnt = [score for piece, score in pairs if not piece.startswith("<0x")]
    assert learnt == [-float(i) for i in range(len(learnt))]


def test_the_character_of_a_space_is_none() -> None:
    tokeniser = subword_tokeniser(MODELS["bpe", "english"])
    tokens = tokeniser.tokenize("a▁ b")
    assert (tokens[0], tokens[-1]) == ("▁a", "▁b")
    assert tokeniser.detokenize(tokens) == "a▁ b"
    assert tokeniser.detokenize(["▁a", "\uf8ff", "▁b"]) == "a▁ b"


def test_any_tokens_in_any_order_are_one_line() -> None:
    tokeniser = subword_tokeniser(MODELS["bpe", "english"])
    text = tokeniser.detokenize(["<0x0A>", "▁the", "<0xE4>", "⟨猫⟩", "<0x0D>", "s"])
    assert text == "the\ufffd⟨猫⟩ s"
    assert tokeniser.detokenize([]) == ""


def test_at_most_4000_pieces_are_learnt_on_one_thread_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sentencepiece

    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        sentencepiece.SentencePieceTrainer, "train", lambda **options: asked.update(options)
    )
    assert learn_subwords(["a b"]) == b""
    assert list(asked.pop("sentence_iterator")) == ["a b"]
    assert (asked["model_type"], asked["vocab_size"], asked["num_threads"]) == ("unigram", 4000, 1)
    assert asked["minloglevel"] >= 2  # warnings and errors only


def test_the_same_texts_give_the_same_pieces() -> None:
    assert learn_subwords(ENGLISH, "bpe", 1000) == MODELS["bpe", "english"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "word"}, r"^kind: expected one of \('unigram', 'bpe'\), got 'word'$"),
        ({"size": 200}, r"^size: expected room for all bytes and characters: .* 200 vs \d+\.$"),
        ({"kind": "bpe", "size": 200}, r"^size: expected room for all bytes and characters: "),
    ],
)
def test_wrong_arguments_are_named(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        learn_subwords(ENGLISH, **options)


@pytest.mark.parametrize("texts", [[], ["", " "]])
def test_texts_without_a_word_are_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^texts: expected at least one word, got none$"):
        learn_subwords(texts)
    with pytest.raises(TypeError, match=r"^texts: expected several texts, got one str$"):
        learn_subwords("a b")


@pytest.mark.parametrize("read", [subword_tokeniser, pieces_of, scores_of])
def test_bytes_that_are_no_model_are_refused(read: Any) -> None:
    for other in (b"", b"xx", MODELS["bpe", "english"][:100]):
        with pytest.raises(ValueError, match=r"^model: expected what learn_subwords gave"):
            read(other)
    with pytest.raises(TypeError, match=r"^model: expected bytes, got str$"):
        read("xx")


def test_words_begin_where_pieces_are_not_joined() -> None:
    assert word_starts([]) == []
    assert word_starts(["▁Who", "▁want", "s", "?"]) == [0, 1, 3]
    assert word_starts(["▁", "谁", "下个", "星期", "？"]) == [0, 2, 3, 4]
    assert word_starts(["▁n", "a", "<0xC3>", "<0xAF>", "ve", "▁x"]) == [0, 5]
