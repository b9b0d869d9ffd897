"""How exact every kernel is, held to a table; `python -m benchmarks.accuracy` prints what it is now
and says what is measured.
"""

from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import measure
from tinyattn.kernels import Backend

from . import calls

# The largest error in ULP: native float32, float64, numba float32, float64, numpy float32, float64.
# Powers of two, at least 1.4 times what was measured, at the worst instruction set.
BOUNDS = {
    "adam": (16, 8, 16, 8, 8, 8),
    "additive": (2, 4, 4, 2, 2, 4),
    "additive_backward": (8, 16, 16, 16, 8, 8),
    "attention": (32, 32, 32, 32, 16, 32),
    "attention_backward": (128, 128, 32, 16, 128, 128),
    "cross_entropy": (8, 32, 4, 4, 4, 4),
    "embedding_backward": (8, 8, 8, 8, 8, 8),
    "global_norm": (4, 2, 4, 2, 1, 1),
    "gru": (16, 16, 16, 32, 8, 8),
    "gru_backward": (32, 32, 32, 32, 4, 4),
    "layer_norm": (8, 16, 8, 16, 8, 16),
    "layer_norm_backward": (32, 64, 16, 16, 16, 16),
    "log_softmax": (2, 2, 2, 2, 2, 2),
    "log_softmax_backward": (4, 2, 4, 4, 4, 4),
    "lstm": (16, 8, 16, 16, 16, 8),
    "lstm_backward": (16, 16, 16, 16, 16, 16),
    "matmul": (8, 8, 8, 8, 8, 8),
    "rms_norm": (4, 4, 2, 4, 2, 4),
    "rms_norm_backward": (8, 16, 8, 8, 8, 16),
    "scale": (2, 1, 2, 1, 2, 1),
    "sgd": (2, 2, 2, 2, 2, 2),
    "softmax": (2, 4, 16, 16, 4, 4),
    "softmax_backward": (2, 2, 1, 4, 2, 2),
}


@pytest.mark.parametrize("kernel", calls.kernels())
def test_errors_stay_below_the_table(kernels: Backend, dtype: Any, kernel: str) -> None:
    if dtype is np.float64 and np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("this machine has nothing finer than float64")
    column = 2 * ["native", "numba", "numpy"].index(kernels.name) + (dtype is np.float64)
    error = measure(kernel, dtype, (kernels.name,))[kernels.name]
    assert error <= BOUNDS[kernel][column]
