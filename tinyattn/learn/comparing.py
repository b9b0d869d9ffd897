"""What an answer gives for some arguments, and whether two such results are the same."""

import contextlib
import copy
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.learn.exercise import Answer, Exercise, Inputs


@dataclass(frozen=True)
class Outcome:
    """What one call gives: arrays, or an error."""

    parts: tuple[Array, ...] = ()
    error: BaseException | None = None
    refused: str = ""  # why the result is no tuple of arrays
    changed: str = ""  # the first argument that is no longer what it was
    printed: str = ""


def outcome(exercise: Exercise, answer: Answer, inputs: Inputs) -> Outcome:
    """Call the answer with copies of the inputs. Warnings of NumPy are no errors."""
    given = copy.deepcopy(inputs)
    out = _Beginning()
    try:
        with quiet(), contextlib.redirect_stdout(out):
            result = exercise.run(answer, *given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() in an answer must not end the check
        vars(error).update(printed=out.getvalue(), shapes=_shapes(exercise, inputs))
        return Outcome(error=error, printed=out.getvalue())
    parts, refused = _parts(exercise, result)
    names = _argument_names(exercise)
    pairs = zip(names, inputs, given, strict=False)
    changed = next((name for name, old, new in pairs if _differ(old, new)), "")
    return Outcome(parts, None, refused, changed, out.getvalue())


class _Beginning(io.StringIO):
    """Keeps the beginning of what is printed: a loop may print without an end."""

    def write(self, text: str) -> int:
        if self.tell() < 10_000:
            super().write(text)
        return len(text)


@contextlib.contextmanager
def quiet() -> Any:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _argument_names(exercise: Exercise) -> list[str]:
    code = exercise.ask.__code__
    return list(code.co_varnames[: code.co_argcount])


def _shapes(exercise: Exercise, inputs: Inputs) -> str:
    """ "q (1, 2, 4), k (1, 3, 4)": the arrays among the arguments."""
    pairs = zip(_argument_names(exercise), inputs, strict=False)
    return ", ".join(f"{name} {x.shape}" for name, x in pairs if isinstance(x, np.ndarray))


def _differ(old: Any, new: Any) -> bool:
    if not isinstance(old, np.ndarray):
        return False
    return old.shape != new.shape or not np.array_equal(old, new, equal_nan=old.dtype.kind == "f")


def _parts(exercise: Exercise, result: Any) -> tuple[tuple[Array, ...], str]:
    """The arrays of a result; or why it is not what was asked for."""
    wanted = exercise.returns
    listed = "(" + ", ".join(wanted) + ")"
    if result is None:
        return (), "it returned None: does every path end with `return`?"
    if len(wanted) == 1:
        result = (result,)
    elif not isinstance(result, tuple | list):
        return (), f"expected a tuple {listed}, got {_kind(result)}"
    if len(result) != len(wanted):
        return (), f"expected {len(wanted)} results {listed}, got {len(result)}"
    parts = []
    for name, value in zip(wanted, result, strict=True):
        try:
            part = np.asarray(value)
        except ValueError:  # rows of unequal length
            return (), f"{name}: expected an array, got a list whose rows have unequal lengths"
        except Exception as error:  # as of a tensor that requires a gradient
            return (), f"{name}: expected an array, got {_kind(value)}, which says: {error}"
        if part.dtype.kind not in "fiubU":
            return (), f"{name}: expected an array of numbers, got {_kind(value)}"
        parts.append(part.copy())
    return tuple(parts), ""


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"a value of type {type(value).__name__}"


def shapes_differ(exercise: Exercise, hers: Outcome, right: Outcome) -> str:
    """What is wrong with shape or type; "" if nothing is."""
    for name, mine, part in zip(exercise.returns, hers.parts, right.parts, strict=True):
        if mine.shape != part.shape:
            return f"{name}: expected shape {part.shape}, got {mine.shape}"
        wanted, got = part.dtype.kind, mine.dtype.kind
        kinds = {"f": "f", "i": "iu", "u": "iu", "b": "b", "U": "U"}[wanted]
        # A single integer is told by its value, and the right numbers are right as integers.
        whole = got in "iu" and wanted == "f" and (not mine.ndim or np.array_equal(mine, part))
        if got not in kinds and not whole:
            names = {"f": "floating point numbers", "i": "integers", "b": "True or False"}
            names |= {"u": "integers", "U": "a string"}
            return f"{name}: expected {names[wanted]}, got {mine.dtype}"
    return ""


def close(mine: Array, right: Array, tolerance: float) -> bool:
    """The same shape, and the same numbers up to `tolerance` of the largest one."""
    if mine.shape != right.shape or (mine.dtype.kind == "U") != (right.dtype.kind == "U"):
        return False
    if right.dtype.kind == "U":
        return bool(np.all(mine == right))
    return bool(np.all(places(mine, right, tolerance)))


def places(mine: Array, right: Array, tolerance: float) -> Array:
    """Where the two agree; equal infinities do, and so do NaNs."""
    mine, right = mine.astype(np.float64), right.astype(np.float64)
    finite = np.abs(right[np.isfinite(right)])
    size = max(float(finite.max(initial=0.0)), 1e-3)
    with np.errstate(all="ignore"):
        near = np.abs(mine - right) <= tolerance * size
    return near | (mine == right) | (np.isnan(mine) & np.isnan(right))


def same(exercise: Exercise, one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes are the same: equal arrays, or the same kind of error."""
    if one.error is not None or other.error is not None:
        return type(one.error) is type(other.error)
    if one.refused or other.refused:
        return one.refused == other.refused
    return one.changed == other.changed and all(
        close(a, b, exercise.tolerance) and (a.dtype.kind == "f") == (b.dtype.kind == "f")
        for a, b in zip(one.parts, other.parts, strict=True)
    )
