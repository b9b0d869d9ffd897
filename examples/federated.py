"""Federated averaging (McMahan et al. 2017, arXiv:1602.05629): sites keep their data to themselves,
and only weights travel.

    mpiexec -n 5 python examples/federated.py

Each process is a site with handwritten digits of its own (scikit-learn's, 8 x 8), nine in ten of
them of a few kinds. In every round each site learns from its digits for a while, and then all take
the mean of their weights. Printed is the share of test digits that are recognised: by a model of
one site alone, by the mean, and by a model that has had the digits of all sites in one place.

The digits stay where they are, but weights are made from them and tell something of them.
"""

import sys

import numpy as np
from numpy.typing import NDArray

import tinyattn as ta
from tinyattn import nn, parallel


def main() -> None:
    site, sites = parallel.get_rank(), parallel.get_world_size()
    if sites == 1:
        sys.exit("federated.py: expected several sites: mpiexec -n 5 python examples/federated.py")
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        parallel.abort("federated.py: needs scikit-learn: pip install scikit-learn", 2)
    pictures, labels = load_digits(return_X_y=True)
    x, y = ta.tensor(pictures / 16, dtype=ta.float32), ta.tensor(labels)  # (N, 64) and (N,)
    test, rest = np.split(np.random.default_rng(0).permutation(len(labels)), [400])
    mixed, kinds = np.split(rest, [len(rest) // 10])
    kinds = kinds[labels[kinds].argsort(kind="stable")]  # sorted, so that a block has few kinds
    own = np.concatenate([np.array_split(mixed, sites)[site], np.array_split(kinds, sites)[site]])

    def new_model() -> nn.Module:
        ta.manual_seed(0)  # the first weights are the same at every site
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def learn(model: nn.Module, known: NDArray[np.int64]) -> None:
        optimizer = ta.optim.SGD(model.parameters(), lr=0.2)
        for _ in range(20):
            chosen = known[ta.randint(len(known), (32,)).numpy()]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()

    def accuracy(model: nn.Module) -> float:
        return (model(x[test]).argmax(1) == y[test]).float().mean().item()

    alone, averaged, together = new_model(), new_model(), new_model()
    share = parallel.share(len(own)) / sites
    for _ in range(30):
        learn(alone, own)
        learn(averaged, own)
        for parameter in averaged.parameters():
            weight = parameter.detach()  # the same memory, outside the graph
            weight.mul_(share)
            parallel.all_reduce(weight)
        if site == 0:
            learn(together, rest)
    rights = parallel.all_gather_object(accuracy(alone))
    if site == 0:
        for number, right in enumerate(rights):
            print(f"site {number} alone:       {right:.1%}")
        print(f"weights averaged:   {accuracy(averaged):.1%}")
        print(f"data in one place:  {accuracy(together):.1%}")


if __name__ == "__main__":
    main()
