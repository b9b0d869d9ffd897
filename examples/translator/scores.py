"""How good translations are: perplexity, BLEU, chrF, exact match, alignment. Look first at
`quality`."""

import math
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

import tinyattn as ta
from tinyattn.datasets import everyday
from tinyattn.text import PAD, Tokeniser, batches, guess_tokeniser
from tinyattn.text.tokenize import is_unspaced
from translator.model import IdPair, Pair, Translation, Translator, loss_of
from translator.searching import GREEDY, Search

Span = tuple[int, int]  # of characters: from the first to after the last
RESAMPLES = 1000  # of the bootstrap


def perplexity(model: Translator, ids: Sequence[IdPair], shared: bool = False) -> float:
    """exp of the mean cross-entropy of a target token, given the right ones before it.

    shared: each rank of mpiexec computes a part, and all of them get the result.
    """
    model.eval()
    rank, ranks = (ta.parallel.get_rank(), ta.parallel.get_world_size()) if shared else (0, 1)
    total, count = 0.0, 0
    with ta.no_grad():
        for batch in islice(batches(ids, 128), rank, None, ranks):
            tokens = int((batch.target_out != PAD).sum())
            total, count = total + loss_of(model, batch).item() * tokens, count + tokens
    if ranks > 1:
        parts = ta.parallel.all_gather_object((total, count))
        total, count = sum(part[0] for part in parts), sum(part[1] for part in parts)
    mean = total / count
    return math.exp(mean) if mean < 700 else math.inf  # a model that ran away


@dataclass
class Quality:
    """What a model makes of pairs: a translation of each source, which may have many references."""

    references: dict[str, list[str]]
    found: list[Translation]
    tokenize: str  # of BLEU
    seconds: float  # that the translations took

    @property
    def hypotheses(self) -> list[str]:
        return [one.text for one in self.found]

    @property
    def right(self) -> list[bool]:
        """Whether each translation is one of its references."""
        both = zip(self.found, self.references.values(), strict=True)
        return [one.text in references for one, references in both]

    @property
    def exact(self) -> float:
        return sum(self.right) / len(self.found)

    @property
    def bleu(self) -> float:
        return float(self.metric("BLEU").corpus_score(self.hypotheses, self.streams()).score)

    def streams(self, places: Sequence[int] | None = None) -> Any:
        """The references as sacrebleu takes them, of all sources or of those at these places: None
        where a source has fewer, which it does not declare."""
        rows = list(self.references.values())
        rows = rows if places is None else [rows[place] for place in places]
        return [[r[i] if i < len(r) else None for r in rows] for i in range(max(map(len, rows)))]

    def metric(self, name: str) -> Any:
        """sacrebleu's BLEU or chrF."""
        from sacrebleu.metrics import BLEU, CHRF

        return BLEU(tokenize=self.tokenize) if name == "BLEU" else CHRF()


def resampled(*models: Quality) -> Iterator[tuple[str, list[Any]]]:
    """sacrebleu's bootstrap of BLEU and chrF for models with the same references: the signature of
    each, and for each model `score`, `mean` and `ci` of its interval of 95 %, and after the first
    the `p_value` of its difference from that."""
    from sacrebleu.significance import PairedTest

    first = models[0]
    systems: Any = [(str(number), model.hypotheses) for number, model in enumerate(models)]
    metrics = {name: first.metric(name) for name in ("BLEU", "chrF")}
    signatures, scores = PairedTest(systems, metrics, first.streams(), "bs", RESAMPLES)()
    for name, signature in signatures.items():
        yield f"{name}|{signature}", list(scores[name])


def quality(model: Translator, pairs: Sequence[Pair], how: Search = GREEDY) -> Quality:
    """Translate the sources and compare with their targets."""
    references = defaultdict(list)
    for source, target in pairs:
        references[source].append(target)
    started = time.perf_counter()
    found = model.translate(list(references), how)
    seconds = time.perf_counter() - started
    cut = bleu_tokeniser(target for _, target in pairs)
    return Quality(dict(references), found, cut, seconds)


