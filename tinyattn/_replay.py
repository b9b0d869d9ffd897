"""`replay`: a training step that is run as it is written, recorded, and then computed again without
its Python. docs/replay.md tells how it works. Look first at `Replay.__call__`.
"""

import functools
import os
import random
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.modes import state
from tinyattn.autograd.storage import Leaf, results
from tinyattn.kernels import backend, recording
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import Recorder, arrays_in
from tinyattn.nn.module import Module
from tinyattn.ops.random import default_generator

P = ParamSpec("P")
R = TypeVar("R")
ATTEMPTS = 8  # runs of a step in which two in a row must be the same


def replay(step: Callable[P, R]) -> "Replay[P, R]":
    """`step`, a function of tensors such as a step of training, without most of its Python: its
    first calls run it as it is and record what it computes; later calls compute that again.

    The results are those of `step`, to the bit, and so are parameters, gradients, the optimiser's
    state and the random numbers afterwards. It gets tensors, in any lists, tuples and dicts, and
    values that can be hashed; there is a recording for each combination of shapes and values.
    It returns tensors; they have no graph. Without the native kernels `step` just runs.

    RuntimeError, which names the operation, where something can't be recorded: above all, where a
    number of a tensor is read inside (`item()`, `if`, `print`).

    >>> w = nn.Parameter(ta.tensor([1.0, 2.0]))
    >>> optimizer = ta.optim.SGD([w], lr=0.1)
    >>> @ta.replay
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> for _ in range(4):
    ...     loss = step(ta.ones(2))
    >>> round(loss.item(), 4)
    2.4
    """
    return Replay(step)


class Replay(Generic[P, R]):
    """What `replay` gives: a function like `step`. `recordings` has a recording for each kind of
    arguments."""

    def __init__(self, step: Callable[P, R]) -> None:
        functools.update_wrapper(self, step)
        self.step = step
        self.recordings: dict[Any, Recording] = {}
        self._lock = threading.RLock()
        _replays.add(self)

    def forget(self) -> None:
        """In a child process: begin anew if a thread of the parent was in a recording, or replayed
        it. The child does not have that thread, so that nothing would release the lock."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock, self.recordings = threading.RLock(), {}

    def __call__(self, *args: P.args, **options: P.kwargs) -> R:
        if backend().name != "native" or recording.local.recorder is not None:
            return self.step(*args, **options)
        with self._lock:
            arrays: list[Any] = []
            key = state.enabled, *_spec((args, options), arrays, "argument")
            found = self.recordings.get(key)
            if found is None or not found.valid():
                found = self.recordings[key] = Recording(self.step)
            return found(args, options, arrays)


# Held by the thread that records, since a recording replaces the tables of the kernels.
_recording = threading.Lock()
_replays: "weakref.WeakSet[Replay[Any, Any]]" = weakref.WeakSet()


def _forget() -> None:
    for each in [*_replays]:
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Recording:
    """A step for arguments of certain shapes. It is trusted once two runs in a row, of different
    numbers, were the same: see Recorder."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self.plan: Any = None  # what a replay runs, once the recording is proven
        self.recorder: Recorder | None = None  # of the last run
        self.opaque: set[Any] = set()
        self.reasons: list[str] = []  # why two runs were not the same
        self.inputs: list[Array] = []
        self.leaves: list[Any] = []
        self.uses = Uses(step)

    def __call__(self, args: Any, options: Any, arrays: list[Any]) -> Any:
        if self.plan is None:
            if not _recording.acquire(blocking=False):  # a later call is recorded
                return self.step(*args, **options)
            try:
                return self.record(args, options, arrays)
            finally:
                _recording.release()
        for own, array in zip(self.inputs, arrays, strict=True):
            np.copyto(own, array)
        with np.errstate(all="ignore"):
            self.plan.run()
        return self.given()

    def valid(self) -> bool:
        """Whether everything that the recording uses, and is not given, is as it was."""
        if self.plan is None:
            return True
        for reference, array, edge in self.leaves:
            tensor = reference()
            if tensor is None or tensor._array is not array or tensor._edge is not edge:
                return False
        return self.uses.now() == self.before

    def record(self, args: Any, options: Any, arrays: list[Any]) -> Any:
        """Run the step as it is written, and note what it computes."""
        if state.careful is not None or state.watchers:
            raise RuntimeError("replay: can't record in anomaly mode, or while a doctor watches")
        if len(self.reasons) >= ATTEMPTS:
            raise RuntimeError(
                f"replay: in {ATTEMPTS + 1} runs of the step no two in a row computed the same "
                f"things. The last difference: {self.reasons[-1]}"
            )
        if self.recorder is not None:  # the last run is run again beside this one
            for own, array in zip(self.recorder.inputs, arrays, strict=True):
                np.copyto(own, array)
        self.inputs = [np.array(x) for x in arrays]
        args, options = _replaced((args, options), iter(self.inputs))
        recorder = Recorder(self.inputs, self.recorder, self.opaque)
        recorder.numbers = default_generator.bits
        tape = Taping(recorder, self.leaves, self.uses)
        before, others = self.uses.now(), _other_numbers()
        with recorder, tape:
            self.out = self.step(*args, **options)
            recorder.look(False)
        if _other_numbers() != others:
            raise RuntimeError("replay: the step draws numbers from Python's or NumPy's generator")
        self.before = self.uses.now()
        changed = [name for name, value in before.items() if self.before[name] != value]
        if changed:
            raise RuntimeError(f"replay: the step changes {changed[0]}, and a replay would not")
        for x in arrays_in(self.out):
            if not recorder.explained(x, []):
                raise RuntimeError("replay: the step returns a tensor that it has not computed")
        given = self.given()
        self.leaves = [*tape.leaves.values()]
        if recorder.proven:
            self.plan, self.recorder = recorder.plan(), None
        else:
            if self.recorder is not None:
                self.reasons.append(recorder.reason or "the step before was longer")
            self.recorder = recorder
        recorder.before = None
        return given

    def __str__(self) -> str:
        return "not recorded yet" if self.plan is None else str(self.plan.recorder)

    def given(self) -> Any:
        """What the step returns, in new memory."""
        return _mapped(self.out, lambda tensor: results.wrap(np.array(tensor._array)))


