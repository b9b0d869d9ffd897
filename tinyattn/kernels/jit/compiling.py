"""How a Python function becomes a kernel: `@kernel(...)` with one letter per argument and its
dimensions.

    r2  an array to read, C-contiguous, of 2 dimensions, in the float type of the call
    w2  the same, to write                           v3  to read, with any strides
    u3  to write, with any strides
    s2  a float64 array to write, whatever the float type of the call; d2  the same, to read
    i1  an int64 array        o1  the same, to write
    b2  a bool array          m3  the same, with any strides       c2  a uint8 array to read
    int, float, bool  numbers

Spelling the types out keeps one compiled version per kernel and float type, whatever the flags of
an array. Numba's cache on disk watches the file of a kernel only: after a change to a helper in
another file (tile, exp), remove jit/__pycache__.
"""

import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types
from numba.core import event
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., Any])
LOCK = threading.Lock()
SMALL = 16 * 1024  # elements below which waking other threads costs more than it gives
_config: Any = numba.config
_njit: Any = numba.njit  # its type differs between versions of Numba
MOST_THREADS: int = _config.NUMBA_NUM_THREADS
threads = MOST_THREADS
_calling_thread = threading.local()  # `count`: what numba.set_num_threads was given last in it


@cache
def can_cache() -> bool:
    """Whether Numba can write what it compiles: into the folder that NUMBA_CACHE_DIR names, beside
    the kernels, or into the user's own. Asked to where it can't, Numba raises.
    """
    try:
        FunctionCache(_types)
    except RuntimeError:
        return False
    return True


class _Teller(event.Listener):
    """Prints one line at the first compilation, which takes seconds. Kernels that are found on disk
    print nothing.
    """

    told = False

    def on_start(self, event: Any) -> None:
        if not _Teller.told:
            _Teller.told = True
            then = "the next run finds them cached"
            if not can_cache():
                then = "so does every run, as no folder can be written; NUMBA_CACHE_DIR names one"
            print(f"compiling the Numba kernels; {then}", file=sys.stderr)

    def on_end(self, event: Any) -> None:
        pass


def _types(letters: str, real: Any) -> Any:
    """The type that Numba compiles an argument for, from its letters and the float type."""
    scalars = {"int": types.int64, "float": types.float64, "bool": types.boolean}
    if letters in scalars:
        return scalars[letters]
    element = {
        "i": types.int64,
        "o": types.int64,
        "b": types.boolean,
        "m": types.boolean,
        "c": types.uint8,
        "s": types.float64,
        "d": types.float64,
    }.get(letters[0], real)
    layout: Any = "A" if letters[0] in "vum" else "C"
    return types.Array(element, int(letters[1]), layout, readonly=letters[0] not in "wsou")


class Kernel:
    """A function that is compiled for the float type of its first argument when it is called."""

    def __init__(self, function: Callable[..., Any], letters: str):
        self._function = function
        self._letters = letters.split()
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any, alone: bool = False) -> Any:
        """`alone`: use only the thread of the caller, since waking others would cost more time."""
        wanted = 1 if alone else threads
        with LOCK:
            dtype = arguments[0].dtype
            compiled = self._compiled.get(dtype)
            if compiled is None:
                compiled = self._compiled[dtype] = self._compile(dtype)
            if getattr(_calling_thread, "count", None) != wanted:
                numba.set_num_threads(wanted)
                _calling_thread.count = wanted
            return compiled(*arguments)

    def _compile(self, dtype: np.dtype[Any]) -> Callable[..., Any]:
        real = numba.from_dtype(dtype)
        signature = tuple(_types(letters, real) for letters in self._letters)
        with event.install_listener("numba:compile", _Teller()):
            return _njit(
                signature,
                cache=can_cache(),
                nogil=True,
                parallel=True,
                error_model="numpy",
                no_cfunc_wrapper=True,
            )(self._function)


def kernel(letters: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Makes a Kernel of a function; `letters` has a group for each argument, as above."""
    return lambda function: Kernel(function, letters)


# Loops run over `range(n)` from 0 on arrays or slices: an index that might be negative, such as
# offset + i, would wrap around as Python's do, and that test keeps LLVM from vectorising.
#
# Where a helper takes the index of a loop over prange, it gets np.int64(i). Numba infers the types
# of such a loop twice, with an int64 and with a uint64, and would compile the helper for both.
#
# Helpers are inlined by LLVM. `exact` keeps the order of every sum but may fuse a product into it;
# `sums` may also reorder sums, so that they run in vector registers. Neither assumes that NaN or
# infinity is absent. `inlined` is `exact`, inlined however long it is.
#
# Only compiled code calls a helper. It has no entry for Python or for C: in each of them LLVM would
# compile its loops once more.
_options = {
    "nogil": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
exact: Callable[[F], F] = _njit(**_options, fastmath={"contract"})
sums: Callable[[F], F] = _njit(**_options, fastmath={"contract", "reassoc"})
inlined: Callable[[F], F] = _njit(**_options, fastmath={"contract"}, forceinline=True)
