"""Random numbers, all from one counter-based generator (Philox): seed it with `manual_seed`.

The same seed gives the same numbers in every backend and for any number of threads.
"""

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.dtypes import DType, as_dtype, check_range, float32, int64
from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor, requires_grad_, results
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import (
    Size,
    as_floats,
    as_int,
    as_number,
    as_size,
    as_tensor,
)
from tinyattn.ops._in_place import check_in_place, rebind
from tinyattn.ops.in_place import Fill

_bits = np.random.Philox()
generator = np.random.Generator(_bits)


def manual_seed(seed: int) -> None:
    """Start the generator again from a seed: equal seeds give equal numbers.

    >>> ta.manual_seed(0)
    >>> first = ta.rand(3)
    >>> ta.manual_seed(0)
    >>> (ta.rand(3) == first).tolist()
    [True, True, True]
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"seed: expected an int, got {type(seed).__name__}")
    _bits.state = np.random.Philox(int(seed) % 2**64).state


def get_rng_state() -> Tensor:
    """The generator's state, an int64 tensor (13,)."""
    state = _bits.state
    rest = [state["buffer_pos"], state["has_uint32"], state["uinteger"]]
    words = [state["state"]["counter"], state["state"]["key"], state["buffer"]]
    return results.wrap(np.concatenate([*words, np.array(rest, np.uint64)]).view(np.int64))


def set_rng_state(state: Tensor) -> None:
    """Put the generator into a state that `get_rng_state` returned."""
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


def _made(array: Array, dtype: DType, requires_grad: bool) -> Tensor:
    made = results.wrap(np.asarray(array).astype(dtype, copy=False))
    return requires_grad_(made) if requires_grad else made


def _drawn(draw: Callable[..., Array], size: tuple[int, ...], dtype: DType) -> Array:
    """draw(size) in a float dtype."""
    if dtype.kind != "f":
        raise RuntimeError(f"dtype: expected float32 or float64, got {dtype}")
    if any(n < 0 for n in size):
        raise RuntimeError(f"size: expected no negative dimension, got {list(size)}")
    return np.asarray(draw(size, dtype.type))


def rand(*size: Size, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Random numbers, uniform on [0, 1); float32 unless dtype says otherwise.

    >>> ta.rand(2, 3).shape
    (2, 3)
    """
    wanted = as_dtype(dtype or float32)
    return _made(_drawn(generator.random, as_size(size), wanted), wanted, requires_grad)


def randn(*size: Size, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Random numbers, normal with mean 0 and variance 1; float32 unless dtype says otherwise.

    >>> ta.randn(2, 3, dtype="float64").dtype
    dtype('float64')
    """
    wanted = as_dtype(dtype or float32)
    return _made(_drawn(generator.standard_normal, as_size(size), wanted), wanted, requires_grad)


def rand_like(
    input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Random numbers, uniform on [0, 1), in the shape and, by default, the dtype of input."""
    array = as_tensor(input, "input")._array
    return rand(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


def randn_like(
    input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Random numbers, normal with mean 0 and variance 1, in the shape and, by default, the dtype
    of input."""
    array = as_tensor(input, "input")._array
    return randn(array.shape, dtype=dtype or array.dtype, requires_grad=requires_grad)


@overload
def randint(
    high: int,
    size: Sequence[int],
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor: ...


@overload
def randint(
    low: int,
    high: int,
    size: Sequence[int],
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor: ...


def randint(  # type: ignore[misc]  # the first argument has one of two names
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers from low to high - 1, all equally likely; `randint(high, size)` starts at 0.
    int64 unless dtype says otherwise; RuntimeError if a bound is outside the range of the dtype.

    >>> ta.manual_seed(0)
    >>> x = ta.randint(1, 7, (100,))  # throws of a die
    >>> x.min().item(), x.max().item()
    (1, 6)
    """
    if isinstance(high, (tuple, list)):
        high, size = None, high
    if high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"size: expected a tuple of ints, got {type(size).__name__}")
    low, high, wanted = as_int(low, "low"), as_int(high, "high"), as_dtype(dtype or int64)
    if not low < high:
        raise RuntimeError(f"high: expected more than low = {low}, got {high}")
    for name, bound in (("low", low), ("high - 1", high - 1)):
        check_range(bound, int64 if wanted.kind == "f" else wanted, name)
        if wanted.kind == "b" and bound not in (0, 1):
            raise RuntimeError(f"{name}: expected 0 or 1 for bool, got {bound}")
    return _made(generator.integers(low, high, as_size((size,))), wanted, requires_grad)


def randperm(n: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """The integers from 0 to n-1 in random order; int64 unless dtype says otherwise."""
    n, wanted = as_int(n, "n"), as_dtype(dtype or int64)
    if n < 0:
        raise RuntimeError(f"n: expected a number >= 0, got {n}")
    return _made(generator.permutation(n), wanted, False)


def uniform_(input: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Write random numbers into input, uniform on [a, b)."""
    a, b = as_number(a, "a"), as_number(b, "b")
    if not a <= b:
        raise RuntimeError(f"b: expected at least a = {a}, got {b}")
    check_in_place("uniform_", input)
    array = input._array
    drawn = _drawn(generator.random, array.shape, array.dtype)
    return rebind("uniform_", input, Fill.apply(input, results.wrap(drawn * (b - a) + a)))


def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Write random numbers into input, normal with that mean and standard deviation."""
    mean, std = as_number(mean, "mean"), as_number(std, "std")
    if not std >= 0:
        raise RuntimeError(f"std: expected a number >= 0, got {std}")
    check_in_place("normal_", input)
    array = input._array
    drawn = _drawn(generator.standard_normal, array.shape, array.dtype)
    return rebind("normal_", input, Fill.apply(input, results.wrap(drawn * std + mean)))


class Dropout(Function):
    """y = x m,  m = 1/(1-p) with probability 1-p, else 0, so that E[y] = x;   dx = dy m."""

    keeps_weights = True

    def forward(self, x: Array, p: float) -> Array:
        keep = generator.random(x.shape, np.float32) >= p
        mask = keep.astype(x.dtype) * x.dtype.type(1 / (1 - p) if p < 1 else 0)
        self.save(mask=mask)
        return x * mask

    def backward(self, grad: Array) -> Array:
        return grad * self.saved["mask"]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to 0 with probability p and multiply the others by 1/(1-p), so that the
    mean stays. Returns input itself if training is False.

    ValueError if p is not a probability.
    (Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, JMLR 15)

    >>> ta.manual_seed(0)
    >>> F.dropout(ta.ones(8), p=0.5)
    tensor([0., 0., 2., 0., 0., 0., 2., 0.])
    """
    if not 0 <= as_number(p, "p") <= 1:
        raise ValueError(f"p: expected a probability between 0 and 1, got {p}")
    as_tensor(input, "input")
    if not training or p == 0:
        return input
    as_floats(input, "input", "dropout")
    if inplace:
        check_in_place("dropout_", input)
        return rebind("dropout_", input, Dropout.apply(input, p))
    return Dropout.apply(input, p)
