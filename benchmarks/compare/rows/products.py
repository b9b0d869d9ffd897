"""Products at the sizes that training has, each as the three products of a Linear layer.

Of M rows, K inputs and P outputs: forward x W^T, backward dy W and dy^T x. PyTorch and NumPy take
transposed operands as they are, and so do we.
"""

from typing import Any

import numpy as np

from benchmarks.compare.case import Call, Case, normal

LAYERS = [
    (64, 256, 768),
    (64, 512, 1536),
    (64, 1024, 5921),
    (300, 512, 1537),
    (768, 256, 1024),
    (850, 1024, 5921),
    (1000, 512, 512),
    (1999, 257, 1021),
    (2000, 512, 4001),
]
WAYS = {
    "x W'": ("MK", "PK", lambda a, b: (a, b.T)),
    "dy W": ("MP", "PK", lambda a, b: (a, b)),
    "dy' x": ("MP", "MK", lambda a, b: (a.T, b)),
}


def _case(layer: tuple[int, int, int], way: str) -> Case:
    M, K, P = layer
    first, second, turn = WAYS[way]
    sizes = dict(zip("MKP", layer, strict=True))

    def operands() -> tuple[np.ndarray, np.ndarray]:
        a, b = (normal(*(sizes[letter] for letter in shape)) for shape in (first, second))
        return a, b

    def product(lib: Any) -> Call:
        a, b = turn(*(lib.tensor(x) for x in operands()))
        return lambda: lib.matmul(a, b)

    def numpy() -> Call:
        a, b = turn(*operands())
        return lambda: np.matmul(a, b)

    name = f"{way} of {M} rows, {K} to {P}"
    return Case("products", name, product, own={"numpy": numpy}, flops=2.0 * M * K * P)


CASES = [_case(layer, way) for layer in LAYERS for way in WAYS]
