"""Sentence pairs: read from a file, split by source, cut into padded batches.

Look first at `read_pairs`, `split_by_source`, `drop_long` and `batches`, in the order in which a
program calls them. Letters: B pairs, Ts and Tt source and target tokens.
"""

import os
import random
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinyattn.text.normal_form import normalize, source_key
from tinyattn.text.vocab import BOS, EOS, PAD

Pair = tuple[str, str]
IdPair = tuple[Sequence[int], Sequence[int]]
Sides = TypeVar("Sides", bound=tuple[Sized, Sized])

# This many batches are sorted by length together: little padding, yet mixed enough for training.
_POOL = 50
_TOKENS_A_PAIR = 100  # source and target: what a batch has room for, unless max_tokens is given


class DataError(ValueError):
    """What is wrong with a user's data, in one line: the file, the line, what was expected, what
    came."""


def lines_of(file: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """The lines of a file in UTF-8, each with its place `name:number`, without line ends.

    `file` is open in binary mode and read as far as it is asked for, so that it may be standard
    input. LF, CR LF and CR end a line; a byte order mark at the start is left out. Raises DataError
    for another encoding, with the place.

    >>> import io
    >>> list(lines_of(io.BytesIO(b"one\\rtwo\\r\\n"), "numbers.txt"))
    [('numbers.txt:1', 'one'), ('numbers.txt:2', 'two')]
    """
    # Other line ends, which str.splitlines knows, occur inside sentences.
    lines = chain.from_iterable(map(bytes.splitlines, file))
    for number, raw in enumerate(lines, start=1):
        place = f"{name}:{number}"
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{place}: expected UTF-8, got the byte order mark of UTF-16")
        if b"\0" in raw:
            raise DataError(f"{place}: expected UTF-8, got a zero byte, as UTF-16 has them")
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{place}: expected UTF-8, got byte 0x{error.object[error.start]:02x}"
                f" ({error.reason}); convert the file to UTF-8"
            ) from None
        yield place, line


def read_pairs(path: str | os.PathLike[str], swap: bool = False) -> list[Pair]:
    """Pairs (source, target) of a UTF-8 file with a line `source TAB target` each, normalised.

    Further columns and blank lines are ignored (blank lines count in the numbers of lines); line
    ends are those of `lines_of`. With `swap` the second column is the source. Raises DataError for
    a file that can't be read, another encoding, a line of one column, an empty column, and a file
    without pairs.
    """
    name = os.fspath(path)
    pairs: list[Pair] = []
    place = ""
    try:
        with open(path, "rb") as file:
            for place, line in lines_of(file, name):
                if normalize(line):
                    first, second = _columns(line, place)
                    pairs.append((second, first) if swap else (first, second))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{name}: expected a text file that can be read: {reason}") from None
    if not pairs:
        what = "only blank lines" if place else "an empty file"
        raise DataError(f"{name}: expected lines of source TAB target, got {what}")
    return pairs


def _columns(line: str, place: str) -> Pair:
    columns = [normalize(column) for column in line.split("\t")[:2]]
    expected = f"{place}: expected source TAB target, got"
    if len(columns) < 2:
        raise DataError(f"{expected} one column: {_shown(line)}")
    first, second = columns
    if not (first and second):
        side = "second" if first else "first"
        raise DataError(f"{expected} an empty {side} column: {_shown(line)}")
    return first, second


def _shown(line: str, width: int = 40) -> str:
    return repr(line if len(line) <= width else line[: width - 1] + "…")


