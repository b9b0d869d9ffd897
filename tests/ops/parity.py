"""One case, run here and in torch: values, dtypes, shapes, gradients and errors are the same.

A case is a function of a library (tinyattn or torch) and its tensors: `lambda t, x: t.sum(x, 0)`.
The comparison is that of tests/parity/harness.py.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def same_as_torch(torch: Any, case: Callable[..., Any], *arrays: np.ndarray) -> None:
    """`torch` is the fixture, which skips the test where PyTorch is not installed."""
    from tests.parity.harness import Call, Entry, compare

    call = Call(*arrays)
    compare("case", case, Entry(lambda d: call, layouts=False, leaves=1.0), call, [])
