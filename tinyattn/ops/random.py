"""Random numbers, all from a counter-based generator (Philox): seed it with `manual_seed`.

The same seed gives the same numbers in every backend and for any number of threads. Look at
Generator first; the functions draw from `default_generator` unless `generator` names another.
"""

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self, overload
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd.devices import CPU, Device, check_device
from tinyattn.autograd.devices import device as device_class
from tinyattn.autograd.dtypes import DType, as_dtype, check_range, float32, int64
from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import check_broadcast
from tinyattn.autograd.storage import Tensor, TensorBase, requires_grad_, results
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array, Source, Stream
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.recording import step
from tinyattn.ops._arguments import (
    Size,
    as_floats,
    as_int,
    as_number,
    as_size,
    as_tensor,
    given,
)
from tinyattn.ops._in_place import check_in_place, rebind
from tinyattn.ops.in_place import Fill
from tinyattn.ops.parts import Part, Places, local

_generators: "WeakValueDictionary[int, Generator]" = WeakValueDictionary()


class Generator:
    """A source of random numbers with a state of its own; equal seeds give equal numbers. A new one
    has always the same seed.

    >>> g = ta.Generator().manual_seed(0)
    >>> first = ta.rand(3, generator=g)
    >>> bool((ta.rand(3, generator=g.manual_seed(0)) == first).all())
    True
    """

    def __init__(self, device: Device = "cpu") -> None:
        check_device(device)
        self.bits = np.random.Philox(67280421310721)  # PyTorch's seed of a new generator
        self.numbers = np.random.Generator(self.bits)
        self.ahead = np.random.Philox(0)  # makes the block at which `bits` goes on
        self._seed = 67280421310721
        _generators[id(self)] = self

    @property
    def device(self) -> device_class:
        """The device of the numbers, "cpu"."""
        return CPU

    def manual_seed(self, seed: int) -> Self:
        """Start again from a seed; returns the generator."""
        if not isinstance(seed, (int, float, np.number)) or isinstance(seed, bool):
            raise TypeError(f"seed: expected an int, got {type(seed).__name__}")
        self._seed = int(seed) % 2**64
        self.bits.state = np.random.Philox(self._seed).state
        return self

    def seed(self) -> int:
        """Start again from a seed that the operating system draws, and return that seed."""
        return self.manual_seed(
            int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        ).initial_seed()

    def initial_seed(self) -> int:
        """The seed that the numbers started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """The state, an int64 tensor (13,)."""
        state = self.bits.state
        rest = [state["buffer_pos"], state["has_uint32"], state["uinteger"]]
        words = [state["state"]["counter"], state["state"]["key"], state["buffer"]]
        return results.wrap(np.concatenate([*words, np.array(rest, np.uint64)]).view(np.int64))

    def set_state(self, new_state: Tensor) -> Self:
        """Continue from a state that `get_state` returned; returns the generator."""
        words = as_tensor(new_state, "state")._array
        if words.shape != (13,) or words.dtype != np.int64:
            raise RuntimeError(
                f"state: expected an int64 tensor of shape [13], got {words.dtype} "
                f"{list(words.shape)}"
            )
        words = words.view(np.uint64)
        self.bits.state = {
            "bit_generator": "Philox",
            "state": {"counter": words[:4], "key": words[4:6]},
            "buffer": words[6:10],
            "buffer_pos": int(words[10]),
            "has_uint32": int(words[11]),
            "uinteger": int(words[12]),
        }
        return self


default_generator = Generator()
default_generator.seed()


class _Forking:
    """A fork waits until no thread draws: otherwise the child could get a lock that no thread
    releases, and would wait for it for ever."""

    held: Sequence[Generator] = ()

    def begin(self) -> None:
        held = [x for x in [ref() for ref in _generators.valuerefs()] if x is not None]
        for source in held:
            source.bits.lock.acquire()
        self.held = held

    def end(self) -> None:
        for source in self.held:
            source.bits.lock.release()


if hasattr(os, "register_at_fork"):
    _forking = _Forking()
    os.register_at_fork(
        before=_forking.begin, after_in_parent=_forking.end, after_in_child=_forking.end
    )
generator = default_generator.numbers
_FEW = 4096  # numbers, up to which NumPy makes them in less time than the call of a kernel takes
_FEW_NORMAL = 512
_WORD = np.dtype("<u8")


def _whole(words: Array) -> int:
    """A number of many bits, of its words of 64 bits, the lowest first."""
    return int.from_bytes(words.astype(_WORD, copy=False).tobytes(), "little")


def _taken(source: Generator, halves: int, pairs: bool = False) -> Stream:
    """Where the generator stands, in numbers of 32 bits; it moves on by `halves` of them, at least
    1. `pairs`: they are used two by two, as words, and a half that was left over stays so."""
    bits = source.bits
    with bits.lock:
        state = bits.state
        numbers: Any = state["state"]
        has_left = state["has_uint32"] and not pairs
        left = state["uinteger"] if has_left else None
        counter, key = _whole(numbers["counter"]), _whole(numbers["key"])
        stream = Stream(key, counter, 2 * state["buffer_pos"], left)
        halves -= has_left
        # The words of a block are used up before the next block is made.
        blocks, last = divmod(state["buffer_pos"] + (halves + 1) // 2 - 1, 4)
        if blocks:
            before = ((counter + blocks - 1) % 2**256).to_bytes(32, "little")
            numbers["counter"] = np.frombuffer(before, _WORD)
            state["buffer_pos"] = 4
            source.ahead.state = state
            source.ahead.random_raw(output=False)
            state = source.ahead.state
        state["buffer_pos"] = last + 1
        if not pairs:
            state["has_uint32"] = halves % 2
            if halves % 2:
                state["uinteger"] = int(state["buffer"][last]) >> 32
        bits.state = state
    return stream


def _uniform(source: Generator | None, size: tuple[int, ...], dtype: DType) -> Array:
    """Numbers from [0, 1), the next ones of the generator."""
    return step("uniform", _filled, source, size, dtype)


def _filled(source: Generator | None, size: tuple[int, ...], dtype: DType) -> Array:
    numbers = _numbers(source)
    if math.prod(size) <= _FEW:
        return np.asarray(numbers.random(size, dtype.type))
    out = empty(size, dtype)
    wide = dtype.itemsize == 8
    backend().uniform([out], _taken(source or default_generator, out.size << wide, wide))
    return out


def _normal(source: Generator | None, size: tuple[int, ...], dtype: DType) -> Array:
    """Normal numbers, the next ones of the generator."""
    return step("normal", _filled_normally, source, size, dtype)


def _filled_normally(source: Generator | None, size: tuple[int, ...], dtype: DType) -> Array:
    numbers = _numbers(source)
    if math.prod(size) <= _FEW_NORMAL:
        return np.asarray(numbers.standard_normal(size, dtype.type))
    out, bits = empty(size, dtype), (source or default_generator).bits
    with bits.lock:
        bits.state = backend().normals([out], Source.of(bits.state)).state()
    return out


def _numbers(generator: Generator | None) -> np.random.Generator:
    """The source that an argument `generator` names."""
    if generator is None:
        return default_generator.numbers
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: expected a Generator, got {type(generator).__name__}")
    return generator.numbers


def manual_seed(seed: int) -> Generator:
    """Start the generator again from a seed: equal seeds give equal numbers. Returns it.

    >>> _ = ta.manual_seed(0)
    >>> first = ta.rand(3)
    >>> _ = ta.manual_seed(0)
    >>> (ta.rand(3) == first).tolist()
    [True, True, True]
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed that the numbers started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The generator's state, an int64 tensor (13,)."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the generator into a state that `get_rng_state` returned."""
    default_generator.set_state(new_state)


