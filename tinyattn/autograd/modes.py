"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, thread by thread.

`no_grad` and `enable_grad` are context managers and decorators, as in PyTorch.
"""

import threading
from contextlib import ContextDecorator
from contextvars import Context, ContextVar

import numpy as np

# Infinities and NaN are results here, as in PyTorch, where NumPy would warn of each. NumPy keeps
# its error state in a context variable: a context of our own, entered for every forward, costs a
# third of entering numpy.errstate.
quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class _State(threading.local):
    enabled = True

    def __init__(self) -> None:
        self.quietly = Context().run
        self.quietly(quiet.set, True)
        self.quietly(np.seterr, all="ignore")


state = _State()


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
