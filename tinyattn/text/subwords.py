"""Subwords: words in pieces that are learnt from the texts, so that no word is unknown. They come
from the package sentencepiece (Kudo and Richardson 2018, arXiv:1808.06226), imported when needed.

Look first at `learn_subwords`, then at `subword_tokeniser`, which makes a `Tokeniser` of its
result.
"""

import io
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from tinyattn._extras import missing
from tinyattn.text.normal_form import normalize
from tinyattn.text.tokenize import Tokeniser, is_unspaced

KINDS = ("unigram", "bpe")
SPACE = "▁"  # what sentencepiece writes for a space
_OTHER = "\uf8ff"  # stands in a piece for the character that looks like it


def learn_subwords(texts: Iterable[str], kind: str = "unigram", size: int = 4000) -> bytes:
    """The subwords of these texts, at most `size`, as a model of sentencepiece.

    kind: "unigram" (Kudo 2018, arXiv:1804.10959) or "bpe" (Sennrich, Haddow and Birch 2016,
    arXiv:1508.07909). A character that is not among them is written in bytes, which count among
    them; nothing is normalised but by `normalize`. Raises ValueError for another kind, for texts
    without a word, and where `size` has no room for all bytes and characters.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {KINDS}, got {kind!r}")
    if isinstance(texts, str):
        raise TypeError("texts: expected several texts, got one str")
    sentencepiece = _sentencepiece()
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(_escaped(normalize(text)) for text in texts),
            model_writer=model,
            model_type=kind,
            vocab_size=size,
            hard_vocab_limit=False,  # few texts have fewer pieces
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            byte_fallback=True,
            character_coverage=1.0,
            bos_id=-1,
            eos_id=-1,
            num_threads=1,  # the same pieces on every machine
            minloglevel=2,
        )
    except (OSError, RuntimeError) as error:
        if "sentences_.empty()" in str(error):
            raise ValueError("texts: expected at least one word, got none") from None
        reason = str(error).strip().splitlines()[-1].rpartition("] ")[2].partition(" Increase")[0]
        raise ValueError(f"size: expected room for all bytes and characters: {reason}") from None
    return model.getvalue()


def subword_tokeniser(model: bytes) -> Tokeniser:
    """The tokeniser of what `learn_subwords` gave. A piece that begins a word starts with ▁.

    Raises ValueError for other bytes.
    """
    processor = _processor(model)

    def tokenize(text: str) -> list[str]:
        pieces: list[str] = processor.encode(_escaped(normalize(text)), out_type=str)
        return pieces

    def detokenize(tokens: Sequence[str]) -> str:
        # Bytes in any order may be a line break, or no character at all.
        return normalize(processor.decode(list(tokens)).replace(SPACE, " ")).replace(_OTHER, SPACE)

    return Tokeniser(tokenize, detokenize)


def pieces_of(model: bytes) -> list[str]:
    """All pieces of what `learn_subwords` gave, but the one for what is unknown."""
    processor = _processor(model)
    return [processor.id_to_piece(i) for i in range(len(processor)) if not processor.is_unknown(i)]


def scores_of(model: bytes) -> list[float]:
    """The scores of `pieces_of(model)`, by which text is cut. Those of bytes have no meaning."""
    processor = _processor(model)
    return [processor.get_score(i) for i in range(len(processor)) if not processor.is_unknown(i)]


def word_starts(pieces: Sequence[str]) -> list[int]:
    """Where words begin in these pieces. Punctuation, and each piece of a script written without
    spaces, is a word for itself. A space that is a piece of its own belongs to what follows.

    >>> word_starts(["▁un", "known", ",", "▁说", "谁", "▁", "a", "b"])
    [0, 2, 3, 4, 5]
    """
    starts = [0] if pieces else []
    for place, (left, right) in enumerate(pairwise(pieces), start=1):
        if left != SPACE and not (_joins(left[-1]) and _joins(right[0])):
            starts.append(place)
    return starts


def _joins(character: str) -> bool:
    return character in "<>" or (character.isalnum() and not is_unspaced(character))


def _processor(model: bytes) -> Any:
    if not isinstance(model, bytes):
        raise TypeError(f"model: expected bytes, got {type(model).__name__}")
    processor = _sentencepiece().SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError:
        raise ValueError("model: expected what learn_subwords gave, got other bytes") from None
    return processor


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ModuleNotFoundError as error:
        raise missing(error, "subwords") from None
    return sentencepiece


def _escaped(text: str) -> str:
    return text.replace(SPACE, _OTHER)