def _made(array: Array, dtype: DType, device: Device, requires_grad: bool) -> Tensor:
    if device is not None:
        check_device(device)
    made = results.wrap(array if array.dtype is dtype else array.astype(dtype))
    return requires_grad_(made) if requires_grad else made


def _drawn(draw: Callable[..., Array], size: tuple[int, ...], dtype: DType) -> Array:
    """draw(size) in a float dtype."""
    if dtype.kind != "f":
        raise RuntimeError(f"dtype: expected float32 or float64, got {dtype}")
    if size and min(size) < 0:
        raise RuntimeError(f"size: expected no negative dimension, got {list(size)}")
    return np.asarray(draw(size, dtype))


def rand(
    *sizes: Size,
    size: Sequence[int] | None = None,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, uniform on [0, 1); float32 unless dtype says otherwise.

    >>> ta.rand(2, 3).shape
    (2, 3)
    """
    wanted = as_dtype(dtype or float32)
    drawn = _drawn(partial(_uniform, generator), as_size(given(sizes, size)), wanted)
    return _made(drawn, wanted, device, requires_grad)


def randn(
    *sizes: Size,
    size: Sequence[int] | None = None,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, normal with mean 0 and variance 1; float32 unless dtype says otherwise.

    >>> ta.randn(2, 3, dtype="float64").dtype
    dtype('float64')
    """
    wanted = as_dtype(dtype or float32)
    drawn = _drawn(partial(_normal, generator), as_size(given(sizes, size)), wanted)
    return _made(drawn, wanted, device, requires_grad)


def rand_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, uniform on [0, 1), in the shape and, by default, the dtype of input."""
    array = as_tensor(input, "input")._array
    return rand(array.shape, dtype=dtype or array.dtype, device=device, requires_grad=requires_grad)


def randn_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, normal with mean 0 and variance 1, in the shape and, by default, the dtype
    of input."""
    array = as_tensor(input, "input")._array
    return randn(
        array.shape, dtype=dtype or array.dtype, device=device, requires_grad=requires_grad
    )


@overload
def randint(
    high: int,
    size: Sequence[int],
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor: ...


@overload
def randint(
    low: int,
    high: int,
    size: Sequence[int],
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor: ...


def randint(  # type: ignore[misc]  # the first argument has one of two names
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers from low to high - 1, all equally likely; `randint(high, size)` starts at 0.
    int64 unless dtype says otherwise; RuntimeError if a bound is outside the range of the dtype.

    >>> _ = ta.manual_seed(0)
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
    drawn = _numbers(generator).integers(low, high, as_size((size,)))
    return _made(drawn, wanted, device, requires_grad)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers from low to high - 1, or from 0 to low - 1 without high, in the shape and,
    by default, the dtype of input."""
    array = as_tensor(input, "input")._array
    bounds = (0, low) if high is None else (low, high)
    wanted = dtype or array.dtype
    return randint(*bounds, array.shape, dtype=wanted, device=device, requires_grad=requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers from 0 to n-1 in random order; int64 unless dtype says otherwise."""
    n, wanted = as_int(n, "n"), as_dtype(dtype or int64)
    if n < 0:
        raise RuntimeError(f"n: expected a number >= 0, got {n}")
    return _made(_numbers(generator).permutation(n), wanted, device, requires_grad)


def uniform_(
    input: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Write random numbers into input, uniform on [a, b)."""
    a, b = as_number(a, "a"), as_number(b, "b")
    if not a <= b:
        raise RuntimeError(f"b: expected at least a = {a}, got {b}")
    check_in_place("uniform_", input)
    array = input._array
    drawn = _drawn(partial(_uniform, generator), array.shape, array.dtype)
    return rebind("uniform_", input, Fill.apply(input, results.wrap(drawn * (b - a) + a)))


def normal_(
    input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Write random numbers into input, normal with that mean and standard deviation."""
    mean, std = as_number(mean, "mean"), as_number(std, "std")
    if not std >= 0:
        raise RuntimeError(f"std: expected a number >= 0, got {std}")
    check_in_place("normal_", input)
    array = input._array
    drawn = _drawn(partial(_normal, generator), array.shape, array.dtype)
    return rebind("normal_", input, Fill.apply(input, results.wrap(drawn * std + mean)))


def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """1 with the probability that input holds at that place, else 0, in the dtype of input.

    p: one probability for all places; input then only gives shape and dtype. RuntimeError for a
    probability outside [0, 1].

    >>> ta.bernoulli(ta.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    array = as_tensor(input, "input")._array
    if p is None:
        chances: Any = as_floats(input, "input", "bernoulli")._array
    else:
        chances = as_number(p, "p")
    if not np.all((chances >= 0) & (chances <= 1)):
        raise RuntimeError("bernoulli: expected all probabilities in [0, 1]")
    drawn = _uniform(generator, array.shape, np.dtype(np.float64))
    return results.wrap((drawn < chances).astype(array.dtype))


def bernoulli_(
    input: Tensor, p: float | Tensor = 0.5, *, generator: Generator | None = None
) -> Tensor:
    """Write 1 with probability p, else 0, into each element of input."""
    check_in_place("bernoulli_", input)
    array = input._array
    chances = p._array if isinstance(p, TensorBase) else as_number(p, "p")
    if not np.all((chances >= 0) & (chances <= 1)):
        raise RuntimeError("bernoulli_: p: expected probabilities in [0, 1]")
    drawn = _uniform(generator, array.shape, np.dtype(np.float64)) < chances
    return rebind("bernoulli_", input, Fill.apply(input, results.wrap(drawn)))


def exponential_(
    input: Tensor, lambd: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Write random numbers into input, exponential with rate lambd, that is with mean 1/lambd."""
    if not as_number(lambd, "lambd") > 0:
        raise RuntimeError(f"lambd: expected a number > 0, got {lambd}")
    check_in_place("exponential_", input)
    array = input._array
    drawn = _drawn(_numbers(generator).standard_exponential, array.shape, array.dtype)
    return rebind("exponential_", input, Fill.apply(input, results.wrap(drawn / lambd)))


def random_(
    input: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Write random integers from low to high - 1 into input; `random_(high)` starts at 0.

    Without bounds they go up to the largest integer that the dtype holds exactly.
    """
    array = as_tensor(input, "input")._array
    if high is None and low == 0:
        largest = {"f": 2 ** (np.finfo(array.dtype).nmant + 1) if array.dtype.kind == "f" else 0}
        high = largest.get(array.dtype.kind) or (
            1 if array.dtype == bool else int(np.iinfo(array.dtype).max)
        )
        high += array.dtype.kind in "fb"
    elif high is None:
        low, high = 0, low
    drawn = randint(low, high, array.shape, generator=generator, dtype=array.dtype)
    check_in_place("random_", input)
    return rebind("random_", input, Fill.apply(input, drawn))


def normal(
    mean: float | Tensor,
    std: float | Tensor = 1.0,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal random numbers with that mean and standard deviation, each a number or a tensor.

    size: the shape where both are numbers; else it is the shape of the tensors, broadcast.
    RuntimeError for a negative std.

    >>> ta.normal(0.0, ta.tensor([0.0, 0.0]))
    tensor([0., 0.])
    """
    tensors = [t for t in (mean, std) if isinstance(t, TensorBase)]
    if bool(tensors) == (size is not None):
        raise TypeError("size: expected it where mean and std are numbers, and only there")
    values = [
        as_floats(t, name, "normal")._array if isinstance(t, TensorBase) else as_number(t, name)
        for name, t in (("mean", mean), ("std", std))
    ]
    if np.any(np.asarray(values[1]) < 0):
        raise RuntimeError("normal: std: expected numbers >= 0")
    if tensors:
        check_broadcast(*map(np.shape, values))
        shape = np.broadcast_shapes(*map(np.shape, values))
        wanted = tensors[0]._array.dtype if dtype is None else as_dtype(dtype)
    else:
        shape, wanted = as_size((size,)), as_dtype(dtype or float32)
    drawn = _drawn(partial(_normal, generator), shape, wanted)
    return _made(drawn * values[1] + values[0], wanted, device, requires_grad)


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with the weights of input (V,) or (B, V): int64 (num_samples,) or (B,
    num_samples). The weights need not sum to 1.

    replacement: whether an index may be drawn again. Without it the numbers E / weight, E
    exponential, are sorted: the smallest belongs to each index with the right probability, and so
    does the next among the rest (Efraimidis and Spirakis 2006).

    RuntimeError for weights that are negative, not finite or all 0, and without replacement for
    fewer positive weights than num_samples.

    >>> ta.multinomial(ta.tensor([0.0, 2.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    weights = as_floats(input, "input", "multinomial")._array
    count = as_int(num_samples, "num_samples")
    if weights.ndim not in (1, 2):
        raise RuntimeError(
            f"multinomial: input: expected (V,) or (B, V), got {list(weights.shape)}"
        )
    if count < 1:
        raise RuntimeError(f"num_samples: expected at least 1, got {count}")
    rows = np.atleast_2d(weights).astype(np.float64)
    if not np.all((rows >= 0) & (rows < np.inf)):
        raise RuntimeError("multinomial: input: expected numbers that are finite and not negative")
    possible = int(np.count_nonzero(rows, axis=-1).min(initial=rows.shape[-1]))
    if rows.size == 0 or possible < (1 if replacement else count):
        raise RuntimeError(
            f"multinomial: {count} indices can't be drawn where {possible} weights are positive"
            + ("" if replacement or not possible else "; pass replacement=True")
        )
    numbers = _numbers(generator)
    if replacement:
        ends = np.cumsum(rows, axis=-1)
        thrown = numbers.random((len(rows), count)) * ends[:, -1:]
        found = [np.searchsorted(*pair, side="right") for pair in zip(ends, thrown, strict=True)]
        last = rows.shape[-1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=-1)  # where rounding ends
        drawn = np.minimum(found, last[:, None])
    else:
        with np.errstate(divide="ignore"):
            drawn = np.argsort(numbers.standard_exponential(rows.shape) / rows)[:, :count]
    return results.wrap(drawn.astype(np.int64).reshape(*weights.shape[:-1], count))


class Dropout(Function):
    """y = x m,  m = 1/(1-p) with probability 1-p, else 0, so that E[y] = x;   dx = dy m.

    m is not stored: backward draws the same numbers again.
    places: where the rows of x stand in a larger array, whose numbers are then all drawn.
    """

    fresh = True
    keeps_weights = True

    def forward(self, x: Array, p: float, places: Places | None = None) -> Array:
        self.kernels = backend()
        at, size = (None, x.size) if places is None else places
        # The numbers are float32, so the bound that they are compared with is one, too.
        factors = float(np.float32(p)), 1 / (1 - p) if p < 1 else 0.0
        stream = _taken(default_generator, size) if size else Stream(0, 0, 0)
        self.numbers = stream, *factors, at
        return self.kernels.dropout(x, *self.numbers)

    def backward(self, grad: Array) -> Array:
        return self.kernels.dropout(grad, *self.numbers)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to 0 with probability p and multiply the others by 1/(1-p), so that the
    mean stays. Returns input itself if training is False.

    ValueError if p is not a probability.
    (Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, JMLR 15)

    >>> _ = ta.manual_seed(0)
    >>> F.dropout(ta.ones(8), p=0.5)
    tensor([0., 0., 2., 0., 0., 0., 2., 0.])
    """
    if not 0 <= as_number(p, "p") <= 1:
        raise ValueError(f"p: expected a probability between 0 and 1, got {p}")
    as_tensor(input, "input")
    if not training or p == 0:
        return input
    as_floats(input, "input", "dropout")
    places = local.part.of_tensor(input.shape) if local.part else None
    if inplace:
        check_in_place("dropout_", input)
        return rebind("dropout_", input, Dropout.apply(input, p, places))
    return Dropout.apply(input, p, places)


def dropout_of(input: Tensor, p: float, places: Callable[[Part], Places]) -> Tensor:
    """dropout(input, p) of a tensor that stands in another layout than a program's tensors: in a
    part of a batch, `places` says where its rows stand in the whole."""
    if not p or local.part is None:
        return dropout(input, p)
    return Dropout.apply(input, p, places(local.part))
