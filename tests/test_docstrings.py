"""Every example in a docstring gives what it shows.

An example may use `ta`, `nn`, `F`, `optim` and `np`, and the names of its own module, without
importing them; random numbers start from `ta.manual_seed(0)`.
"""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import tinyattn as ta

NAMES = {"ta": ta, "nn": ta.nn, "F": ta.nn.functional, "optim": ta.optim, "np": np}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ta.__path__, "tinyattn.")
    if not module.name.startswith("tinyattn.kernels.") and not module.name.endswith("__main__")
)


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        module = importlib.import_module(name)
        for found in finder.find(module, name, extraglobs=NAMES):
            if found.examples:
                yield pytest.param(found, id=found.name.removeprefix("tinyattn."))


@pytest.mark.parametrize("example", list(examples()))
def test_the_example_gives_what_it_shows(example):
    ta.manual_seed(0)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not result.failed, "".join(said)