def bleu_tokeniser(targets: Iterable[str]) -> str:
    """How sacrebleu cuts such targets for BLEU. Its "zh" cuts Chinese characters alone: Japanese,
    Thai and their like, which have no spaces either, are cut into all of their characters.

    >>> [bleu_tokeniser([text]) for text in ("你好。", "こんにちは。", "Bonjour.")]
    ['zh', 'char', '13a']
    """
    counts = Counter(chain.from_iterable(targets))
    if guess_tokeniser(counts.elements()) != "char":
        return "13a"
    unspaced = {c: count for c, count in counts.items() if c.isalpha() and is_unspaced(c)}
    chinese = sum(count for c, count in unspaced.items() if "CJK" in unicodedata.name(c, ""))
    return "zh" if chinese > 0.9 * sum(unspaced.values()) else "char"


def interval(share: float, count: int) -> tuple[float, float]:
    """Between what a share of `count` cases lies, with a probability of 95 % (Wilson 1927).

    >>> [round(100 * bound, 1) for bound in interval(0.98, 2000)]
    [97.3, 98.5]
    """
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    width = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    width /= 1 + z * z / count
    return max(middle - width, 0.0), min(middle + width, 1.0)


def by_length(found: Quality, groups: int = 4) -> list[tuple[str, int, float, float]]:
    """Scores of sources of about one length: tokens, sentences, BLEU, the share of exact matches.

    There are at most `groups`, of about as many sentences each; a length stands in one of them.
    """
    lengths = np.array([len(one.source) for one in found.found])
    bounds = np.unique(np.quantile(lengths, np.arange(1, groups) / groups, method="lower"))
    group = np.searchsorted(bounds, lengths, side="left")
    rows = []
    for number in np.unique(group):
        places = np.flatnonzero(group == number).tolist()
        hypotheses = [found.found[place].text for place in places]
        score = found.metric("BLEU").corpus_score(hypotheses, found.streams(places)).score
        right = [found.right[place] for place in places]
        first, last = lengths[places].min(), lengths[places].max()
        label = f"{first}" if first == last else f"{first}-{last}"
        rows.append((label, len(places), float(score), sum(right) / len(right)))
    return rows


def alignment(model: Translator, found: Quality) -> tuple[int, int]:
    """How many words were looked at, and at how many of them attention points where it should: its
    heaviest source token lies in the word that they render.

    These are content words with one equivalent in the built-in lexicon (Chinese and English), in
    translations that are right. Of a word that is several tokens each one counts.
    """
    pointed = count = 0
    for one, right in zip(found.found, found.right, strict=True):
        for place, origin in rendered(model, one.source, one.target) if right else ():
            pointed += one.weights[place].argmax() in origin
            count += 1
    return pointed, count


def rendered(
    model: Translator, source: Sequence[str], target: Sequence[str]
) -> list[tuple[int, set[int]]]:
    """The places of target tokens whose word has one equivalent in the built-in lexicon, each with
    the places of the source tokens that are the word it renders."""
    text, sources = spans(source, model.read)
    translation, targets = spans(target, model.write)
    links = everyday.links(text, translation)
    links += [(word, origin) for origin, word in everyday.links(translation, text)]
    return [
        (place, inside(sources, origin))
        for word, origin in links
        for place in inside(targets, word)
    ]


def inside(parts: Sequence[Span], whole: Span) -> set[int]:
    """The places of the parts that lie in the whole."""
    return {i for i, (start, end) in enumerate(parts) if whole[0] <= start and end <= whole[1]}


def spans(tokens: Sequence[str], tokeniser: Tokeniser) -> tuple[str, list[tuple[int, int]]]:
    """The text of these tokens, and from where to where in it each token stands."""
    put_together = tokeniser.detokenize
    text, end, found = put_together(tokens), 0, []
    for token in tokens:
        bare = put_together([token])
        start = text.find(bare, end)
        end = start + len(bare)
        found.append((start, end))
    return text, found
