"""What happened in one translation, as plain lists and arrays: `Trace`. A page is drawn from it.

Look first at the fields of `Trace`. Letters: Tk source tokens, Tq target tokens (the end of the
sentence is one of them), K alternatives or hypotheses, L layers, h heads, H units of a state.
"""

import json
from dataclasses import dataclass, field, fields
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np

from tinyattn._serialization import write_aside
from tinyattn.kernels._types import Array


@dataclass(frozen=True)
class Trace:
    """A translation and everything that a model did for it.

    Raises ValueError, which names the field, for arrays whose shapes do not fit the tokens.

    >>> from tinyattn.viz import Trace
    >>> trace = Trace("书", "book", ["书"], ["book"], attention={"cross": [[[[1.0]]]]})
    >>> trace.effective_words()
    array([1.])
    """

    sentence: str
    translation: str
    source: list[str]  # Tk tokens
    target: list[str]  # Tq tokens
    # By name: "cross" (L, h, Tq, Tk), and of a Transformer "encoder" (L, h, Tk, Tk) and "decoder"
    # (L, h, Tq, Tq). A recurrent model has one layer and one head.
    attention: dict[str, Array]
    probabilities: Array | None = None  # (Tq,) of each target token, given those before it
    entropies: Array | None = None  # (Tq,) of the distribution it was taken from, in nats
    alternatives: list[list[str]] | None = None  # (Tq, K) the most probable tokens at each step
    alternative_probabilities: Array | None = None  # (Tq, K)
    # (Tq, Tk): the probability of each target token if this source token is hidden from the model
    covered: Array | None = None
    # "encoder" and "decoder", and in each by name the gates and "state" (L * directions, T, H)
    gates: dict[str, dict[str, Array]] = field(default_factory=dict)
    # What beam search did, as in tinyattn.text.Beam: tokens, parents and sums (steps, K); score,
    # step and slot of each hypothesis that ended. The token "" is an empty slot.
    beam: dict[str, Any] | None = None

    # Where tokens are pieces of words: for "source" and "target" the "starts" of words among the
    # tokens, and their "texts".
    words: dict[str, dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        for name in ("attention", "gates"):
            object.__setattr__(self, name, _as_arrays(getattr(self, name)))
        for name in ("probabilities", "entropies", "alternative_probabilities", "covered"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name)))
        Tk, Tq = len(self.source), len(self.target)
        if "cross" not in self.attention:
            raise ValueError(f"attention: expected 'cross' in it, got {list(self.attention)}")
        sides = {"cross": (Tq, Tk), "encoder": (Tk, Tk), "decoder": (Tq, Tq)}
        for name, weights in self.attention.items():
            if name not in sides:
                raise ValueError(f"attention: expected names of {list(sides)}, got {name!r}")
            if weights.ndim != 4 or 0 in weights.shape[:2] or weights.shape[2:] != sides[name]:
                raise ValueError(
                    f"attention: expected {name} of shape (L, h, {sides[name][0]}, "
                    f"{sides[name][1]}), got {weights.shape}"
                )
            if not ((weights >= 0) & (weights <= 1 + 1e-3)).all():
                raise ValueError(f"attention: expected numbers from 0 to 1 in {name}")
        if not (Tk and Tq):
            raise ValueError(f"source, target: expected at least one token each, got {Tk}, {Tq}")
        if (self.alternatives is None) != (self.alternative_probabilities is None):
            raise ValueError("alternatives: expected them with alternative_probabilities")
        K = len(self.alternatives[0]) if self.alternatives else 0
        if any(len(row) != K for row in self.alternatives or ()):
            raise ValueError(f"alternatives: expected {K} at each step, as at the first")
        shapes = {
            "probabilities": (Tq,),
            "entropies": (Tq,),
            "alternatives": (Tq,),
            "alternative_probabilities": (Tq, K),
            "covered": (Tq, Tk),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            found = (len(value),) if isinstance(value, list) else getattr(value, "shape", shape)
            if found != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {found}")

        for side, tokens in ("source", self.source), ("target", self.target):
            if self.words is not None:
                starts, texts = self.words[side]["starts"], self.words[side]["texts"]
                grows = all(a < b for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True))
                if starts[:1] != [0] or not grows or len(texts) != len(starts):
                    raise ValueError(
                        f"words: expected {side} starts that grow from 0 to below {len(tokens)}, "
                        f"and a text for each, got {starts} and {texts}"
                    )

    def effective_words(self) -> Array:
        """exp(H) of the attention to the source (Tq,), the mean over layers and heads: to how many
        words it would be spread if each got the same weight."""
        return np.exp(entropy(self.attention["cross"].mean((0, 1))))

    def to_dict(self) -> dict[str, Any]:
        """The fields as dicts, lists, strings and numbers: what JSON has."""
        return {one.name: _as_lists(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Self:
        """The trace of what `to_dict` gave. Raises ValueError for anything else."""
        names = {one.name for one in fields(cls)}
        if not isinstance(found, dict) or not found.keys() <= names:
            raise ValueError(f"trace: expected a dict of {sorted(names)}")
        try:
            return cls(**found)
        except TypeError as error:
            raise ValueError(f"trace: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the trace: as JSON if the name ends with .json, else as NumPy's npz, in which each
        array has its name ("attention.cross") and all text stands in "text", as JSON."""
        path = Path(path)
        if path.suffix == ".json":
            text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
            write_aside(path, f"{text}\n".encode())
            return
        arrays: dict[str, Any] = {}
        text = json.dumps({one.name: _apart(one.name, getattr(self, one.name), arrays)
                           for one in fields(self)})  # fmt: skip
        for name, array in arrays.items():
            if array.dtype.hasobject:  # NumPy would pickle it, and `load` would refuse the file
                raise ValueError(f"{name}: expected an array of numbers, got one of objects")
        content = BytesIO()
        np.savez_compressed(content, text=np.array(text), **arrays)
        write_aside(path, content.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The trace that `save` wrote. Raises ValueError where the file holds none."""
        path = Path(path)
        try:
            if path.suffix == ".json":
                return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
            with np.load(path) as arrays:
                return cls.from_dict(_together("", json.loads(str(arrays["text"])), arrays))
        except (ValueError, KeyError, EOFError) as error:
            raise ValueError(f"{path}: expected a trace: {error}") from None


def entropy(p: Array) -> Array:
    """-sum p log p over the last axis, in nats."""
    p = np.asarray(p, np.float64)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def _as_arrays(value: Any) -> Any:
    """Dicts of arrays, from dicts of anything that NumPy takes."""
    if isinstance(value, dict):
        return {name: _as_arrays(one) for name, one in value.items()}
    return np.asarray(value)


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_lists(one) for name, one in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _apart(name: str, value: Any, arrays: dict[str, Array]) -> Any:
    """The value with None for each of its arrays, which go to `arrays` under dotted names."""
    if isinstance(value, dict):
        return {key: _apart(f"{name}.{key}", one, arrays) for key, one in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    arrays[name] = value
    return None


def _together(name: str, value: Any, arrays: Any) -> Any:
    """The value with its arrays again."""
    if isinstance(value, dict):
        return {
            key: _together(f"{name}.{key}".lstrip("."), one, arrays) for key, one in value.items()
        }
    return arrays[name] if value is None and name in arrays else value
