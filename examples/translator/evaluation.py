"""How good a trained model is, and which of two is better: the commands `evaluate` and `compare`.
Look first at `report`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyattn.text import DataError, read_pairs
from tinyattn.viz import attention_figure, attention_text
from translator.data import digest
from translator.files import load_tested, quantized, save_quantized, unused
from translator.model import Pair, Translation, Translator
from translator.options import require, say, search_of
from translator.scores import alignment, by_length, interval, perplexity, quality, resampled
from translator.searching import GREEDY, Search


def report(
    model: Translator,
    pairs: Sequence[Pair],
    folder: Path,
    title: str = "sentences never trained on",
    how: Search = GREEDY,
) -> None:
    """The score card: perplexity, BLEU, chrF and exact match with any reference, with the intervals
    in which they lie with 95 % (bootstrap; Wilson); alignment, scores by length, speed. Then ten
    examples and an attention map."""
    found = quality(model, pairs, how)
    sources = list(found.references)
    print(f"\non {len(sources)} {title}:")
    print(f"gold-prefix perplexity: {perplexity(model, model.ids(pairs)):.3f}")
    for signature, (one,) in resampled(found):
        name, _, details = signature.partition("|")
        print(f"{name}: {one.score:.1f} ± {one.ci:.1f}  ({details})")
    low, high = (100 * bound for bound in interval(found.exact, len(sources)))
    print(f"exact match: {100 * found.exact:.1f} %  (95 %: {low:.1f} to {high:.1f} %)")
    pointed, words = alignment(model, found)
    if words:
        print(f"alignment: {100 * pointed / words:.1f} % of {words} content words")
    print("by length of the source:")
    for length, count, bleu, right in by_length(found):
        print(f"  {length} tokens, {count} sentences: BLEU {bleu:.1f}, exact {100 * right:.1f} %")
    print()
    cut = sum(not one.finished for one in found.found)
    if cut:
        say(f"{cut} of the {len(sources)} translations came to no end and were cut")
    for source, hypothesis in list(zip(sources, found.hypotheses, strict=True))[:10]:
        meant = found.references[source]
        mark = "" if hypothesis in meant else f"   (meant: {meant[0]})"
        print(f"  {source}  ->  {shorten(hypothesis)}{mark}")
    show_attention(model, sources[0], folder, how)
    print(f"speed: {len(sources) / found.seconds:.0f} sentences/s")


def shorten(text: str, width: int = 120) -> str:
    """A text that fits in a line or two: a model that has learnt little repeats itself."""
    return text if len(text) <= width else text[: width - 1] + "…"


def by_words(model: Translator, found: Translation) -> tuple[list[str], list[str], NDArray[Any]]:
    """Source and target tokens and the weights; where they are subwords, put together to words: a
    word gets the sum of what its pieces get, and looks where they look on average."""
    end = ["<eos>"][: len(found.weights) - len(found.target)]
    columns, source = model.words("source", found.source)
    weights = np.add.reduceat(found.weights, columns, axis=1)
    starts, target = model.words("target", found.target)
    rows = [*starts, *range(len(found.target), len(weights))]
    counts = np.diff([*rows, len(weights)])
    weights = np.add.reduceat(weights, rows, axis=0) / counts[:, None]
    return source, [*target, *end], weights


def show_attention(model: Translator, sentence: str, folder: Path, how: Search = GREEDY) -> None:
    """Print the attention map of a sentence, and write it as a picture into the folder."""
    (found,) = model.translate([sentence], how)
    source, target, weights = by_words(model, found)
    print(f"\n{attention_text(weights, source, target)}\n")
    path = unused(folder / "attention", ".png")
    try:
        figure = attention_figure(weights, source, target)
        figure.axes[0].set(xlabel="source", ylabel="translation")
        figure.savefig(path)
    except (OSError, RuntimeError) as error:  # no room for it, or no font that has Chinese
        say(f"{path}: no attention map: {error}")
    else:
        print(f"attention map: {path}")


def evaluate(args: argparse.Namespace) -> None:
    """Report on the pairs held out in training, or on those of a file that training has not seen:
    pairs whose source was in its training or validation set are left out and counted."""
    how = search_of(args)
    model, path, test, seen = load_tested(args.model)
    require("matplotlib", "sacrebleu")
    if args.quantize:
        small = save_quantized(quantized(model), path.parent)
        share = small.stat().st_size / path.stat().st_size
        print(f"weights of 8 bits: {small}, {100 * share:.0f} % of the size of {path.name}")
    if not args.data:
        if args.swap is not None:
            raise DataError("--swap: expected --data with it, whose columns to exchange")
        report(model, test, path.parent, how=how)
        return
    pairs = read_pairs(args.data, model.options["swap"] if args.swap is None else args.swap)
    new = [pair for pair in pairs if digest(pair[0]) not in seen]
    if not new:
        raise DataError(
            f"{args.data}: expected sources that training has not seen, got none in the "
            f"{len(pairs)} pairs"
        )
    if len(new) < len(pairs):
        print(f"left out: {len(pairs) - len(new)} of {len(pairs)} pairs, seen in training")
    report(model, new, path.parent, f"sentences of {args.data} never trained on", how)


def compare(args: argparse.Namespace) -> None:
    """Two models on the same test pairs, with sacrebleu's paired bootstrap test."""
    how = search_of(args)
    require("sacrebleu")
    first, second = load_tested(args.run1), load_tested(args.run2)
    if first.test != second.test:
        raise DataError(f"{args.run2}: expected the test pairs of {args.run1}, got others")
    if {digest(source) for source, _ in first.test} & (first.seen | second.seen):
        raise DataError(f"{args.run2}: expected test pairs that neither model has seen in training")
    both = [quality(model, first.test, how) for model in (first.model, second.model)]
    print(f"on {len(both[0].found)} sentences never trained on:")
    for signature, (one, other) in resampled(*both):
        name, _, details = signature.partition("|")
        print(
            f"{name}: {one.score:.1f} ± {one.ci:.1f} and {other.score:.1f} ± {other.ci:.1f}, "
            f"difference {other.score - one.score:+.1f}, p = {other.p_value:.3f}  ({details})"
        )
    only = [
        sum(a and not b for a, b in zip(*pair, strict=True))
        for pair in ((both[0].right, both[1].right), (both[1].right, both[0].right))
    ]
    print(
        f"exact match: {100 * both[0].exact:.1f} % and {100 * both[1].exact:.1f} %; right in one "
        f"alone: {only[0]} and {only[1]}"
    )
