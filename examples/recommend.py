"""Recommendation: what a customer looks at next, from all that came before.

    python examples/recommend.py                  sessions with planted causes
    python examples/recommend.py --data u.data    MovieLens, where you have it

A causal Transformer (Kang, McAuley 2018, arXiv:1808.09781) reads a session of several interests
that take turns (tinyattn/datasets/sessions.py). Each item has its cause, an earlier item: does
attention find it? Look first at `Recommender`. Letters: B sessions, T steps, H features, V items.
"""

import argparse
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from uses import Result, fit, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.datasets import sessions
from tinyattn.datasets.sessions import Session
from tinyattn.text import DataError
from tinyattn.viz import attention_figure

STEPS = 20


class Block(nn.Module):
    """Every step looks at itself and those before it, then each is changed by itself."""

    def __init__(self, H: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(H), nn.LayerNorm(H)
        self.attention = nn.MultiheadAttention(H, 1, batch_first=True)
        self.change = nn.Sequential(nn.Linear(H, 2 * H), nn.ReLU(), nn.Linear(2 * H, H))

    def forward(self, x: ta.Tensor, later: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        """x (B, T, H) and later (T, T), True where a step may not look: the new x, the weights."""
        y = self.norm1(x)
        y, weights = self.attention(y, y, y, attn_mask=later)
        x = x + y
        return x + self.change(self.norm2(x)), weights


class Recommender(nn.Module):
    """Items and their places, two blocks, and a score for every item."""

    def __init__(self, items: int, H: int = 64) -> None:
        super().__init__()
        self.item = nn.Embedding(items, H)
        self.place = nn.Embedding(STEPS, H)
        self.dropout = nn.Dropout(0.1)
        self.blocks = nn.ModuleList([Block(H) for _ in range(2)])
        self.norm = nn.LayerNorm(H)
        with ta.no_grad():
            self.item.weight.mul_(H**-0.5)
            self.place.weight.mul_(H**-0.5)

    def forward(self, items: ta.Tensor) -> tuple[ta.Tensor, list[ta.Tensor]]:
        """items (B, T): the scores (B, T, V) of what comes after each; the weights."""
        T = items.shape[1]
        later = ta.ones(T, T, dtype=ta.bool).triu(1)
        x, looks = self.dropout(self.item(items) + self.place.weight[:T]), []
        for block in self.blocks:
            x, weights = block(x, later)
            looks.append(weights)
        return F.linear(self.norm(x), self.item.weight), looks


def padded(chosen: list[Session]) -> tuple[ta.Tensor, ta.Tensor]:
    """The items before (B, T) and those that come next (B, T), -100 after the end."""
    T = max(len(session.items) for session in chosen) - 1
    before = np.zeros((len(chosen), T), dtype=np.int64)
    after = np.full((len(chosen), T), -100)
    for row, session in enumerate(chosen):
        n = len(session.items) - 1
        before[row, :n], after[row, :n] = session.items[:-1], session.items[1:]
    return ta.from_numpy(before), ta.from_numpy(after)


def train(model: Recommender, data: list[Session], steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def loss_of() -> ta.Tensor:
        before, after = padded([data[i] for i in rng.integers(0, len(data), 64)])
        return F.cross_entropy(model(before)[0].flatten(0, 1), after.flatten())

    fit(model, loss_of, steps, lr=3e-3)


def hit(ranked: Sequence[np.ndarray | list[int]], test: list[Session]) -> float:
    """Of a hundred sessions, those whose last item is among the ten ranked best (hit@10)."""
    return 100 * float(
        np.mean([s.items[-1] in list(r)[:10] for r, s in zip(ranked, test, strict=True)])
    )


@ta.no_grad()
def ranked(model: Recommender, test: list[Session]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The ten best items after each session without its last item, and where it looked there."""
    best, looks = [], []
    for begin in range(0, len(test), 100):
        part = test[begin : begin + 100]
        scores, weights = model(padded(part)[0])
        for row, session in enumerate(part):
            last = len(session.items) - 2
            best.append(scores[row, last].topk(10)[1].numpy())
            looks.append(np.stack([w[row, last, : last + 1].numpy() for w in weights]))
    return best, looks


def baselines(data: list[Session], test: list[Session]) -> tuple[float, float]:
    """hit@10 of the most popular items, and of those that followed the last item most often."""
    popular = [i for i, _ in Counter(i for s in data for i in s.items).most_common(10)]
    followers: dict[int, Counter[int]] = defaultdict(Counter)
    for session in data:
        for a, b in itertools.pairwise(session.items):
            followers[a][b] += 1
    after_last = [[i for i, _ in followers[s.items[-2]].most_common(10)] for s in test]
    return hit([popular] * len(test), test), hit(after_last, test)


def causes(looks: list[np.ndarray], test: list[Session]) -> tuple[float, float]:
    """Of a hundred parts of attention, those on the last items of the three interests, one of which
    is the cause of the next item, in the block that has most; and if all items were alike."""
    on, even = [], []
    for weights, session in zip(looks, test, strict=True):
        closed = set(session.causes[:-1])
        ends = [step for step in range(len(session.items) - 1) if step not in closed]
        on.append(weights[:, ends].sum(1))
        even.append(len(ends) / weights.shape[1])
    return 100 * float(np.mean(on, 0).max()), 100 * float(np.mean(even))


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="a MovieLens file u.data")


def run(args: argparse.Namespace) -> Iterator[Result]:
    steps, count, tests = (4, 200, 40) if args.quick else (2500, 30_000, 1000)
    if args.data:
        every, items = sessions.movielens(args.data, STEPS)
        if len(every) < 10:
            raise DataError(f"{args.data}: expected at least 10 sessions, got {len(every)}")
        np.random.default_rng(args.seed).shuffle(every)
        tests = min(tests, len(every) // 5)
    else:
        every, items = sessions.generate(count + tests, args.seed, STEPS), sessions.ITEMS
    test, data = every[:tests], every[tests:]
    model = Recommender(items)
    train(model, data, steps, args.seed)
    best, looks = ranked(model, test)
    popular, after_last = baselines(data, test)
    shown = "attention of block 1 and 2 before the next item"
    labels = [str(i) for i in test[0].items[:-1]]
    attention_figure(looks[0], labels, ["block 1", "block 2"], shown).savefig(
        args.out / "recommend.png"
    )
    if args.data:
        found = "causes are not known"
    else:
        share, even = causes(looks, test)
        found = f"weight on the last items of the interests {share:.0f} % (evenly {even:.0f} %)"
    yield Result(
        "recommendation",
        "next item among ten (hit@10)",
        f"popular {popular:.1f} %, after the last item {after_last:.1f} %",
        f"{hit(best, test):.1f} %",
        found,
    )


if __name__ == "__main__":
    program(run, __doc__, options)
