"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, thread by thread.

All three are context managers and decorators, as in PyTorch. `watching` shows every operation as it
runs, to anomaly mode and to the doctor.
"""

import linecache
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextvars import Context, ContextVar
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, TypeVar, cast, overload

import numpy as np

# Infinities and NaN are results here, as in PyTorch, where NumPy would warn of each. NumPy keeps
# its error state in a context variable: a context of our own, entered for every forward, costs a
# third of entering numpy.errstate.
quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class _State(threading.local):
    enabled = True
    anomaly = False
    check_nan = True
    watchers: tuple[Callable[..., Any], ...] = ()
    quietly: Callable[..., Any]  # runs a forward
    careful: Callable[..., Any] | None = None  # runs a backward: in anomaly mode, in a recording

    def __init__(self) -> None:
        self.quietly = self.unwatched = Context().run
        self.quietly(quiet.set, True)
        self.quietly(np.seterr, all="ignore")


state = _State()
F = TypeVar("F", bound=Callable[..., Any])


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """function(*args) without NumPy's warnings of infinities and NaN."""
    if quiet.get():  # inside a forward
        return function(*args)
    return state.unwatched(function, *args)


def _error_state() -> tuple[ContextVar[Any], Any] | None:
    """The variable in which NumPy keeps its error state, and its value where all is ignored. None
    if this NumPy keeps it elsewhere."""
    context = Context()
    context.run(np.seterr, all="ignore")
    return next(iter(context.items()), None)


_errors = _error_state()


def without_warnings(function: F) -> F:
    """function as np.errstate(all="ignore") decorates it, in a third of the time: errstate makes
    the value of NumPy's variable anew at each call."""
    if _errors is None:
        return np.errstate(all="ignore")(function)
    variable, ignored = _errors

    @wraps(function)
    def inside(*args: Any, **options: Any) -> Any:
        before = variable.set(ignored)
        try:
            return function(*args, **options)
        finally:
            variable.reset(before)

    return cast(F, inside)


class watching:
    """Inside, `watcher(node, inputs, options, outputs)` is called after each forward of the thread.

    Function.apply runs each forward through `state.quietly`. It is replaced here, so that a forward
    that is not watched has nothing to check."""

    def __init__(self, watcher: Callable[..., Any]) -> None:
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
    """Whether operations are recorded for gradients in this thread."""
    return state.enabled


class Mode:
    """A context manager and a decorator of functions: plain ones, generators and coroutines."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(state.enabled)
        state.enabled = self.mode

    def __exit__(self, *exc: object) -> None:
        state.enabled = self.before.pop()

    def __call__(self, function: F) -> F:
        """A function that runs `function` in this mode; a generator or coroutine, at each step."""
        mode = self.mode

        if not callable(function) or isinstance(function, type) or isasyncgenfunction(function):
            raise TypeError(
                f"expected a function, a generator function or a coroutine function to decorate, "
                f"got {function!r}; write the `with` block inside it instead"
            )

        @wraps(function)
        def inside(*args: Any, **options: Any) -> Any:
            with Mode(mode):
                return function(*args, **options)

        @wraps(function)
        def generator(*args: Any, **options: Any) -> Any:
            return (yield from _Resumed(function(*args, **options), mode))

        @wraps(function)
        async def coroutine(*args: Any, **options: Any) -> Any:
            return await _Resumed(function(*args, **options), mode)

        if iscoroutinefunction(function):
            return cast(F, coroutine)
        return cast(F, generator if isgeneratorfunction(function) else inside)


class _Resumed(Generator[Any, Any, Any]):
    """A generator or a coroutine, run in a mode of its own; between its steps, other code runs in
    the mode of its caller."""

    def __init__(self, generator: Any, mode: bool) -> None:
        self.generator, self.mode = generator, mode

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def send(self, value: Any) -> Any:
        with Mode(self.mode):
            return self.generator.send(value)

    def throw(self, *error: Any) -> Any:
        with Mode(self.mode):
            return self.generator.throw(*error)

    def close(self) -> None:
        with Mode(self.mode):
            self.generator.close()


class set_grad_enabled(Mode):
    """Record operations (True) or don't (False), from the call on.

    As a context manager it ends with its block; as a decorator it holds inside the function.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.before.append(state.enabled)
        state.enabled = self.mode

    def __enter__(self) -> None:
        pass

    def __call__(self, function: F) -> F:
        self.__exit__()  # as a decorator, the call itself must not change the mode
        return super().__call__(function)


@overload
def no_grad() -> Mode: ...
@overload
def no_grad(function: F) -> F: ...
def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """Nothing inside is recorded: results need no gradient.

    Used as `with no_grad():`, or before a function as `@no_grad()` or `@no_grad`.
    """
    return Mode(False) if function is None else Mode(False)(function)


def inference_mode(mode: Any = True) -> Any:
    """As `no_grad`, in the same three ways; `inference_mode(False)` changes nothing. What it makes
    are ordinary tensors, unlike PyTorch's."""
    if callable(mode):
        return Mode(False)(mode)
    return Mode(False if mode else state.enabled)


@overload
def enable_grad() -> Mode: ...
@overload
def enable_grad(function: F) -> F: ...
def enable_grad(function: Callable[..., Any] | None = None) -> Any:
    """Operations are recorded inside, also within a `no_grad`. Used in the same three ways."""
    return Mode(True) if function is None else Mode(True)(function)
