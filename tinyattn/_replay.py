"""`replay`: a training step that is run as it is written, recorded, and then computed again without
its Python. docs/replay.md tells how it works. Look first at `Replay.__call__`.
"""

import functools
import threading
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
    """The function `step`, recorded when it is first called and then replayed."""
    return Replay(step)


class Replay(Generic[P, R]):
    """What `replay` gives: a function like `step`. `recordings` has one for each kind of
    arguments."""

    def __init__(self, step: Callable[P, R]) -> None:
        functools.update_wrapper(self, step)
        self.step = step
        self.recordings: dict[Any, Recording] = {}
        self._lock = threading.RLock()

    def __call__(self, *args: P.args, **options: P.kwargs) -> R:
        if backend().name != "native":
            return self.step(*args, **options)
        with self._lock:
            arrays: list[Any] = []
            key = state.enabled, *_spec((args, options), arrays, "argument")
            found = self.recordings.get(key)
            if found is None or not found.valid():
                found = self.recordings[key] = Recording(self.step)
            return found(args, options, arrays)


class Recording:
    """A step for arguments of certain shapes."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self.inputs: list[Array] = []
        self.plan: Any = None  # what a replay runs, once the recording is proven
        self.recorder: Recorder | None = None  # of the last run
        self.opaque: set[Any] = set()
        self.reasons: list[str] = []

    def __call__(self, args: Any, options: Any, arrays: list[Any]) -> Any:
        if self.plan is None:
            return self.record(args, options, arrays)
        for own, array in zip(self.inputs, arrays, strict=True):
            np.copyto(own, array)
        with np.errstate(all="ignore"):
            self.plan.run()
        return self.given()

    def valid(self) -> bool:
        """Whether everything that the recording uses without getting it is still there."""
        if self.plan is None:
            return True
        for reference, array, edge in self.leaves:
            tensor = reference()
            if tensor is None or tensor._array is not array or tensor._edge is not edge:
                return False
        return all(_settings(module) == before for module, before in self.modules)

    def record(self, args: Any, options: Any, arrays: list[Any]) -> Any:
        """Run the step as it is written, and note what it computes."""
        if state.careful is not None or state.watchers:
            raise RuntimeError("replay: can't record in anomaly mode, or while a doctor watches")
        if len(self.reasons) >= ATTEMPTS:
            raise RuntimeError(
                f"replay: {ATTEMPTS} runs of the step were all different. The last difference: "
                f"{self.reasons[-1]}"
            )
        if self.recorder is not None:
            for own, array in zip(self.inputs, arrays, strict=True):
                np.copyto(own, array)
        self.inputs = [np.array(x, order="K") for x in arrays]
        args, options = _replaced((args, options), iter(self.inputs))
        recorder = Recorder(self.inputs, self.recorder, self.opaque)
        recorder.numbers = default_generator.bits
        tape = Taping(recorder)
        with recorder, tape:
            self.out = self.step(*args, **options)
        for x in arrays_in(self.out):
            if not recorder.explained(x, []):
                raise RuntimeError("replay: the step returns a tensor that it has not computed")
        given = self.given()
        self.leaves, self.modules = [*tape.leaves.values()], [*tape.modules.values()]
        if recorder.proven:
            from tinyattn.kernels.native.replaying import Plan

            self.plan, self.recorder = Plan(recorder.entries), None
            self.kept = recorder
            recorder.before = None
        else:
            if self.recorder is not None:
                self.reasons.append(recorder.reason or "fewer steps")
            recorder.before = None
            self.recorder = recorder
        return given

    def given(self) -> Any:
        """What the step returns, in new memory."""
        return _mapped(self.out, lambda tensor: results.wrap(np.array(tensor._array)))


class Taping:
    """Tells a recorder of every forward and backward of this thread, and collects what they use:
    leaves and modules."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.leaves: dict[int, Any] = {}
        self.modules: dict[int, Any] = {}
        self.whole: set[Any] = set()  # nodes whose forward is noted as a function

    def __enter__(self) -> None:
        self.plain = state.quietly, Module.__call__
        state.quietly, state.careful = self.forward, self.backward
        call, modules = Module.__call__, self.modules

        def noted(module: Any, *args: Any, **options: Any) -> Any:
            if recording.local.recorder is not None:
                modules[id(module)] = module, _settings(module)
            return call(module, *args, **options)

        Module.__call__ = noted  # type: ignore

    def __exit__(self, *exc: object) -> None:
        state.careful = None
        state.quietly, Module.__call__ = self.plain  # type: ignore[method-assign]

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
                node.caches = {index: {} for index in node.caches}
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
        if not kind.defers:
            grads = [*map(_as_is, grads)]

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


def _as_is(x: Any) -> Any:
    return x


_SIMPLE = (bool, int, float, str, type(None), tuple)


def _settings(module: Module) -> Any:
    """What the computing of a module depends on, besides the values of its tensors."""
    own = vars(module)
    return (
        {name: value for name, value in own.items() if isinstance(value, _SIMPLE)},
        {name: id(value._array) for name, value in own.items() if isinstance(value, Tensor)},
    )


def _spec(value: Any, arrays: list[Any], name: str) -> Iterator[Any]:
    """A value in words that are the same for arguments that one recording serves; its arrays are
    added to `arrays`."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise RuntimeError(f"replay: {name} requires a gradient: only what the step keeps can")
        value = value._array
        yield "tensor"
    if isinstance(value, np.ndarray):
        arrays.append(value)
        yield value.shape, value.strides, value.dtype.str
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
                f"replay: {name}: expected tensors, arrays and values that can be hashed, got "
                f"{type(value).__name__}"
            ) from None
        yield type(value), value


def _replaced(value: Any, arrays: Iterator[Any]) -> Any:
    """The value with these arrays."""
    if isinstance(value, Tensor):
        return results.wrap(next(arrays))
    if isinstance(value, np.ndarray):
        return next(arrays)
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
