"""How good a trained model is: perplexity, BLEU, exact match, and a map of its attention. The
command `evaluate` stands here, too. Look first at `report`."""

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tinyattn as ta
from tinyattn.text import PAD, DataError, batches, read_pairs
from tinyattn.viz import attention_figure, attention_text
from translator.data import digest
from translator.files import load_model, unused
from translator.model import IdPair, Pair, Translator, loss_of
from translator.options import require, say, search_of
from translator.searching import GREEDY, Search


def perplexity(model: Translator, ids: Sequence[IdPair]) -> float:
    """exp of the mean cross-entropy of a target token, given the right ones before it."""
    model.eval()
    total, count = 0.0, 0
    with ta.no_grad():
        for batch in batches(ids, 128):
            tokens = int((batch.target_out != PAD).sum())
            total, count = total + loss_of(model, batch).item() * tokens, count + tokens
    mean = total / count
    return math.exp(mean) if mean < 700 else math.inf  # a model that ran away


class Quality(NamedTuple):
    """What a model makes of pairs: a hypothesis for each source, which may have many references."""

    references: dict[str, list[str]]
    hypotheses: list[str]
    exact: float  # the share of hypotheses that are one of their references
    bleu: float
    signature: str  # how BLEU was computed
    cut: int  # hypotheses that came to no end and were cut


def quality(model: Translator, pairs: Sequence[Pair], how: Search = GREEDY) -> Quality:
    """Translate the sources and compare with their targets."""
    from sacrebleu.metrics import BLEU

    references = defaultdict(list)
    for source, target in pairs:
        references[source].append(target)
    found = model.translate(list(references), how)
    hypotheses = [one.text for one in found]
    cut = sum(not one.finished for one in found)
    width = max(map(len, references.values()))
    # None where a source has fewer references, which sacrebleu takes and does not declare.
    streams: Any = [
        [r[i] if i < len(r) else None for r in references.values()] for i in range(width)
    ]
    chinese = model.options["target_tokens"] == "char"
    bleu = BLEU(tokenize="zh" if chinese else "13a")
    score = bleu.corpus_score(hypotheses, streams).score
    matches = sum(h in r for h, r in zip(hypotheses, references.values(), strict=True))
    exact = matches / len(hypotheses)
    return Quality(references, hypotheses, exact, score, str(bleu.get_signature()), cut)


def report(
    model: Translator,
    pairs: Sequence[Pair],
    folder: Path,
    title: str = "sentences never trained on",
    how: Search = GREEDY,
) -> None:
    """Perplexity, BLEU, exact match with any reference, ten examples, an attention map."""
    found = quality(model, pairs, how)
    sources = list(found.references)
    print(f"\non {len(sources)} {title}:")
    print(f"gold-prefix perplexity: {perplexity(model, model.ids(pairs)):.3f}")
    print(f"BLEU: {found.bleu:.1f}  ({found.signature})")
    print(f"exact match: {100 * found.exact:.1f} %\n")
    if found.cut:
        say(f"{found.cut} of the {len(sources)} translations came to no end and were cut")
    for source, hypothesis in list(zip(sources, found.hypotheses, strict=True))[:10]:
        meant = found.references[source]
        mark = "" if hypothesis in meant else f"   (meant: {meant[0]})"
        print(f"  {source}  ->  {shorten(hypothesis)}{mark}")
    show_attention(model, sources[0], folder, how)


def shorten(text: str, width: int = 120) -> str:
    """A text that fits in a line or two: a model that has learnt little repeats itself."""
    return text if len(text) <= width else text[: width - 1] + "…"


def show_attention(model: Translator, sentence: str, folder: Path, how: Search = GREEDY) -> None:
    """Print the attention map of a sentence, and write it as a picture into the folder."""
    (found,) = model.translate([sentence], how)
    target = [*found.target, "<eos>"][: len(found.weights)]
    print(f"\n{attention_text(found.weights, found.source, target)}\n")
    path = unused(folder / "attention", ".png")
    try:
        figure = attention_figure(found.weights, found.source, target)
        figure.axes[0].set(xlabel="source", ylabel="translation")
        figure.tight_layout()
        figure.savefig(path)
    except (OSError, RuntimeError) as error:  # no room for it, or no font that has Chinese
        say(f"{path}: no attention map: {error}")
    else:
        print(f"attention map: {path}")


def evaluate(args: argparse.Namespace) -> None:
    """Report on the pairs held out in training, or on those of a file that training has not seen:
    pairs whose source was in its training or validation set are left out and counted."""
    how = search_of(args)
    model, path, test, seen = load_model(args.model)
    require("matplotlib", "sacrebleu")
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
