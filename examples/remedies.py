"""Overfitting and its remedies, side by side. A model memorises 300 digits, even those with a wrong
label, and does worse on other digits than it could. What does each remedy gain?

    python examples/remedies.py

The data are scikit-learn's 1,797 handwritten digits (8 x 8 points): 300 to learn from, of which
three in ten have a wrong label, 500 to test, and the rest without labels. Look first at `Reader`,
then at `REMEDIES`. Letters: B pictures, P patches, H hidden.
"""

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from uses import Result, need, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F

Images = NDArray[np.float32]  # (B, 8, 8), from 0 to 1
Labels = NDArray[np.int64]


class Data(NamedTuple):
    images: Images
    labels: Labels
    unlabelled: Images
    test_images: Images
    test_labels: Labels


class Reader(nn.Module):
    """A digit is 16 patches of 2 x 2 points. The patches look at each other; a weight for each says
    how much it counts; a linear map decides."""

    def __init__(self, H: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.patch = nn.Linear(4, H)
        self.place = nn.Parameter(ta.randn(16, H) * 0.3)
        self.norm1, self.norm2 = nn.LayerNorm(H), nn.LayerNorm(H)
        self.attention = nn.MultiheadAttention(H, 4, dropout=dropout, batch_first=True)
        self.change = nn.Sequential(
            nn.Linear(H, 2 * H), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * H, H)
        )
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Linear(H, 1)
        self.out, self.fill = nn.Linear(H, 10), nn.Linear(H, 4)

    def states(self, patches: ta.Tensor) -> ta.Tensor:
        """patches (B, P, 4) to (B, P, H)."""
        x = self.patch(patches) + self.place
        y = self.norm1(x)
        x = x + self.dropout(self.attention(y, y, y, need_weights=False)[0])
        return x + self.dropout(self.change(self.norm2(x)))

    def forward(self, patches: ta.Tensor) -> ta.Tensor:
        """patches (B, P, 4): the scores (B, 10)."""
        states = self.states(patches)
        weights = self.weight(states).softmax(1)
        return self.out(self.dropout((weights * states).sum(1)))


def patches_of(images: Images) -> ta.Tensor:
    """(B, 16, 4): the patches of 2 x 2 points, row by row."""
    parts = images.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4)
    return ta.tensor(parts.reshape(-1, 16, 4))


def shifted(images: Images, rng: np.random.Generator) -> Images:
    """Each picture moved by up to one point in each direction: it stays the same digit."""
    rows, columns = rng.integers(0, 3, (2, len(images)))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    pairs = zip(padded, rows, columns, strict=True)
    return np.stack([image[r : r + 8, c : c + 8] for image, r, c in pairs])


def pretrain(model: Reader, images: Images, rng: np.random.Generator, steps: int) -> None:
    """Fill in hidden patches, as Devlin et al. 2018 (arXiv:1810.04805) did hidden words."""
    optimizer = ta.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        patches = patches_of(images[rng.integers(0, len(images), 64)])
        hidden = ta.from_numpy(rng.random((64, 16, 1)) < 0.3)
        found = model.fill(model.states(patches.masked_fill(hidden, -1.0)))
        optimizer.zero_grad()
        (((found - patches) * hidden).square().sum() / hidden.sum()).backward()
        optimizer.step()


def accuracy(model: Reader, images: Images, labels: Labels) -> float:
    model.eval()
    with ta.no_grad():
        found = model(patches_of(images)).argmax(-1).numpy()
    model.train()
    return 100 * float((found == labels).mean())


def learn(
    data: Data,
    seed: int,
    steps: int,
    l1: float = 0.0,
    l2: float = 0.0,
    dropout: float = 0.0,
    stops_early: bool = False,
    augments: bool = False,
    pretrains: bool = False,
) -> tuple[float, float]:
    """Train once; the accuracy on the pictures learned from, and on the test."""
    ta.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Reader(dropout=dropout)
    if pretrains:
        pretrain(model, data.unlabelled, rng, steps)
    images, labels = data.images, data.labels
    held = len(images) // 5 if stops_early else 0  # what is held back says when to stop
    best, kept = -1.0, dict(model.state_dict())
    optimizer = ta.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=l2)
    for step in range(1, steps + 1):
        chosen = rng.integers(held, len(images), 32)
        batch = shifted(images[chosen], rng) if augments else images[chosen]
        loss = F.cross_entropy(model(patches_of(batch)), ta.from_numpy(labels[chosen]))
        if l1:
            loss = loss + l1 * sum((w.abs().sum() for w in model.parameters()), ta.tensor(0.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (
            held
            and step % 10 == 0
            and (right := accuracy(model, images[:held], labels[:held])) > best
        ):
            best, kept = right, {name: w.clone() for name, w in model.state_dict().items()}
    if held:
        model.load_state_dict(kept)
    return accuracy(model, images, labels), accuracy(model, data.test_images, data.test_labels)


REMEDIES: dict[str, dict[str, Any]] = {
    "none": {},
    "L1: 5e-4 times the absolute weights": {"l1": 5e-4},
    "L2: weight decay 3 (AdamW)": {"l2": 3.0},
    "dropout 0.5": {"dropout": 0.5},
    "early stopping": {"stops_early": True},
    "augmentation: moved by a point": {"augments": True},
    "pretrained without labels": {"pretrains": True},
    "augmentation and early stopping": {"augments": True, "stops_early": True},
}


def digits(seed: int) -> Data:
    """The parts of the data; of the labels to learn from, three in ten are wrong."""
    need("scikit-learn", "sklearn")
    from sklearn.datasets import load_digits

    found, rng = load_digits(), np.random.default_rng(seed)
    order = rng.permutation(len(found.target))
    images, labels = (found.images[order] / 16).astype(np.float32), found.target[order]
    given = np.where(rng.random(300) < 0.3, labels[:300] + rng.integers(1, 10, 300), labels[:300])
    return Data(images[:300], given % 10, images[800:], images[300:800], labels[300:800])


def run(args: argparse.Namespace) -> Iterator[Result]:
    from matplotlib.figure import Figure

    steps, seeds = (4, 2) if args.quick else (800, 5)
    found: dict[str, NDArray[np.float64]] = {}
    print("| remedy | of its labels learned | right of 500 others | gain |\n|---|---:|---:|---:|")
    for name, remedy in REMEDIES.items():
        runs = [learn(digits(args.seed + s), args.seed + s, steps, **remedy) for s in range(seeds)]
        found[name] = np.array(runs)
        (known, new), spread = found[name].mean(0), found[name][:, 1].std()
        gain = new - found["none"][:, 1].mean()
        print(f"| {name} | {known:.1f} % | {new:.1f} % (±{spread:.1f}) | {gain:+.1f} |")
    figure = Figure(figsize=(7, 4), dpi=120)
    axes = figure.add_subplot()
    means, spreads = ([f(scores[:, 1]) for scores in found.values()] for f in (np.mean, np.std))
    axes.barh(list(found), means, xerr=spreads, color="0.6")
    axes.invert_yaxis()
    axes.set(xlim=(min(means) - 5, 100), xlabel="right of 500 digits never seen, in percent")
    figure.tight_layout()
    figure.savefig(args.out / "remedies.png")
    yield Result(
        "remedies of overfitting",
        "right of 500 digits, 300 learned from with 3 in 10 labels wrong",
        f"no remedy {means[0]:.1f} %",
        f"{list(found)[-1]} {means[-1]:.1f} %",
        "-",
    )


if __name__ == "__main__":
    program(run, __doc__)
