"""Sentence pairs: read from a file, split by source, cut into padded batches.

Look first at `read_pairs`, `split_by_source` and `batches`, in the order in which a program calls
them.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyattn.text.normal_form import normalize
from tinyattn.text.vocab import BOS, EOS, PAD

Pair = tuple[str, str]
IdPair = tuple[Sequence[int], Sequence[int]]

_POOL = (
    50  # batches whose sentences are sorted together: little padding, yet mixed enough for training
)


class DataError(ValueError):
    """What a user's data lacks, in one line: file, line number, what was expected, what came."""


def read_pairs(path: str | os.PathLike[str], swap: bool = False) -> list[Pair]:
    """Pairs (source, target) of a UTF-8 file with a line `source TAB target` each.

    Further columns are ignored, and so are a byte order mark, CR before LF, and blank lines (they
    count as lines in messages). With `swap` the second column is the source.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{name}: expected a text file that can be read: {reason}") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    pairs = []
    # Only LF ends a line: str.splitlines would also cut at characters that occur inside sentences.
    for number, raw in enumerate(content.split(b"\n"), start=1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}:{number}: expected UTF-8, got byte 0x{raw[error.start]:02x}"
                f" at column {error.start + 1} ({error.reason})"
            ) from None
        if not line.strip():
            continue
        columns = [normalize(column) for column in line.split("\t")[:2]]
        if len(columns) < 2:
            raise DataError(
                f"{name}:{number}: expected source TAB target, got one column: {_shown(line)}"
            )
        for side, column in zip(("first", "second"), columns, strict=True):
            if not column:
                raise DataError(
                    f"{name}:{number}: expected source TAB target,"
                    f" got an empty {side} column: {_shown(line)}"
                )
        first, second = columns
        pairs.append((second, first) if swap else (first, second))
    if not pairs:
        what = "only blank lines" if content else "an empty file"
        raise DataError(f"{name}: expected lines of source TAB target, got {what}")
    return pairs


def _shown(line: str, width: int = 40) -> str:
    line = line.rstrip("\r")
    return repr(line if len(line) <= width else line[: width - 1] + "…")


def split_by_source(
    pairs: Sequence[Pair], valid: int, test: int, seed: int
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Training, validation and test pairs; no source stands in two of them.

    `valid` and `test` count distinct sources, drawn by `seed`; a source takes all its pairs
    along. The order within a part is that of `pairs`.
    """
    if valid < 0 or test < 0:
        raise ValueError(f"valid, test: expected at least 0, got {valid} and {test}")
    sources = list(dict.fromkeys(source for source, _ in pairs))
    if len(sources) <= valid + test:
        raise DataError(
            f"expected more than valid + test = {valid + test} distinct sources,"
            f" got {len(sources)} in {len(pairs)} pairs"
        )
    random.Random(seed).shuffle(sources)
    part_of = dict.fromkeys(sources[:valid], 1) | dict.fromkeys(sources[valid : valid + test], 2)
    parts: tuple[list[Pair], list[Pair], list[Pair]] = ([], [], [])
    for pair in pairs:
        parts[part_of.get(pair[0], 0)].append(pair)
    return parts


@dataclass(frozen=True)
class Batch:
    """B pairs, longest source first, every array int64 and filled up with PAD."""

    source: NDArray[np.int64]  # (B, Ts)
    lengths: NDArray[np.int64]  # (B,) of the sources, non-increasing
    target_in: NDArray[np.int64]  # (B, Tt), BOS first
    target_out: NDArray[np.int64]  # (B, Tt), EOS last
    index: NDArray[np.int64]  # (B,) where the pairs stood


def batches(
    pairs: Sequence[IdPair], size: int, seed: int | None = None, epoch: int = 0
) -> Iterator[Batch]:
    """Batches of `size` pairs of about one length, each pair in exactly one; one may be smaller.

    `pairs` are ids without BOS and EOS. Batches come in an order drawn by `seed` and `epoch`;
    without a seed from the shortest to the longest.
    """
    if size < 1:
        raise ValueError(f"size: expected at least 1, got {size}")
    for number, (source, _) in enumerate(pairs):
        if len(source) == 0:
            raise DataError(f"pair {number}: expected a source of at least one token, got none")

    def key(i: int) -> tuple[int, int]:
        return len(pairs[i][0]), len(pairs[i][1])

    order = list(range(len(pairs)))
    if seed is None:
        order.sort(key=key)
    else:
        draw = random.Random(f"{seed} {epoch}")
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
        sources = [pairs[i][0] for i in group]
        targets = [list(pairs[i][1]) for i in group]
        yield Batch(
            source=_padded(sources),
            lengths=np.array([len(source) for source in sources], dtype=np.int64),
            target_in=_padded([[BOS, *target] for target in targets]),
            target_out=_padded([[*target, EOS] for target in targets]),
            index=np.array(group, dtype=np.int64),
        )


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """(B, T) with T the longest row."""
    out = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = ids
    return out
