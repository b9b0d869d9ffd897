"""Choosing a model: k-fold cross-validation, grid search and random search, judged by accuracy and
F1 on data that no choice has seen.

    python examples/choose.py

The model is that of remedies.py, on 300 of scikit-learn's digits; what can be chosen are its width,
its dropout, its learning rate and its weight decay. Look first at `cross_validated`, which takes
any function that learns.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from remedies import Reader, patches_of
from uses import Result, need, program

import tinyattn as ta
import tinyattn.nn.functional as F

Choice = dict[str, Any]
Labels = NDArray[np.int64]
Predictor = Callable[[NDArray[Any]], Labels]
GRID = {"H": [16, 48], "dropout": [0.0, 0.3], "lr": [3e-4, 1e-3, 3e-3], "l2": [0.0]}


def learned(
    images: NDArray[np.float32], labels: Labels, choice: Choice, seed: int, steps: int
) -> Predictor:
    """Train a model with what was chosen: a function that says which digits are on images."""
    ta.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Reader(choice["H"], choice["dropout"])
    optimizer = ta.optim.Adam(model.parameters(), lr=choice["lr"], weight_decay=choice["l2"])
    for _ in range(steps):
        rows = rng.integers(0, len(images), 32)
        optimizer.zero_grad()
        F.cross_entropy(model(patches_of(images[rows])), ta.from_numpy(labels[rows])).backward()
        optimizer.step()
    model.eval()

    @ta.no_grad()
    def predict(images: NDArray[np.float32]) -> Labels:
        return model(patches_of(images)).argmax(-1).numpy()

    return predict


def measures(found: Labels, labels: Labels) -> tuple[float, float]:
    """Accuracy, and F1 = 2 hits / (2 hits + misses + false alarms), the mean over the classes."""
    scores = []
    for kind in np.unique(labels):
        hits = ((found == kind) & (labels == kind)).sum()
        wrong = ((found == kind) != (labels == kind)).sum()
        scores.append(2 * hits / (2 * hits + wrong))
    return float((found == labels).mean()), float(np.mean(scores))


def cross_validated(
    learn: Callable[[Any, Labels, Choice, int], Predictor],
    inputs: NDArray[Any],
    labels: Labels,
    choice: Choice,
    folds: int,
) -> tuple[float, float, float]:
    """Each part of the data is predicted by a model that learned from the other parts: accuracy,
    F1, and the spread of the accuracy from part to part.

    learn(inputs, labels, choice, seed) gives a function that predicts the labels of other inputs.
    """
    from sklearn.model_selection import KFold

    parts = KFold(folds, shuffle=True, random_state=0).split(inputs)
    found, each = np.zeros_like(labels), []
    for seed, (rest, part) in enumerate(parts):
        found[part] = learn(inputs[rest], labels[rest], choice, seed)(inputs[part])
        each.append((found[part] == labels[part]).mean())
    return *measures(found, labels), float(np.std(each))


def searches(count: int, seed: int) -> dict[str, list[Choice]]:
    """As many choices on a grid as drawn at random. The grid tries each learning rate again and
    again; chance tries a new one every time (Bergstra, Bengio 2012)."""
    from scipy.stats import loguniform, randint, uniform
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    ranges = {
        "H": randint(4, 13),  # times 4, the number of heads
        "dropout": uniform(0, 0.4),
        "lr": loguniform(1e-4, 1e-2),
        "l2": loguniform(1e-6, 1e-2),
    }
    drawn = list(ParameterSampler(ranges, count, random_state=seed))
    drawn = [{**choice, "H": 4 * choice["H"]} for choice in drawn]
    return {"grid": list(ParameterGrid(GRID))[:count], "random": drawn}


def run(args: argparse.Namespace) -> Iterator[Result]:
    need("scikit-learn", "sklearn")
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits

    steps, folds, count = (3, 2, 2) if args.quick else (120, 4, 12)
    data = load_digits()
    order = np.random.default_rng(args.seed).permutation(len(data.target))
    images, labels = (data.images[order] / 16).astype(np.float32), data.target[order]
    learn = partial(learned, steps=steps)
    figure = Figure(figsize=(7, 4), dpi=120)
    axes = figure.add_subplot()
    tests: dict[str, tuple[float, float]] = {}
    print("| search | H | dropout | lr | L2 | accuracy | F1 |\n|---|---:|---:|---:|---:|---:|---:|")
    for (name, choices), sign in zip(searches(count, args.seed).items(), "so", strict=True):
        scores = []
        for c in choices:
            right, f1, spread = cross_validated(learn, images[:300], labels[:300], c, folds)
            scores.append(right)
            print(
                f"| {name} | {c['H']} | {c['dropout']:.2f} | {c['lr']:.1e} | {c['l2']:.0e} "
                f"| {100 * right:.1f} % (±{100 * spread:.1f}) | {f1:.3f} |"
            )
        best = choices[int(np.argmax(scores))]
        predict = learn(images[:300], labels[:300], best, args.seed)
        tests[name] = measures(predict(images[300:]), labels[300:])
        rates = [c["lr"] for c in choices]
        axes.scatter(rates, np.multiply(scores, 100), marker=sign, alpha=0.7, label=name)
    axes.set(xscale="log", xlabel="learning rate", ylabel=f"right of {folds} folds, in percent")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(args.out / "choose.png")
    yield Result(
        "choosing a model",
        "right of 1,497 digits that no choice has seen",
        f"grid {100 * tests['grid'][0]:.1f} % (F1 {tests['grid'][1]:.3f})",
        f"random search {100 * tests['random'][0]:.1f} % (F1 {tests['random'][1]:.3f})",
        "-",
    )


if __name__ == "__main__":
    program(run, __doc__)
