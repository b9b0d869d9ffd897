"""Random arguments: shapes with empty and 0-d ones, ties, special values, every dtype."""

from typing import Any

import numpy as np


class Draw:
    """What an entry draws from; `i` is the number of the case, for what must come up surely."""

    def __init__(self, rng: np.random.Generator, i: int = 0) -> None:
        self.rng, self.i = rng, i

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rng, name)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def int(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def number(self, low: float = -2.0, high: float = 2.0) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def shape(self, low: int = 0, high: int = 3, empty: float = 0.08) -> tuple[int, ...]:
        """Of low to high axes; now and then one of them is 0."""
        shape = [self.int(1, 4) for _ in range(self.int(low, high))]
        if shape and self.chance(empty):
            shape[self.int(0, len(shape) - 1)] = 0
        return tuple(shape)

    def dtype(self, kinds: str = "f") -> str:
        """f float32 or float64, i int64 or int32, b bool; a letter twice is twice as likely."""
        kind = self.pick(*kinds)
        return {
            "f": self.pick("float32", "float64", "float64"),
            "d": "float64",
            "i": self.pick("int64", "int64", "int32"),
            "l": "int64",
            "b": "bool",
        }[kind]

    def array(
        self,
        shape: tuple[int, ...] | None = None,
        kinds: str = "f",
        values: str = "any",
        special: float = 0.0,
    ) -> np.ndarray:
        """`values`: any (often with ties and zeros), apart (no two equal), positive, unit [-1, 1].

        special: how likely NaN, infinities and zeros are among them.
        """
        shape = self.shape() if shape is None else shape
        dtype = self.dtype(kinds)
        n = int(np.prod(shape))
        if values == "apart":
            array = (self.rng.permutation(n) - n / 2 + 0.25) / 2
        elif values == "positive":
            array = self.rng.uniform(0.1, 3, n)
        elif values == "unit":
            array = self.rng.uniform(-1, 1, n)
        else:
            array = self.rng.standard_normal(n) * 1.5
            if self.chance(0.3):
                array = np.round(array)
        if dtype == "bool":
            array = array > 0
        elif dtype.startswith("int"):
            array = np.round(array * 2)
        elif n and self.chance(special):
            where = self.rng.integers(0, n, 2)
            array[where] = self.rng.choice([np.nan, np.inf, -np.inf, 0.0], 2)
        return array.reshape(shape).astype(dtype)

    def indices(self, high: int, shape: Any, negative: bool = False) -> np.ndarray:
        return self.rng.integers(-high if negative else 0, max(high, 1), shape)

    def broadcast(self, n: int, high: int = 3) -> list[tuple[int, ...]]:
        """n shapes that broadcast together, now and then not."""
        full = self.shape(0, high)
        shapes = []
        for _ in range(n):
            own = full[self.int(0, len(full)) if self.chance(0.4) else 0 :]
            shapes.append(tuple(1 if self.chance(0.2) else k for k in own))
        if full and self.chance(0.04):
            shapes[-1] = (*full[:-1], full[-1] + 2)
        return shapes

    def dim(self, ndim: int, wrong: float = 0.03) -> int:
        """An axis, from the front or from the back; now and then one that isn't there."""
        if self.chance(wrong):
            return self.pick(ndim + 1, -ndim - 2)
        return self.int(-max(ndim, 1), max(ndim, 1) - 1)

    def dims(self, ndim: int) -> tuple[int, ...]:
        """Several axes, none twice."""
        axes = self.rng.permutation(ndim)[: self.int(1, max(ndim, 1))]
        return tuple(int(a) - ndim * self.chance(0.5) for a in axes)
