"""One call, made here and in torch: results, dtypes, shapes, gradients and errors are the same.

A table maps a name to an Entry: how arguments are drawn, and calls that are wrong. `compare` makes
one call in both libraries; look at it first.
"""

import os
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import tinyattn as ta

from .draw import Draw

CASES = int(os.environ.get("PARITY_CASES", "40"))  # for each form of a name
COUNTS: Counter = Counter()  # name: comparisons made
KINDS = (IndexError, TypeError, ValueError, KeyError, AssertionError, RuntimeError)


class Call:
    """Positional and named arguments; arrays become tensors, an `Of` what it gives."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args = tuple(map(whole, args))
        self.options = {name: whole(value) for name, value in options.items()}

    def __repr__(self) -> str:
        parts = [show(arg) for arg in self.args]
        return ", ".join(parts + [f"{name}={show(v)}" for name, v in self.options.items()])


def whole(value: Any) -> Any:
    """What NumPy made a scalar of is an array without axes."""
    return np.asarray(value) if isinstance(value, np.generic) else value


class Of:
    """An argument that each library has of its own: `Of("float64")`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Const:
    """An array that needs no gradient and stands plainly in memory."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __repr__(self) -> str:
        return show(self.array)


def show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape} {np.array2string(value.ravel()[:8], precision=3)}>"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(show, value))}]"
    return repr(value)


@dataclass
class Entry:
    """`draw(d)` gives a Call; each of `wrong` takes a library and must raise in both.

    `forms` names how the call is made, {label: f(library, *args, **options)}; left out: as a
    function, as one of nn.functional and as a method, wherever both libraries have it.
    """

    draw: Callable[[Any], Call]
    wrong: tuple[Callable[[Any], Any], ...] = ()
    forms: dict[str, Callable[..., Any]] | None = None
    tolerance: float = 1.0
    cases: int = CASES
    layouts: bool = True
    gradients: bool = True
    leaves: float = 0.85  # the share of the float arrays that need gradients


@dataclass
class Mismatch(Exception):
    what: str
    ours: Any
    theirs: Any
    where: str = field(default="")

    def __str__(self) -> str:
        return f"{self.where}\n    {self.what}\n    ours:   {self.ours}\n    torch's: {self.theirs}"


def seeded(*names: Any) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(str(name).encode()) for name in names])


# Arguments


class Builder:
    """Makes the tensors of a call in one library; the same seed makes the same choices."""

    def __init__(self, lib: Any, seed: list[Any], entry: Entry) -> None:
        self.lib, self.entry = lib, entry
        self.rng = seeded(*seed)
        self.leaves: list[Any] = []

    def __call__(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self.tensor(value)
        if isinstance(value, Const):
            return self.lib.tensor(value.array)
        if isinstance(value, Of):
            return getattr(self.lib, value.name)
        if isinstance(value, (list, tuple)):
            return type(value)(self(part) for part in value)
        return value

    def tensor(self, array: np.ndarray) -> Any:
        """A leaf, or a view of one in another layout: transposed, strided, behind an offset."""
        layout, needs = self.rng.random(), self.rng.random() < self.entry.leaves
        layout = layout if self.entry.layouts and array.ndim else 1.0
        axes = tuple(range(array.ndim))[::-1]
        base = array
        if layout < 0.2:
            base = np.ascontiguousarray(array.transpose(axes))
        elif layout < 0.3:
            base = np.repeat(array, 2, axis=-1)
        elif layout < 0.4:
            base = np.concatenate([array[:1], array])
        leaf = self.lib.tensor(base)
        if needs and self.entry.gradients and base.dtype.kind == "f":
            leaf.requires_grad_()
            self.leaves.append(leaf)
        if layout < 0.2:
            return leaf.permute(axes)
        if layout < 0.3:
            return leaf[..., ::2]
        if layout < 0.4:
            return leaf[len(array[:1]) :]
        return leaf


# Results


def is_tensor(value: Any) -> bool:
    return isinstance(value, (ta.Tensor, torch.Tensor))


def flat(result: Any) -> list[Any]:
    """What a nest of results holds, in order; a tuple is told from its parts by its length."""
    if isinstance(result, dict):
        return [part for key, value in result.items() for part in [key, *flat(value)]]
    if isinstance(result, (tuple, list)):
        return [len(result), *(part for value in result for part in flat(value))]
    return [result]


def plain(value: Any) -> Any:
    """A bare result that compares: dtypes by name."""
    if isinstance(value, (torch.dtype, np.dtype)):
        return str(value).removeprefix("torch.")
    return value


def outcome(lib: Any, function: Callable, call: Call, builder: Builder) -> Any:
    """The parts of the result and the gradients of the leaves; or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            args = [builder(arg) for arg in call.args]
            options = {name: builder(value) for name, value in call.options.items()}
            result = function(lib, *args, **options)
            parts = flat(result)
            if builder.entry.gradients:
                descend(lib, parts)
    except Exception as error:
        return error
    return result, parts, [leaf.grad for leaf in builder.leaves]


def descend(lib: Any, parts: list[Any]) -> None:
    """Backward from all results at once, from cotangents that tell elements apart."""
    total = None
    for y in parts:
        if is_tensor(y) and y.requires_grad:
            array = y.detach().numpy()
            weights = np.cos(np.arange(array.size)).reshape(array.shape).astype(array.dtype)
            term = (y * lib.tensor(weights)).sum()
            total = term if total is None else total + term
    if total is not None:
        total.backward()


