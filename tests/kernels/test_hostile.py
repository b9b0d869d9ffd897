"""Whatever a kernel is given, it answers with a right result or with an error that names the
argument, and no kernel writes outside its outputs.

A test takes a small call of a kernel, spoils one argument (`HOSTILE`) and looks at what comes back.
Outputs lie between guard bytes: see `Guards`.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tinyattn.kernels import (
    AdamOptions,
    AttentionOptions,
    Backend,
    SGDOptions,
    blocks,
    contract,
    table,
)
from tinyattn.kernels._types import Source

from . import calls, cases
from .cases import cast

SMALL = 40_000  # bytes of a call's arguments
SMALL_CALLS = {
    kernel: [c for c in calls.calls(kernel) if sum(x.nbytes for x in calls.arrays(c.args)) < SMALL]
    for kernel in calls.kernels()
}
KERNELS = [kernel for kernel, some in SMALL_CALLS.items() if some]
EXAMPLES = 40
MARGIN, MARK = 128, 0xA5


class Guards:
    """NumPy as the contract sees it, but every array it makes lies between marked bytes."""

    def __init__(self) -> None:
        self._made: list[tuple[np.ndarray, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = float) -> np.ndarray:
        size = np.empty(shape, dtype).nbytes
        raw = np.full(size + 2 * MARGIN, MARK, np.uint8)
        self._made.append((raw, size))
        return raw[MARGIN : MARGIN + size].view(dtype).reshape(shape)

    def zeros(self, shape: Any, dtype: Any = float) -> np.ndarray:
        out = self.empty(shape, dtype)
        out[...] = 0
        return out

    def check(self) -> None:
        for raw, size in self._made:
            assert (raw[:MARGIN] == MARK).all(), "a kernel wrote before its output"
            assert (raw[MARGIN + size :] == MARK).all(), "a kernel wrote behind its output"


@contextlib.contextmanager
def guarded() -> Iterator[Guards]:
    guards = Guards()
    with pytest.MonkeyPatch.context() as patch:
        for module in (contract, table):
            patch.setattr(module, "np", guards)
        for size in ("small", "large"):
            patch.setattr(blocks, size, guards.empty)
        yield guards
    guards.check()


def test_the_guards_notice() -> None:
    guards = Guards()
    out = guards.empty((2, 3), np.float32)
    out[...] = 1
    guards.check()
    np.lib.stride_tricks.as_strided(out, (7,), (4,))[6] = 0
    with pytest.raises(AssertionError, match="behind its output"):
        guards.check()


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_kernel_writes_outside_its_outputs(kernels: Backend, dtype: Any, kernel: str) -> None:
    made = 0
    for call in SMALL_CALLS[kernel]:
        with guarded() as guards:
            calls.outputs(kernels, kernel, cast(call.args, dtype))
        made += len(guards._made)
    in_place = ("adam", "sgd", "scale", "global_norm", "fill", "scatter", "uniform", "normals")
    assert made or kernel in in_place


class Mine(np.ndarray):
    """A subclass with a mind of its own."""

    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("indexed")

    def reshape(self, *shape: Any, **options: Any) -> Any:
        raise RuntimeError("reshaped")


def repeated(x: np.ndarray) -> np.ndarray:
    """The first row only, with a stride of zero."""
    return np.broadcast_to(x[:1], x.shape) if x.ndim and len(x) else x


def overlapping(x: np.ndarray) -> np.ndarray:
    """Rows that begin one element after each other."""
    if x.ndim != 2 or not x.size:
        return x
    flat = np.resize(x, x.shape[0] + x.shape[1])
    return np.lib.stride_tricks.as_strided(flat, x.shape, (x.itemsize, x.itemsize))


def structured(x: np.ndarray) -> np.ndarray:
    out = np.zeros(x.shape, [("a", x.dtype), ("b", np.int8)])["a"]
    out[...] = x
    return out


def laid_out(layout: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: layout(x) if x.ndim else x


SAME_KIND = {f.__name__: laid_out(f) for f in [*cases.LAYOUTS, structured]} | {
    "repeated": lambda x: repeated(x) if x.dtype.kind == "f" else x,
    "overlapping": lambda x: overlapping(x) if x.dtype.kind == "f" else x,
    "subclass": lambda x: x.view(Mine),
    "matrix": lambda x: x.view(np.matrix) if x.ndim == 2 else x,
    "masked": lambda x: np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) % 2 == 0),
    "record": lambda x: x.view(np.recarray),
}
OTHER = {
    "None": lambda x: None,
    "list": lambda x: x.tolist(),
    "number": lambda x: 3.0,
    "text": lambda x: "x",
    "half": lambda x: np.zeros(x.shape, np.float16),
    "long double": lambda x: np.zeros(x.shape, np.longdouble),
    "complex": lambda x: x.astype(complex),
    "object": lambda x: x.astype(object),
    "bytes": lambda x: np.zeros(x.shape, np.uint8),
    "fields": lambda x: np.zeros(x.shape, [("a", np.float32)]),
    "dates": lambda x: np.zeros(x.shape, "M8[s]"),
    "0-d": lambda x: x.reshape(-1)[:1].reshape(()) if x.size else np.zeros((), x.dtype),
    "one axis more": lambda x: x[None],
    "flat": lambda x: x.reshape(-1),
    "longer": lambda x: np.concatenate([x, x[:1]]) if x.ndim else x,
    "shorter": lambda x: x[:-1] if x.ndim else x,
    "wider": lambda x: np.concatenate([x, x[..., :1]], -1) if x.ndim else x,
    "no rows": lambda x: x[:0] if x.ndim else x,
    "no columns": lambda x: x[..., :0] if x.ndim else x,
    "nan": lambda x: np.full(x.shape, np.nan, x.dtype) if x.dtype.kind == "f" else x,
    "huge": lambda x: np.full(x.shape, np.finfo(x.dtype).max) if x.dtype.kind == "f" else x,
    "denormal": lambda x: np.full(x.shape, 5e-324).astype(x.dtype),
    "negative": lambda x: np.full(x.shape, -1).astype(x.dtype),
    "large": lambda x: np.full(x.shape, 2**62).astype(x.dtype),
    "largest": lambda x: np.full(x.shape, np.iinfo(np.int64).max).astype(x.dtype),
    "shuffled": lambda x: x[::-1] if x.ndim else x,
    "one off": lambda x: x + x.dtype.type(1) if x.dtype.kind in "if" else x,
}
HOSTILE = SAME_KIND | OTHER
NUMBERS = [None, "x", -1, 0, 1, 2**31, 2**40, 2**63, 2**70, -(2**63), 0.5, math.nan, math.inf, True]
ERRORS = (TypeError, ValueError, RuntimeError, IndexError, OverflowError)


def spoiled(data: st.DataObject, args: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The arguments with one replaced; its name and what was done to it."""
    kinds = (bool, int, float, AdamOptions, AttentionOptions, SGDOptions)
    taken = {n: v for n, v in args.items() if not isinstance(v, Source)}  # of a generator's state
    names = [n for n, v in taken.items() if calls.arrays(v) or isinstance(v, kinds)]
    assume(names)
    name = data.draw(st.sampled_from(names))
    value = args[name]
    if name == "options":
        field = data.draw(st.sampled_from(value._fields))
        new = data.draw(st.sampled_from(NUMBERS))
        return name, f"{field} = {new}", args | {name: value._replace(**{field: new})}
    if not calls.arrays(value):
        sized = name in (
            "num_embeddings",
            "n",
            "classes",
        )  # honest sizes: what is asked for is allocated
        new = data.draw(st.sampled_from(NUMBERS[:5] if sized else NUMBERS))
        return name, repr(new), args | {name: new}
    how = data.draw(st.sampled_from(sorted(HOSTILE)))
    if isinstance(value, list):
        at = data.draw(st.integers(0, len(value) - 1))
        new = [HOSTILE[how](v) if i == at else v for i, v in enumerate(value)]
        return name, how, args | {name: new}
    return name, how, args | {name: HOSTILE[how](value)}


