"""Rounding to whole numbers: the values for few and for many elements, and gradients of 0."""

import math

import numpy as np
import pytest

import tinyattn as ta

PLAIN = {"floor": math.floor, "ceil": math.ceil, "trunc": math.trunc, "round": round}


@pytest.mark.parametrize("size", [6, 6000])
@pytest.mark.parametrize("name", PLAIN)
def test_the_whole_number_is_that_of_python(backend, name, size):
    x = np.resize(np.array([-2.5, -1.2, -0.0, 0.5, 1.5, 2.7]), size)
    y = getattr(ta, name)(ta.tensor(x))
    assert y.tolist() == [PLAIN[name](v) for v in x.tolist()]


@pytest.mark.parametrize("size", [6, 6000])
@pytest.mark.parametrize("name", PLAIN)
def test_the_gradient_is_0(backend, name, size):
    x = ta.arange(size, dtype=ta.float64, requires_grad=True)
    y = getattr(ta, name)(x)
    (dx,) = ta.autograd.grad(y.sum(), x)
    assert dx.tolist() == [0.0] * size
