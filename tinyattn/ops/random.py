"""Random numbers, all from one counter-based generator (Philox): seed it with `manual_seed`.

The same seed gives the same numbers in every backend and for any number of threads.
"""

from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import as_dtype, float32, int64
from tinyattn.autograd.function import Function, requires_grad_
from tinyattn.autograd.storage import Tensor, results
from tinyattn.ops._arguments import as_size, as_tensor
from tinyattn.ops._in_place import check_in_place, rebind
from tinyattn.ops.elementwise import Fill

_bits = np.random.Philox()
generator = np.random.Generator(_bits)


def manual_seed(seed: int) -> None:
    """Start the generator anew; equal seeds give equal numbers."""
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"seed: expected an int, got {type(seed).__name__}")
    _bits.state = np.random.Philox(int(seed) % 2**64).state


def get_rng_state() -> Any:
    """The generator's state, an int64 tensor (13,)."""
    state = _bits.state
    parts = [state["state"]["counter"], state["state"]["key"], state["buffer"]]
    rest = [state["buffer_pos"], state["has_uint32"], state["uinteger"]]
    words = np.concatenate([*parts, np.array(rest, np.uint64)])
    return results.wrap(words.view(np.int64))


def set_rng_state(state: Any) -> None:
    """Go on from a state that `get_rng_state` gave."""
    words = as_tensor(state, "state")._array
    if words.shape != (13,) or words.dtype != np.int64:
        raise RuntimeError(
            f"state: expected an int64 tensor of shape [13], got {words.dtype} {list(words.shape)}"
        )
    words = words.view(np.uint64)
    _bits.state = {
        "bit_generator": "Philox",
        "state": {"counter": words[:4], "key": words[4:6]},
        "buffer": words[6:10],
        "buffer_pos": int(words[10]),
        "has_uint32": int(words[11]),
        "uinteger": int(words[12]),
    }


def _made(array: Any, dtype: Any, requires_grad: bool) -> Any:
    made = results.wrap(np.asarray(array).astype(as_dtype(dtype), copy=False))
    return requires_grad_(made) if requires_grad else made


def _floats(draw: Any, size: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """draw(size) in a float dtype."""
    if dtype.kind != "f":
        raise RuntimeError(f"dtype: expected float32 or float64, got {dtype}")
    if any(n < 0 for n in size):
        raise RuntimeError(f"size: expected no negative dimension, got {list(size)}")
    return np.asarray(draw(size, dtype.type))


def rand(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Uniform on [0, 1)."""
    wanted = as_dtype(dtype or float32)
    return _made(_floats(generator.random, as_size(size), wanted), wanted, requires_grad)


def randn(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Normal, mean 0 and variance 1."""
    wanted = as_dtype(dtype or float32)
    return _made(_floats(generator.standard_normal, as_size(size), wanted), wanted, requires_grad)


def rand_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Uniform on [0, 1), in the shape and dtype of input."""
    array = as_tensor(input, "input")._array
    return rand(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


def randn_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """Normal, in the shape and dtype of input."""
    array = as_tensor(input, "input")._array
    return randn(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Integers in [low, high); `randint(high, size)` starts at 0. int64 unless told."""
    if isinstance(high, (tuple, list)):
        high, size = None, high
    if high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"size: expected a tuple of ints, got {type(size).__name__}")
    if not low < high:
        raise RuntimeError(f"high: expected more than low = {low}, got {high}")
    return _made(generator.integers(low, high, as_size((size,))), dtype or int64, requires_grad)


def randperm(n: int, *, dtype: Any = None) -> Any:
    """The numbers 0 to n-1 in random order."""
    if n < 0:
        raise RuntimeError(f"n: expected a number >= 0, got {n}")
    return _made(generator.permutation(n), dtype or int64, False)


def uniform_(input: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Fill with uniform numbers from [a, b)."""
    if not a <= b:
        raise RuntimeError(f"b: expected at least a = {a}, got {b}")
    check_in_place("uniform_", input)
    array = input._array
    drawn = _floats(generator.random, array.shape, array.dtype)
    return rebind("uniform_", input, Fill.apply(input, results.wrap(drawn * (b - a) + a)))


def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill with normal numbers."""
    if not std >= 0:
        raise RuntimeError(f"std: expected a number >= 0, got {std}")
    check_in_place("normal_", input)
    array = input._array
    drawn = _floats(generator.standard_normal, array.shape, array.dtype)
    return rebind("normal_", input, Fill.apply(input, results.wrap(drawn * std + mean)))


class Dropout(Function):
    """y = x m,  m = 1/(1-p) with probability 1-p, else 0, so that E[y] = x;   dx = dy m."""

    def forward(self, x: Any, p: float) -> Any:
        keep = generator.random(x.shape, np.float32) >= p
        mask = keep.astype(x.dtype) * x.dtype.type(1 / (1 - p) if p < 1 else 0)
        self.save(mask=mask)
        return x * mask

    def backward(self, grad: Any) -> Any:
        mask = self.saved["mask"]
        return grad * mask


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and scale the rest by 1/(1-p); nothing in evaluation.

    Srivastava et al. 2014."""
    if not 0 <= p <= 1:
        raise ValueError(f"p: expected a probability between 0 and 1, got {p}")
    dtype = as_tensor(input, "input")._array.dtype
    if not training or p == 0:
        return input
    if dtype.kind != "f":
        raise RuntimeError(f"dropout: input: expected float32 or float64, got {dtype}")
    if inplace:
        check_in_place("dropout_", input)
        return rebind("dropout_", input, Dropout.apply(input, p))
    return Dropout.apply(input, p)