def plain(args: dict[str, Any]) -> dict[str, Any]:
    def one(x: Any) -> Any:
        if isinstance(x, list):
            return [one(item) for item in x]
        if isinstance(x, Source):
            return x
        return np.array(x, x.dtype.newbyteorder("="), order="C") if calls.arrays(x) else x

    return {name: one(x) for name, x in args.items()}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kernel", KERNELS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
@given(data=st.data())
def test_a_right_result_or_an_error_that_names_the_argument(
    kernels: Backend, definition: Backend, kernel: str, data: st.DataObject
) -> None:
    call = data.draw(st.sampled_from(SMALL_CALLS[kernel]), label="call")
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    name, how, args = spoiled(data, cast(call.args, dtype))
    same = plain(args)  # before anything changes in place
    try:
        with guarded(), np.errstate(all="ignore"):
            got = calls.outputs(kernels, kernel, args)
    except ERRORS as error:
        text = str(error)
        named = text.startswith(f"{kernel}: ") or not calls.arrays(call.args[name])
        if named and (how not in SAME_KIND or "read-only" in text):
            return
        raise
    with np.errstate(all="ignore"):
        want = calls.outputs(definition, kernel, same)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        if how in SAME_KIND and "1e4" not in call.case:  # there a rounding moves all the weight
            np.testing.assert_allclose(np.asarray(g), np.asarray(w), rtol=1e-3, atol=1e-3)
