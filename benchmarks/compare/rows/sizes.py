"""Time against size, forward only, since NumPy has no more: docs/speed.md plots these."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.compare.case import Call, Case, normal

COLUMNS = 100
ELEMENTS = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]
SQUARE = "product n x n"
SQUARES = [16, 32, 64, 128, 256, 512, 1024, 2048]


def numpy_softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numpy_layer_norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


# By the name of a panel: for the library, and for NumPy.
OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "x + x": (lambda t, x: x + x, lambda x: x + x),
    "tanh": (lambda t, x: x.tanh(), np.tanh),
    "sum, dim 1": (lambda t, x: x.sum(1), lambda x: x.sum(1)),
    "softmax": (lambda t, x: x.softmax(-1), numpy_softmax),
    "layer norm": (
        lambda t, x: t.nn.functional.layer_norm(x, x.shape[-1:]),
        numpy_layer_norm,
    ),
    SQUARE: (lambda t, x: t.matmul(x, x), lambda x: x @ x),
}


def _case(panel: str, label: str, shape: tuple[int, int]) -> Case:
    ours, numpys = OPERATIONS[panel]

    def setup(lib: Any) -> Call:
        x = lib.tensor(normal(*shape))
        return lambda: ours(lib, x)

    def numpy() -> Call:
        x = normal(*shape)
        return lambda: numpys(x)

    products = 2.0 * shape[0] ** 3 if panel == SQUARE else 0.0
    return Case("sizes", f"{panel}: {label}", setup, own={"numpy": numpy}, flops=products)


CASES = [
    *(
        _case(panel, f"{count:,}", (count // COLUMNS, COLUMNS))
        for panel in OPERATIONS
        if panel != SQUARE
        for count in ELEMENTS
    ),
    *(_case(SQUARE, f"{n:,}", (n, n)) for n in SQUARES),
]
