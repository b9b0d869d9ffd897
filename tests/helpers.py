"""What the tests of all folders share: random arrays, and tensors that need gradients."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import tinyattn as ta


def numbers(shape: tuple[int, ...], seed: int = 0, dtype: Any = "float64") -> np.ndarray:
    """Normal numbers; they depend on the shape and the seed only."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def integers(shape: tuple[int, ...], seed: int = 0, dtype: Any = "float64") -> np.ndarray:
    """Integers from -4 to 4 in any dtype: their sums and products are exact."""
    return np.random.default_rng([seed, *shape]).integers(-4, 5, shape).astype(dtype)


def leaf(values: ArrayLike, dtype: Any = np.float64) -> ta.Tensor:
    """A tensor of these values that needs gradients."""
    return ta.tensor(np.asarray(values, dtype), requires_grad=True)


def functional(library: Any) -> Any:
    """The module nn.functional of tinyattn or of PyTorch."""
    return library.nn.functional
