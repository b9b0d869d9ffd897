"""The pairs of a run: read or generated, split, made into ids. Look first at `prepare`."""

import argparse
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import tinyattn as ta
from tinyattn.datasets import everyday
from tinyattn.text import DataError, drop_long, read_pairs, source_key, split_by_source
from translator.model import IdPair, Pair, Translator, new_model, tokenize
from translator.options import model_options


class Data(NamedTuple):
    """The pairs of a run in three sets, of which no two have a source in common."""

    training: list[IdPair]
    validation: list[IdPair]
    test: list[Pair]
    left_out: int  # training pairs that are too long
    seen: NDArray[np.int64]  # digests of the sources of training and validation
    fingerprint: str  # of all pairs: whether they are those that a run began with


def prepare(args: argparse.Namespace) -> tuple[Translator, Data]:
    """The pairs that the options of `train` ask for, and a model for them with its first
    weights."""
    pairs = all_pairs(args.data, args.swap, args.pairs)
    try:
        training, validation, test = split_by_source(pairs, args.valid, args.test, args.seed)
    except DataError as error:
        origin = args.data or "the built-in corpus"
        raise DataError(f"{origin}: {error}; lower --valid and --test") from None
    options = model_options(args, training)
    tokens, left_out = drop_long(tokenize(training, options), args.max_length)
    if not tokens:
        raise DataError(
            f"--max-length: expected room for a training pair, got {args.max_length} tokens where "
            f"all {left_out} are longer"
        )
    ta.manual_seed(args.seed)
    model = new_model(options, tokens)
    seen = np.unique([digest(source) for source, _ in (*training, *validation)])
    return model, Data(
        model.encode(tokens), model.ids(validation), test, left_out, seen, fingerprint(pairs)
    )


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
