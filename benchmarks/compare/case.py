"""What a row of the comparison is: read `Case` first, then a file of rows/.

`setup(lib)` gives the call that is timed. It takes the library as its argument, tinyattn or
PyTorch, so that both run the same lines. Only NumPy and JAX have lines of their own.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Call = Callable[[], Any]
OURS = "tinyattn"


class Case(NamedTuple):
    group: str
    name: str
    setup: Callable[[Any], Call]
    sides: tuple[str, ...] = (OURS, "torch")  # a ratio is the time of another over the first's
    own: dict[str, Callable[[], Call]] = {}  # noqa: RUF012  sides with code of their own: NumPy
    flops: float = 0.0  # of the products
    claimed: float = 0.0  # torch's time / ours, as the README had it before this table grew
    twin: bool = False  # also a row of Numba against C
    step: bool = False  # a training step: its memory is measured, too
    threads: int = 0  # 0: as many as there are cores
    memory: bool = False  # measures the peak of memory, not time


def cores() -> int:
    """The processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def there_and_back(leaves: list[Any], function: Call, gradient: Any) -> Call:
    """Forward and backward, with new gradients every time."""

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        function().backward(gradient)

    return call


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
