"""Anomaly mode: the operation and the source line that made a NaN or an infinity, forward or back.

Every NaN counts that the operation's inputs did not have; so does an infinity, of arithmetic: one
that was put in, by a constant, a fill or a mask, was among the inputs. Look first at `_forward`.
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
    """Anomaly mode in this thread, from the call on; as a context manager, until its end.

    Operations remember their source lines and fingerprints of what they save; with check_nan they
    raise where a NaN or an infinity appears."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = state.anomaly, state.check_nan
        _switch(bool(mode), bool(check_nan))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _switch(*self.before)


class detect_anomaly(set_detect_anomaly):
    """Anomaly mode inside."""

    def __init__(self, check_nan: bool = True) -> None:
        self.before, self.check_nan = (state.anomaly, state.check_nan), check_nan

    def __enter__(self) -> None:
        _switch(True, self.check_nan)


def _switch(mode: bool, check_nan: bool) -> None:
    if mode != state.anomaly:
        (_mode.__enter__ if mode else _mode.__exit__)()
    state.anomaly, state.check_nan = mode, check_nan


def _forward(node: Function, inputs: tuple, options: dict, outputs: tuple) -> None:
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
        for i, index, value in _first(test, outputs, (*inputs, *options.values())):
            raise RuntimeError(
                f"{name}, forward: output {i} of shape {list(np.shape(outputs[i]))} is {value} at "
                f"index {index}, and no input is {kind}.\n  at {node.recorded_at}"
            )


_mode = watching(_forward)


def backward(node: Function, grads: list) -> tuple:
    """node.backward, watched."""
    _check_saved(node)
    out = node.backward(*grads)
    out = out if type(out) is tuple else (out,)
    if state.check_nan:
        _check_gradients(node, grads, out)
    return out


def _check_gradients(node: Function, grads: list, out: tuple) -> None:
    """Refuse a NaN that did not arrive, or an infinity that neither arrived nor was saved."""
    name = type(node).__name__
    arrays = [as_array(grad) for grad in out]
    given = {"nan": grads, "inf": (*grads, *node.saved.values())}
    for kind, test in _TESTS.items():
        for i, index, value in _first(test, arrays, map(as_array, given[kind])):
            raise RuntimeError(
                f"Function '{name}Backward' returned {kind} values in its {i}th output. {name}, "
                f"backward: the gradient of input {i}, of shape {list(np.shape(arrays[i]))}, is "
                f"{value} at index {index}, and no gradient that arrived is {kind}."
                f"\n  recorded at {node.recorded_at or 'an unknown line, outside anomaly mode'}"
            )


def _check_saved(node: Function) -> None:
    """Refuse saved arrays that changed past the tape: through NumPy, whose changes have no
    version."""
    for (what, array), before in zip(node.saved.items(), node.fingerprints, strict=False):
        if _fingerprint(array) != before:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified outside "
                f"the tape: {what}, which {type(node).__name__} saved, of shape "
                f"{list(array.shape)}, has other bytes at the same version: changed through an "
                "array that shares its memory, as numpy() and from_numpy() give."
                f"\n  saved at {node.recorded_at}"
            )


def _fingerprint(array: Any) -> int:
    return zlib.crc32(array.tobytes()) if isinstance(array, np.ndarray) else 0


def _first(
    test: Callable, arrays: Iterable, given: Iterable
) -> Iterable[tuple[int, tuple[int, ...], Any]]:
    """Number, index and value of the first that passes the test, unless one of `given` does."""
    for i, array in enumerate(arrays):
        if _is_float(array):
            bad = test(array)
            if np.any(bad):
                if not any(_is_float(x) and np.any(test(x)) for x in given):
                    index = _at(bad)
                    yield i, index, np.asarray(array)[index]
                return


def _at(there: Any) -> tuple[int, ...]:
    return tuple(np.argwhere(there)[0].tolist())


def _is_float(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f")