def same_value(what: str, ours: Any, theirs: Any, tolerance: float) -> None:
    if is_tensor(theirs) != is_tensor(ours):
        raise Mismatch(f"{what}: its type", type(ours), type(theirs))
    if not is_tensor(theirs):
        ours, theirs = plain(ours), plain(theirs)
        close = isinstance(theirs, float) and isinstance(ours, float)
        if not (ours == theirs or (close and np.allclose(ours, theirs, 1e-6, equal_nan=True))):
            raise Mismatch(what, ours, theirs)
        return
    facts = [
        (tuple(t.shape), str(t.dtype).removeprefix("torch."), t.requires_grad)
        for t in (ours, theirs)
    ]
    if facts[0] != facts[1]:
        raise Mismatch(f"{what}: shape, dtype, requires_grad", *facts)
    same_array(what, ours.detach().numpy(), theirs.detach().numpy(), tolerance)


def same_array(what: str, a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    if b.dtype.kind != "f":
        equal = np.array_equal(a, b)
    else:
        finite = np.abs(b[np.isfinite(b)])
        scale = min(max(1.0, finite.max(initial=0.0)), 1e6)
        tolerance = max(tolerance, 1e5) if b.dtype == np.float32 else tolerance
        tolerance *= 1e-10
        equal = np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
    if not equal:
        raise Mismatch(f"{what}: values", a.tolist(), b.tolist())


def kind(error: BaseException) -> type:
    return next((k for k in KINDS if isinstance(error, k)), type(error))


def same_error(ours: Any, theirs: Any) -> None:
    if not isinstance(ours, kind(theirs)):
        texts = [repr(e)[:200] if isinstance(e, Exception) else "none" for e in (ours, theirs)]
        raise Mismatch("the error", *texts)


def compare(where: str, form: Callable, entry: Entry, call: Call, seed: list[Any]) -> None:
    """The same call in both libraries."""
    narrow = any("float32" in text for text in map(show, (*call.args, *call.options.values())))
    tolerance = entry.tolerance * (1e5 if narrow else 1)
    try:
        ours, theirs = (outcome(lib, form, call, Builder(lib, seed, entry)) for lib in (ta, torch))
        if isinstance(theirs, Exception) or isinstance(ours, Exception):
            same_error(ours, theirs)
            return
        if len(ours[1]) != len(theirs[1]):
            raise Mismatch("number of results", len(ours[1]), len(theirs[1]))
        for i, (a, b) in enumerate(zip(ours[1], theirs[1], strict=True)):
            same_value(f"result {i}", a, b, tolerance)
        for name in ("values", "indices"):
            if isinstance(theirs[0], tuple) and hasattr(theirs[0], name):
                same_value(name, getattr(ours[0], name), getattr(theirs[0], name), tolerance)
        for i, (a, b) in enumerate(zip(ours[2], theirs[2], strict=True)):
            if (a is None) != (b is None):
                raise Mismatch(f"gradient {i}", a, b)
            if a is not None:
                same_value(f"gradient {i}", a, b, tolerance)
    except Mismatch as mismatch:
        mismatch.where = f"{where}({call})"
        raise


# Forms


def in_place(name: str) -> Callable:
    def form(lib: Any, x: Any, *args: Any, **options: Any) -> Any:
        y = x.clone()
        result = getattr(y, name)(*args, **options)
        return result is y, y

    return form


def forms_of(name: str, entry: Entry) -> dict[str, Callable]:
    if entry.forms is not None:
        return entry.forms
    found: dict[str, Callable] = {}
    if hasattr(ta, name) and hasattr(torch, name):
        found[name] = lambda lib, *args, **options: getattr(lib, name)(*args, **options)
    if hasattr(ta.nn.functional, name) and hasattr(torch.nn.functional, name):
        found[f"nn.functional.{name}"] = lambda lib, *args, **options: getattr(
            lib.nn.functional, name
        )(*args, **options)
    if hasattr(ta.Tensor, name) and hasattr(torch.Tensor, name):
        found[f"Tensor.{name}"] = (
            in_place(name)
            if name.endswith("_") and not name.endswith("__")
            else lambda lib, x, *args, **options: getattr(x, name)(*args, **options)
        )
    return found


def mismatches(name: str, entry: Entry, title: str = "") -> list[Mismatch]:
    """Every form on every drawn call, then the wrong calls; counts what it compared as `title`."""
    title = title or name
    found = []
    forms = forms_of(name, entry)
    assert forms, f"{name}: tinyattn has no such name where torch has it"
    for label, form in forms.items():
        for i in range(entry.cases):
            call = entry.draw(Draw(seeded(name, i), i))
            if label.startswith("Tensor.") and not (
                call.args and isinstance(call.args[0], (np.ndarray, Const))
            ):
                continue
            try:
                compare(label, form, entry, call, [name, i])
            except Mismatch as mismatch:
                found.append(mismatch)
            COUNTS[title] += 1
    plainly = Entry(lambda d: Call(), layouts=False, gradients=False)
    for i, wrong in enumerate(entry.wrong):
        results = [
            outcome(lib, lambda lib, wrong=wrong: wrong(lib), Call(), Builder(lib, [], plainly))
            for lib in (ta, torch)
        ]
        assert isinstance(results[1], Exception), f"{name}: wrong call {i} is right in torch"
        try:
            same_error(*results)
        except Mismatch as mismatch:
            mismatch.where = f"{name}, wrong call {i}"
            found.append(mismatch)
        COUNTS[title] += 1
    return found
