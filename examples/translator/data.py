"""The pairs of a run: read or generated, split, made into ids. Look first at `prepare`."""

import argparse
import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import tinyattn as ta
from tinyattn.datasets import everyday
from tinyattn.text import DataError, drop_long, read_pairs, source_key, split_by_source
from translator.model import IdPair, Pair, TokenPair, Translator, learn_pieces, new_model, tokenize
from translator.options import model_options


class Split(NamedTuple):
    """Pairs in three sets, of which no two have a source in common."""

    training: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    repeated: int  # pairs that are in none: a file for validation or test has their source


class Data(NamedTuple):
    """The pairs of a run in three sets, of which no two have a source in common."""

    training: list[IdPair]
    validation: list[IdPair]
    test: list[Pair]
    left_out: int  # training pairs that are too long
    seen: NDArray[np.int64]  # digests of the sources of training and validation
    fingerprint: str  # of all pairs: whether they are those that a run began with
    repeated: int = 0  # as in Split


def prepare(
    args: argparse.Namespace, base: Translator | None = None, known: Collection[int] = ()
) -> tuple[Translator, Data]:
    """The pairs that the options of `train` ask for, and a model for them with its first weights.

    `base`: a model to begin with, which has been trained on sources of the digests `known`. They
    are left out of the test.
    """
    pairs = all_pairs(args.data, args.swap, args.pairs)
    apart = [read_pairs(f, args.swap) if f else [] for f in (args.valid_data, args.test_data)]
    training, validation, test, repeated = split(args, pairs, *apart)
    sources = {source_key(source) for source, _ in test}
    test = [pair for pair in test if digest(pair[0]) not in known]
    if not test:
        count = len(sources)
        raise DataError(f"--from: expected a model that has not seen all {count} test sources")
    options = model_options(args, training) if base is None else base.options
    pieces = learn_pieces(training, options) if base is None else base.pieces
    tokens, left_out = drop_long(tokenize(training, options, pieces), args.max_length)
    if not tokens:
        raise DataError(
            f"--max-length: expected room for a training pair, got {args.max_length} tokens where "
            f"all {left_out} are longer"
        )
    ta.manual_seed(args.seed)
    model = new_model(options, tokens, pieces) if base is None else fitting(base, tokens)
    for side, vocab in (("source", model.source), ("target", model.target)):
        if not vocab.to_list():
            raise DataError(
                f"--min-count: expected {side} tokens that come {options['min_count']} times in "
                "training, found none"
            )
    seen = np.unique([*(digest(source) for source, _ in (*training, *validation)), *known])
    mark = fingerprint([*pairs, *apart[0], *apart[1]])
    ids = model.encode(tokens), model.ids(validation)
    return model, Data(*ids, test, left_out, seen, mark, repeated)


def split(
    args: argparse.Namespace, pairs: Sequence[Pair], valid: list[Pair], test: list[Pair]
) -> Split:
    """The pairs in three sets. `valid` and `test` are those of the files of --valid-data and
    --test-data: what they have is left out elsewhere, and where they are empty pairs are drawn."""
    tested = {source_key(source) for source, _ in test}
    validated = [pair for pair in valid if source_key(pair[0]) not in tested]
    if valid and not validated:
        raise DataError(f"--valid-data: expected sources that {args.test_data} has not, got none")
    held = tested | {source_key(source) for source, _ in validated}
    rest = [pair for pair in pairs if source_key(pair[0]) not in held]
    repeated = len(pairs) - len(rest) + len(valid) - len(validated)
    if not rest:
        raise DataError(
            f"{args.data}: expected pairs to train on, got only sources of --valid-data or "
            "--test-data"
        )
    counts = 0 if valid else args.valid, 0 if test else args.test
    try:
        training, drawn_valid, drawn_test = split_by_source(rest, *counts, args.seed)
    except DataError as error:
        origin = args.data or "the built-in corpus"
        raise DataError(f"{origin}: {error}; lower --valid and --test") from None
    return Split(training, validated or drawn_valid, test or drawn_test, repeated)


def fitting(base: Translator, tokens: Sequence[TokenPair]) -> Translator:
    """A model to begin with, if its vocabularies have at least half of the training tokens."""
    for side, vocab in (("source", base.source), ("target", base.target)):
        column = 0 if side == "source" else 1
        given = [token for pair in tokens for token in pair[column]]
        known = sum(token in vocab for token in given)
        if 2 * known < len(given):
            raise DataError(
                f"--from: expected a vocabulary that has most {side} tokens of the data, got one "
                f"that has {known} of {len(given)}"
            )
    return base


def all_pairs(data: str | None, swap: bool, count: int) -> list[Pair]:
    """The pairs of a file, or `count` of the built-in corpus; swapped: the second column first."""
    if data:
        return read_pairs(data, swap)
    return [(t, s) if swap else (s, t) for s, t in everyday.generate(count, seed=0)]


def digest(source: str) -> int:
    """A number of 64 bits for a source, the same for all that `split_by_source` takes as one."""
    key = hashlib.blake2b(source_key(source).encode(), digest_size=8).digest()
    return int.from_bytes(key, "little", signed=True)


def fingerprint(pairs: Sequence[Pair]) -> str:
    """A short text that tells these pairs, in this order, from others."""
    return hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]
