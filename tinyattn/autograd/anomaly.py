"""Anomaly mode: the operation and the source line that made a NaN or an infinity, forward or back.

An operation is at fault if its result has a NaN and its inputs have none, and likewise for
infinities. An infinity that a constant, a fill or a mask brings in is no fault. Read `_forward`
first.
"""

import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import as_array
from tinyattn.autograd.modes import source_line, state, watching

_TESTS = {"nan": np.isnan, "inf": np.isinf}


class set_detect_anomaly:
    """Switch anomaly mode on or off in this thread; as a context manager, until the block ends.

    Operations then record their source lines, and fingerprints of the arrays that they save. With
    check_nan they raise RuntimeError where a NaN or an infinity appears.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = state.anomaly, state.check_nan
        _switch(bool(mode), bool(check_nan))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _switch(*self.before)


class detect_anomaly(set_detect_anomaly):
    """Anomaly mode inside a `with` block; see set_detect_anomaly."""

    def __init__(self, check_nan: bool = True) -> None:
        self.before, self.check_nan = (state.anomaly, state.check_nan), check_nan

    def __enter__(self) -> None:
        _switch(True, self.check_nan)


def _switch(mode: bool, check_nan: bool) -> None:
    if mode != state.anomaly:
        (_mode.__enter__ if mode else _mode.__exit__)()
    state.anomaly, state.check_nan = mode, check_nan
    state.careful = backward if mode else None


def _forward(
    node: Function, inputs: tuple[Any, ...], options: dict[str, Any], outputs: tuple[Any, ...]
) -> None:
    node.recorded_at = source_line()
    tracked = any(node.edges)
    if tracked:
        node.fingerprints = [_fingerprint(array) for array in node.saved.values()]
    if not state.check_nan:
        return
    name = type(node).__name__
    for kind, test in _TESTS.items():
        if kind == "inf" and node.makes_masks and not tracked:
            continue
        bad = _first(test, outputs, (*inputs, *options.values()))
        if bad is not None:
            i, index, value = bad
            raise RuntimeError(
                f"{name}, forward: output {i} of shape {list(np.shape(outputs[i]))} is {value} at "
                f"index {index}, and no input is {kind}.\n  at {node.recorded_at}"
            )


_mode = watching(_forward)


def backward(node: Function, grads: list[Any]) -> tuple[Any, ...]:
    """node.backward(*grads), with what it uses and what it gives checked."""
    _check_saved(node)
    out = node.backward(*grads)
    out = out if type(out) is tuple else (out,)
    if state.check_nan:
        _check_gradients(node, grads, out)
    return out


def _check_gradients(node: Function, grads: list[Any], out: tuple[Any, ...]) -> None:
    """Refuse a NaN that did not arrive, and an infinity that neither arrived nor was saved."""
    name = type(node).__name__
    arrays = [as_array(grad) for grad in out]
    given = {"nan": grads, "inf": (*grads, *node.saved.values())}
    for kind, test in _TESTS.items():
        bad = _first(test, arrays, map(as_array, given[kind]))
        if bad is not None:
            i, index, value = bad
            raise RuntimeError(
                f"Function '{name}Backward' returned {kind} values in its {i}th output. {name}, "
                f"backward: the gradient of input {i}, of shape {list(np.shape(arrays[i]))}, is "
                f"{value} at index {index}, and no gradient that arrived is {kind}."
                f"\n  recorded at {node.recorded_at or 'an unknown line, outside anomaly mode'}"
            )


def _check_saved(node: Function) -> None:
    """Refuse saved arrays that NumPy has changed: such a change does not raise the version."""
    for (what, array), before in zip(node.saved.items(), node.fingerprints, strict=False):
        if _fingerprint(array) != before:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified outside "
                f"the tape: {what}, which {type(node).__name__} saved, of shape "
                f"{list(array.shape)}, has other bytes at the same version. It was changed through "
                "an array that shares its memory, as numpy() and from_numpy() give."
                f"\n  saved at {node.recorded_at}"
            )


def _fingerprint(array: Any) -> int:
    return zlib.crc32(array.tobytes()) if isinstance(array, np.ndarray) else 0


def _first(
    test: Callable[[Any], Any], arrays: Iterable[Any], given: Iterable[Any]
) -> tuple[int, tuple[int, ...], Any] | None:
    """Number, index and value of the first element that passes the test; None if there is none, or
    if an element of `given` passes it, too."""
    for i, array in enumerate(arrays):
        if _is_float(array) and np.any(bad := test(array)):
            if any(_is_float(x) and np.any(test(x)) for x in given):
                return None
            index = tuple(np.argwhere(bad)[0].tolist())
            return i, index, np.asarray(array)[index]
    return None


def _is_float(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f")
