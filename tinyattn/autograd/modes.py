"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, thread by thread.

`no_grad` and `enable_grad` are context managers and decorators, as in PyTorch. Who wants to see
every operation as it runs (anomaly mode, the doctor) is `watching`.
"""

import linecache
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import Context, ContextVar
from typing import Any

import numpy as np

# Infinities and NaN are results here, as in PyTorch, where NumPy would warn of each. NumPy keeps
# its error state in a context variable: a context of our own, entered for every forward, costs a
# third of entering numpy.errstate.
quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class _State(threading.local):
    enabled = True
    anomaly = False
    check_nan = True
    watchers: tuple[Callable, ...] = ()
    quietly: Callable[..., Any]  # runs a forward

    def __init__(self) -> None:
        self.quietly = self.unwatched = Context().run
        self.quietly(quiet.set, True)
        self.quietly(np.seterr, all="ignore")


state = _State()


class watching:
    """Inside, `watcher(node, inputs, options, outputs)` follows every forward of this thread. The
    way of all forwards is put through it, so that nobody else has anything to check."""

    def __init__(self, watcher: Callable) -> None:
        self.watcher = watcher

    def __enter__(self) -> None:
        state.watchers += (self.watcher,)
        state.quietly = _watched

    def __exit__(self, *exc: object) -> None:
        state.watchers = tuple([w for w in state.watchers if w is not self.watcher])
        if not state.watchers:
            state.quietly = state.unwatched


def _watched(forward: Any, *inputs: Any, **options: Any) -> Any:
    out = state.unwatched(forward, *inputs, **options)
    for watcher in state.watchers:
        watcher(forward.__self__, inputs, options, out if type(out) is tuple else (out,))
    return out


_OURS = tuple(os.path.dirname(file) + os.sep for file in (os.path.dirname(__file__), np.__file__))


def source_line() -> str:
    """`file:line: text` of the innermost frame that is neither ours nor NumPy's."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line, frame.f_globals).strip()}"


def is_grad_enabled() -> bool:
    return state.enabled


class set_grad_enabled:
    """Record (True) or don't (False), from the call on; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        self.before = state.enabled
        state.enabled = bool(mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        state.enabled = self.before


class _Mode(ContextDecorator):
    mode: bool

    def __init__(self) -> None:
        self.before: list[bool] = []

    def _recreate_cm(self) -> "_Mode":
        return type(self)()

    def __enter__(self) -> None:
        self.before.append(state.enabled)
        state.enabled = self.mode

    def __exit__(self, *exc: object) -> None:
        state.enabled = self.before.pop()


class no_grad(_Mode):
    """Nothing inside is recorded: results need no gradient."""

    mode = False


class enable_grad(_Mode):
    """Record again inside a `no_grad`."""

    mode = True