class Uses:
    """What a step uses without getting it as an argument: the variables of the functions it
    consists of, and the settings of the modules it calls."""

    def __init__(self, step: Any) -> None:
        self.places: dict[str, tuple[Any, Any]] = {}  # by a name: where to look, and for what
        self.modules: dict[int, Module] = {}
        owner = getattr(step, "__self__", None)
        if owner is not None and not isinstance(owner, Module):
            for name in vars(owner):
                self.places[f"self.{name}"] = vars(owner), name
        self._add(getattr(step, "__func__", step))

    def _add(self, function: Any) -> None:
        if not isinstance(function, types.FunctionType):
            return
        code = function.__code__
        found: dict[str, tuple[Any, Any]] = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            found[name] = cell, None
        for name in code.co_names:
            if name in function.__globals__:
                found[name] = function.__globals__, name
        for name, place in found.items():
            known = f"{name} of {function.__qualname__}"
            if known not in self.places:
                self.places[known] = place
                value = _at(*place)
                if not str(getattr(value, "__module__", "")).startswith("tinyattn"):
                    self._add(value)

    def now(self) -> dict[Any, Any]:
        """What stands there now, in words that change when it changes."""
        found: dict[Any, Any] = {}
        for known, place in self.places.items():
            found[known] = _identity(_at(*place))
        for module in self.modules.values():
            for name, value in vars(module).items():
                found[id(module), name] = _identity(value)
        return found


def _at(where: Any, name: str | None) -> Any:
    if name is not None:
        return where.get(name)
    try:
        return where.cell_contents
    except ValueError:  # a variable that has no value yet
        return None


_SIMPLE = (bool, int, float, complex, str, bytes, type(None), tuple, frozenset)


def _identity(value: Any) -> Any:
    if isinstance(value, Tensor):
        return id(value._array), value._edge is None
    if isinstance(value, _SIMPLE):
        return value
    return id(value)


def _other_numbers() -> Any:
    """The states of the generators that a replay does not know."""
    return random.getstate(), repr(np.random.get_state())  # noqa: NPY002


