"""Vocabularies: tokens to ids and back. The first four ids are special: <pad> 0 fills up a batch,
<bos> 1 begins a sentence, <eos> 2 ends it, <unk> 3 stands for a token that is not known.

Look first at `Vocab.build`. No text has a special token: "<eos>" in a text is an ordinary token.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Self

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")


class Vocab:
    """Ordinary tokens and their ids: token i of the list has the id `i + 4`.

    Raises TypeError for a token that is no string, ValueError for a token that comes twice.

    >>> vocab = Vocab.build([["to", "be", "or", "not", "to", "be"]])
    >>> vocab.to_list()
    ['be', 'to', 'not', 'or']
    >>> vocab.encode(["to", "have"])
    [5, 3]
    >>> vocab.decode([5, 4, 2, 0])
    ['to', 'be']
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = list(tokens)
        self._ids: dict[str, int] = {}
        for number, token in enumerate(self._tokens, start=len(SPECIALS)):
            if not isinstance(token, str):
                kind = type(token).__name__
                raise TypeError(f"tokens: expected strings, got {kind} at index {number - 4}")
            if token in self._ids:
                raise ValueError(f"tokens: expected distinct strings, got {token!r} twice")
            self._ids[token] = number

    @classmethod
    def build(
        cls, sentences: Iterable[Iterable[str]], min_count: int = 1, max_size: int | None = None
    ) -> Self:
        """The vocabulary of the tokens that occur at least `min_count` times.

        The most frequent tokens come first; tokens that are equally frequent are sorted by their
        characters. There are at most `max_size` ids, the special ones included.
        """
        if min_count < 1:
            raise ValueError(f"min_count: expected at least 1, got {min_count}")
        if max_size is not None and max_size < len(SPECIALS):
            raise ValueError(f"max_size: expected at least {len(SPECIALS)}, got {max_size}")
        counts = Counter(token for sentence in sentences for token in sentence)
        kept = [token for token, count in counts.items() if count >= min_count]
        kept.sort(key=lambda token: (-counts[token], token))
        return cls(kept if max_size is None else kept[: max_size - len(SPECIALS)])

    def __len__(self) -> int:
        return len(SPECIALS) + len(self._tokens)

    def __contains__(self, token: object) -> bool:
        """Whether `token` is an ordinary token of this vocabulary."""
        return token in self._ids

    def id(self, token: str) -> int:
        """The id of a token; UNK for a token that is not in the vocabulary."""
        return self._ids.get(token, UNK)

    def token(self, id: int) -> str:
        """The token of an id; for a special id its name. Raises IndexError for any other id."""
        if not 0 <= id < len(self):
            raise IndexError(f"id: expected 0 to {len(self) - 1}, got {id}")
        return SPECIALS[id] if id < len(SPECIALS) else self._tokens[id - len(SPECIALS)]

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens, without BOS and EOS; UNK for a token that is not known."""
        return [self._ids.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids up to the first EOS. PAD and BOS are left out; UNK is "<unk>"."""
        tokens = []
        for id in ids:
            if id == EOS:
                break
            if id not in (PAD, BOS):
                tokens.append(self.token(int(id)))
        return tokens

    def to_list(self) -> list[str]:
        """The ordinary tokens in the order of their ids, from which `Vocab` makes the same
        vocabulary again."""
        return list(self._tokens)
