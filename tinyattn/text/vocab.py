"""Vocab: tokens to ids and back, with four specials in front: <pad> 0, <bos> 1, <eos> 2, <unk> 3.

Look first at `Vocab.build`. The specials are ids only: a text that spells "<eos>" gets an
ordinary token.
"""

from collections import Counter
from collections.abc import Iterable

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")


class Vocab:
    """A list of distinct ordinary tokens; token i of it has the id `i + 4`."""

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
        cls, sentences: Iterable[list[str]], min_count: int = 1, max_size: int | None = None
    ) -> "Vocab":
        """The tokens seen at least `min_count` times, the most frequent first, equal ones in the
        order of their characters; at most `max_size` ids in all, the specials counted."""
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
        """The id of a token; UNK for one not seen in building."""
        return self._ids.get(token, UNK)

    def token(self, id: int) -> str:
        """The token of an id; a special's is its name."""
        if not 0 <= id < len(self):
            raise IndexError(f"id: expected 0 to {len(self) - 1}, got {id}")
        return SPECIALS[id] if id < len(SPECIALS) else self._tokens[id - len(SPECIALS)]

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids without <bos> and <eos>; a new word becomes UNK."""
        return [self._ids.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens up to the first <eos>; <pad> and <bos> are left out, an unknown word reads
        "<unk>".
        """
        tokens = []
        for id in ids:
            if id == EOS:
                break
            if id not in (PAD, BOS):
                tokens.append(self.token(int(id)))
        return tokens

    def to_list(self) -> list[str]:
        """The ordinary tokens in the order of their ids (fit for JSON); `Vocab(list)` is the way
        back.
        """
        return list(self._tokens)