class Taping:
    """Tells a recorder of every forward and backward of this thread, and collects what they use:
    leaves and modules."""

    def __init__(self, recorder: Recorder, leaves: list[Any], uses: Uses) -> None:
        self.recorder, self.uses = recorder, uses
        self.leaves: dict[int, Any] = {}
        self.whole: set[Any] = set()  # nodes whose forward is noted as a function
        known = [reference() for reference, _, _ in leaves]
        self.known = [tensor for tensor in known if tensor is not None]
        self.grads: list[Any] = []

    def __enter__(self) -> None:
        self.plain = state.quietly, Module.__call__
        state.quietly, state.careful = self.forward, self.backward
        self.recorder.look = self.look
        self.look(True)
        call, modules = Module.__call__, self.uses.modules

        def noted(module: Any, *args: Any, **options: Any) -> Any:
            if recording.local.recorder is self.recorder:
                modules[id(module)] = module
            return call(module, *args, **options)

        Module.__call__ = noted  # type: ignore

    def __exit__(self, *exc: object) -> None:
        state.careful = None
        state.quietly, Module.__call__ = self.plain  # type: ignore[method-assign]

    def look(self, after: bool) -> None:
        """See that no one but what is noted has set a `.grad`."""
        grads = [tensor.grad for tensor in self.known]
        if not after and any(a is not b for a, b in zip(grads, self.grads, strict=True)):
            recording.refuse("the step sets .grad of a tensor by hand: use zero_grad()")
        self.grads = grads

    def forward(self, method: Any, *inputs: Any, **options: Any) -> Any:
        quietly = self.plain[0]
        recorder = self.recorder
        if recording.local.recorder is not recorder:
            return quietly(method, *inputs, **options)
        node = method.__self__
        for edge in node.edges:
            if edge is not None and type(edge[0]) is Leaf:
                tensor: Any = edge[0].tensor()
                self.leaves[id(tensor)] = weakref.ref(tensor), tensor._array, edge
        recorder.hold(inputs)

        def run(*inputs: Any, **options: Any) -> Any:
            if recording.local.recorder is None:
                node.packed = {index: {} for index in node.packed}
            return quietly(method, *inputs, **options)

        kind = type(node)
        out = recorder.step(kind.__name__, run, inputs, options, whole=not kind.kernels_only)
        if recorder.whole:
            self.whole.add(node)
        return out

    def backward(self, node: Any, grads: list[Any]) -> Any:
        recorder = self.recorder
        if recording.local.recorder is not recorder:
            return node.backward(*grads)
        kind, saved = type(node), node.saved

        def run(*grads: Any) -> Any:
            if recording.local.recorder is None and not whole:
                node.saved = saved
            return node.backward(*grads)

        whole = node in self.whole

        return recorder.step(
            f"{kind.__name__}.backward",
            run,
            tuple(grads),
            {},
            () if whole else tuple(saved.values()),
            whole or not kind.kernels_only,
        )


def _spec(value: Any, arrays: list[Any], name: str) -> Iterator[Any]:
    """A value in words that are the same for arguments that one recording serves; its arrays are
    added to `arrays`."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise RuntimeError(f"replay: {name} requires a gradient: only what the step keeps can")
        array = value._array
        arrays.append(array)
        yield array.shape, array.strides, array.dtype.str
    elif isinstance(value, np.ndarray):
        raise TypeError(
            f"replay: {name}: expected a tensor, got an array, whose numbers NumPy could read"
        )
    elif isinstance(value, (tuple, list)):
        yield type(value), len(value)
        for i, item in enumerate(value):
            yield from _spec(item, arrays, f"{name}[{i}]")
    elif isinstance(value, dict):
        yield tuple(value)
        for key, item in value.items():
            yield from _spec(item, arrays, f"{name}[{key!r}]")
    else:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"replay: {name}: expected tensors and values that can be hashed, got "
                f"{type(value).__name__}"
            ) from None
        yield type(value), value


def _replaced(value: Any, arrays: Iterator[Any]) -> Any:
    """The value with these arrays."""
    if isinstance(value, Tensor):
        return results.wrap(next(arrays))
    if isinstance(value, (tuple, list)):
        items = [_replaced(item, arrays) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: _replaced(item, arrays) for key, item in value.items()}
    return value


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The value with function(tensor) for its tensors."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        items = [_mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: _mapped(item, function) for key, item in value.items()}
    return value
