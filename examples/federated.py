"""Federated averaging (McMahan et al. 2017, arXiv:1602.05629): sites keep their data to themselves,
and only weights travel.

    mpiexec -n 5 python examples/federated.py

Each process is a site with handwritten digits of its own (scikit-learn's, 8 x 8), most of them of a
few kinds. In every round each site learns from its digits for a while, and then all take the mean
of their weights. Printed is the share of test digits that are recognised: by a model of one site
alone, by the mean, and by a model that has had the digits of all sites in one place.

The digits stay where they are, but weights are made from them and tell something of them.
"""

import sys

import numpy as np
from numpy.typing import NDArray

import tinyattn as ta
from tinyattn import nn, parallel

Digits = tuple[ta.Tensor, ta.Tensor]  # (N, 64) pictures, (N,) what they show


def main(rounds: int, steps: int) -> None:
    """Learn alone, with averages, and together."""
    site, sites = parallel.get_rank(), parallel.get_world_size()
    own, whole, test = digits_of(site, sites)
    alone, federated, together = new_model(), new_model(), new_model()
    for _ in range(rounds):
        learn(alone, own, steps)
        learn(federated, own, steps)
        average(federated, parallel.share(len(own[0])) / sites)
        if site == 0:
            learn(together, whole, steps)
    rights = parallel.all_gather_object([accuracy(model, test) for model in (alone, federated)])
    if site == 0:
        for number, (right, _) in enumerate(rights):
            print(f"site {number} alone:       {right:.1%}")
        print(f"weights averaged:   {rights[0][1]:.1%}")
        print(f"data in one place:  {accuracy(together, test):.1%}")


def average(model: nn.Module, share: float) -> None:
    """Give a model the mean of the weights of all sites; each counts by its share of the data."""
    for parameter in model.parameters():
        weight = parameter.detach()  # the same memory, outside the graph
        weight.mul_(share)
        parallel.all_reduce(weight)


def learn(model: nn.Module, digits: Digits, steps: int) -> None:
    """Steps of gradient descent, each from 32 digits."""
    optimizer = ta.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(steps):
        chosen = ta.randint(len(digits[0]), (32,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(digits[0][chosen]), digits[1][chosen]).backward()
        optimizer.step()


def accuracy(model: nn.Module, digits: Digits) -> float:
    """The share of digits that a model recognises."""
    with ta.no_grad():
        return (model(digits[0]).argmax(1) == digits[1]).float().mean().item()


def new_model() -> nn.Module:
    """A model with its first weights, the same at every site."""
    ta.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def digits_of(site: int, sites: int) -> tuple[Digits, Digits, Digits]:
    """The digits of a site, those of all sites, and those to test with.

    Nine in ten digits of a site are of its own kinds: the digits, sorted, are dealt out in blocks.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        parallel.abort("federated.py: needs scikit-learn: pip install scikit-learn", 2)
    pictures, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    test, rest = order[:400], order[400:]
    mixed, kinds = rest[: len(rest) // 10], rest[len(rest) // 10 :]
    kinds = kinds[labels[kinds].argsort(kind="stable")]
    own = np.concatenate([np.array_split(mixed, sites)[site], np.array_split(kinds, sites)[site]])

    def digits(chosen: NDArray[np.int64]) -> Digits:
        return ta.tensor(pictures[chosen] / 16, dtype=ta.float32), ta.tensor(labels[chosen])

    return digits(own), digits(rest), digits(test)


if __name__ == "__main__":
    if parallel.get_world_size() == 1:
        sys.exit("federated.py: expected several sites: mpiexec -n 5 python examples/federated.py")
    main(rounds=30, steps=20)