def split_by_source(
    pairs: Sequence[Pair], valid: int, test: int, seed: int
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Training, validation and test pairs; no source stands in two of them.

    `valid` and `test` count distinct sources, drawn by `seed`; a source takes all its pairs along.
    Sources of one `source_key` are the same source, whatever their case, white space and
    characters that are not seen. The order within a set is that of `pairs`. Raises DataError if
    no source would be left for training.
    """
    if valid < 0 or test < 0:
        raise ValueError(f"valid, test: expected at least 0, got {valid} and {test}")
    keys = [source_key(source) for source, _ in pairs]
    sources = list(dict.fromkeys(keys))
    if len(sources) <= valid + test:
        raise DataError(
            f"expected more than valid + test = {valid + test} distinct sources,"
            f" got {len(sources)} in {len(pairs)} pairs"
        )
    random.Random(seed).shuffle(sources)
    set_of = dict.fromkeys(sources[:valid], 1) | dict.fromkeys(sources[valid : valid + test], 2)
    sets: tuple[list[Pair], list[Pair], list[Pair]] = ([], [], [])
    for key, pair in zip(keys, pairs, strict=True):
        sets[set_of.get(key, 0)].append(pair)
    return sets


def drop_long(pairs: Sequence[Sides], max_length: int) -> tuple[list[Sides], int]:
    """The pairs of at most `max_length` tokens on either side, and how many were left out.

    Tokens may be text or ids.

    >>> drop_long([([4, 5], [6]), ([4, 5, 6], [7])], 2)
    ([([4, 5], [6])], 1)
    """
    if max_length < 1:
        raise ValueError(f"max_length: expected at least 1, got {max_length}")
    kept = [pair for pair in pairs if max(map(len, pair)) <= max_length]
    return kept, len(pairs) - len(kept)


@dataclass(frozen=True)
class Batch:
    """B pairs, longest source first, every array int64 and filled up with PAD."""

    source: NDArray[np.int64]  # (B, Ts)
    lengths: NDArray[np.int64]  # (B,) of the sources, non-increasing
    target_in: NDArray[np.int64]  # (B, Tt), BOS first
    target_out: NDArray[np.int64]  # (B, Tt), EOS last
    index: NDArray[np.int64]  # (B,) where the pairs stood


def batches(
    pairs: Sequence[IdPair],
    size: int,
    seed: int | None = None,
    epoch: int = 0,
    max_tokens: int | None = None,
) -> Iterator[Batch]:
    """Batches of at most `size` pairs of about one length, each pair in exactly one.

    `pairs` are ids without BOS and EOS. Batches come in an order drawn by `seed` and `epoch`;
    without a seed from the shortest to the longest. A pair without source tokens stands in no
    batch, since a model can't read it: what no `index` names was left out.

    A batch of more than `max_tokens` tokens, B * (Ts + Tt) with padding, is cut into smaller ones,
    so that one long pair does not make all others as long; a pair of more stands alone. Where it is
    not given, there is room for 100 tokens a pair: `100 * size`.

    >>> pairs = [([4], [5]), ([6, 7], [8]), ([9, 9, 9], [9])]
    >>> [batch.source.tolist() for batch in batches(pairs, size=2)]
    [[[6, 7], [4, 0]], [[9, 9, 9]]]
    """
    for group in _plan(pairs, size, seed, epoch, _room(size, max_tokens)):
        sources = [pairs[i][0] for i in group]
        targets = [list(pairs[i][1]) for i in group]
        yield Batch(
            source=_padded(sources),
            lengths=np.array([len(source) for source in sources], dtype=np.int64),
            target_in=_padded([[BOS, *target] for target in targets]),
            target_out=_padded([[*target, EOS] for target in targets]),
            index=np.array(group, dtype=np.int64),
        )


def count_batches(
    pairs: Sequence[IdPair],
    size: int,
    seed: int | None = None,
    epoch: int = 0,
    max_tokens: int | None = None,
) -> int:
    """How many `batches` there are for the same arguments."""
    room = _room(size, max_tokens)
    lengths = [(len(source), len(target)) for source, target in pairs if len(source)]
    widest = sum(map(max, zip(*lengths, strict=True))) + 1 if lengths else 0
    if size * widest <= room:  # none is cut: there is no need to plan them
        return -(-len(lengths) // size)
    return len(_plan(pairs, size, seed, epoch, room))


def _room(size: int, max_tokens: int | None) -> int:
    if size < 1:
        raise ValueError(f"size: expected at least 1, got {size}")
    if max_tokens is None:
        return _TOKENS_A_PAIR * size
    if max_tokens < 1:
        raise ValueError(f"max_tokens: expected at least 1, got {max_tokens}")
    return max_tokens


def _plan(
    pairs: Sequence[IdPair], size: int, seed: int | None, epoch: int, room: int
) -> list[list[int]]:
    """For each batch the places of its pairs, longest source first."""
    key = [(len(source), len(target)) for source, target in pairs].__getitem__
    order = [i for i, (source, _) in enumerate(pairs) if len(source)]
    draw = random.Random(f"{seed} {epoch}")
    if seed is None:
        order.sort(key=key)
    else:
        draw.shuffle(order)
        pool = _POOL * size
        order = [
            i for k in range(0, len(order), pool) for i in sorted(order[k : k + pool], key=key)
        ]
    groups = [order[k : k + size] for k in range(0, len(order), size)]
    if seed is not None:
        draw.shuffle(groups)
    for group in groups:
        group.sort(key=key, reverse=True)
    return [batch for group in groups for batch in _bounded(pairs, group, room)]


def _bounded(pairs: Sequence[IdPair], group: list[int], room: int) -> Iterator[list[int]]:
    """The group, longest source first, cut into batches of at most `room` tokens with padding."""
    batch: list[int] = []
    longest = 0  # target, with BOS or EOS
    for i in group:
        source, target = pairs[batch[0] if batch else i][0], len(pairs[i][1]) + 1
        longest = max(longest, target)
        if batch and (len(batch) + 1) * (len(source) + longest) > room:
            yield batch
            batch, longest = [], target
        batch.append(i)
    yield batch


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """(B, T) with T the longest row."""
    out = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = ids
    return out
