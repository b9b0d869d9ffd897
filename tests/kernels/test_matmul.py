"""Products whose sums are longer than a block of terms: what the additions of blocks round away
comes back in the end, however the matrices lie and wherever the blocks are cut.
"""

from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend

from .cases import rng

LAYOUTS = {"rows": np.ascontiguousarray, "columns": np.asfortranarray}
# Rows and columns of the result: fewer than a tile has, some tiles and a bit, more columns than a
# block has. Where P is odd, the last vector is never whole.
SHAPES = [(3, 11), (1, 12), (7, 11), (7, 12), (9, 150), (9, 210), (5, 521), (5, 522)]


def long_sums(M: int, P: int, block: int, dtype: Any) -> list[np.ndarray]:
    """a (M, K), b (K, P), a bias, and a b + bias without any rounding; K is almost four blocks.

    All are whole numbers; but the first block of each sum is 2^60 and the last one -2^60, beside
    which a float has no room for the others. In the first row it is infinity, and so is the result.
    """
    r, K = rng(130), 4 * block - 3
    a, b = r.integers(-3, 4, size=(M, K)), r.integers(-3, 4, size=(K, P))
    bias = r.integers(-9, 10, size=P)
    a[:, :block] = a[:, 3 * block :] = 0
    b[0] = b[-1] = 1
    want = (a @ b + bias).astype(dtype)
    a, b, bias = a.astype(dtype), b.astype(dtype), bias.astype(dtype)
    a[:, 0], a[:, -1] = 2.0**60, -(2.0**60)
    if M > 1:
        a[0, 0] = want[0] = np.inf
    return [a, b, bias, want]


@pytest.mark.parametrize("of_a", LAYOUTS)
@pytest.mark.parametrize("of_b", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_of_blocks_lose_nothing(
    native: Backend, dtype: Any, shape: tuple[int, int], of_a: str, of_b: str
) -> None:
    M, P = shape
    block = 2048 // np.dtype(dtype).itemsize
    a, b, bias, want = long_sums(M, P, block, dtype)
    a, b = LAYOUTS[of_a](a), LAYOUTS[of_b](b)
    packings: dict[Any, Any] = {}  # b is packed when it is used for the second time
    for _ in range(2):
        np.testing.assert_array_equal(native.matmul(a, b, bias, packings), want)
    np.testing.assert_array_equal(native.matmul(a, b, None, packings), want - bias)


@pytest.mark.parametrize("of_a", LAYOUTS)
def test_dot_products_of_blocks_lose_nothing(native: Backend, dtype: Any, of_a: str) -> None:
    a, b, bias, want = long_sums(3, 1, 4096, dtype)
    np.testing.assert_array_equal(native.matmul(LAYOUTS[of_a](a), b, bias), want)
