"""The choice of a backend: by name, by the environment variable TINYATTN_BACKEND, or the best one
that is installed. Look first at `backend` and `use_backend`.
"""

import importlib
import importlib.util
import os
import warnings
from types import TracebackType

import numpy as np

from tinyattn.kernels.table import FOLDERS, Backend

# The backend in use, process-wide; the others stay loaded so that switching is free.
_current: Backend | None = None
_loaded: dict[str, Backend] = {}
_threads: int | None = None


def backend() -> Backend:
    """The backend in use; the first call chooses it by TINYATTN_BACKEND or takes the best
    installed.
    """
    return _current if _current is not None else _choose()


def _choose() -> Backend:
    global _current
    name = os.environ.get("TINYATTN_BACKEND")
    if name:
        _current = _load(name, "TINYATTN_BACKEND: ")
        return _current
    name = available_backends()[0]
    if name != "native":
        warnings.warn(
            f"the native kernels of tinyattn are not built; using {name}, which is slower "
            "(python -m tinyattn says more)",
            RuntimeWarning,
            stacklevel=3,
        )
    _current = _load(name)
    return _current


def why_not(name: str) -> str:
    """What stands in the way of a backend, and how to get it; nothing where it is installed."""
    if name == "native":
        try:
            importlib.import_module("tinyattn.kernels.native")
        except ImportError as error:
            return (
                f"its C extension does not load ({error}); with a C compiler at hand, "
                "pip install --force-reinstall --no-cache-dir tinyattn builds it"
            )
    if name == "numba":
        try:
            missing = importlib.util.find_spec("numba") is None
        except ValueError:  # what find_spec says of a module that is blocked
            missing = True
        return "pip install numba" if missing else ""
    return ""


def available_backends() -> tuple[str, ...]:
    """The names use_backend takes on this installation, the fastest first."""
    return tuple(name for name in FOLDERS if not why_not(name))


def _load(name: str, context: str = "") -> Backend:
    if name not in FOLDERS:
        raise ValueError(f"{context}unknown backend {name!r}: choose one of {', '.join(FOLDERS)}")
    if name not in _loaded:
        if reason := why_not(name):
            raise RuntimeError(f"{context}backend {name!r} is not installed: {reason}")
        _loaded[name] = Backend(name)
        if _threads is not None:
            _loaded[name].package.set_num_threads(_threads)
    return _loaded[name]


class _Chosen:
    """What use_backend returns; as a context manager it puts back the backend that was there
    before.
    """

    def __init__(self, chosen: Backend, previous: Backend | None) -> None:
        self._chosen = chosen
        self._previous = previous

    def __enter__(self) -> Backend:
        return self._chosen

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        global _current
        _current = self._previous


def use_backend(name: str) -> _Chosen:
    """Choose "native", "numba" or "numpy" for the whole process; in a `with`, until its end.

    ValueError for another name, RuntimeError for one that is not installed.
    """
    global _current
    chosen = _Chosen(_load(name), _current)
    _current = chosen._chosen
    return chosen


def set_num_threads(n: int) -> None:
    """Let kernels use up to `n` threads, the caller's included. Results do not depend on it."""
    global _threads
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"set_num_threads: n must be an int, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"set_num_threads: n must be at least 1, got {n}")
    _threads = int(n)
    for loaded in _loaded.values():
        loaded.package.set_num_threads(_threads)


def get_num_threads() -> int:
    """The number of threads the backend in use works with."""
    return int(backend().package.get_num_threads())


def instruction_set() -> str:
    """What the backend in use runs as: avx512, avx2 or baseline where it is native."""
    return str(backend().package.isa())
