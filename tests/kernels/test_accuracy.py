"""How exact every kernel is, held to a table; `python -m benchmarks.accuracy` prints what it is now
and says what is measured.
"""

from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import MEASURED, measure
from tinyattn.kernels import Backend

# The largest error in ULP: native float32, float64, numba float32, float64, numpy float32, float64.
# Powers of two, at least 1.4 times what was measured at the worst instruction set; twice that for
# NumPy, whose products are not the same on every machine.
BOUNDS = {
    "adam": (16, 8, 16, 8, 16, 16),
    "additive": (2, 4, 4, 2, 4, 8),
    "additive_backward": (8, 16, 16, 16, 16, 16),
    "attention": (32, 32, 32, 32, 32, 64),
    "attention_backward": (128, 128, 32, 16, 256, 256),
    "convert": (2, 2, 2, 2, 2, 2),
    "copy": (2, 2, 2, 2, 2, 2),
    "cosine": (8, 8, 8, 8, 8, 8),
    "cosine_backward": (8, 32, 8, 32, 8, 32),
    "cross_entropy": (8, 32, 4, 4, 8, 8),
    "cumprod": (2, 128, 2, 128, 2, 128),
    "cumprod_backward": (2, 8, 2, 8, 2, 8),
    "cumsum": (2, 2, 2, 2, 2, 2),
    "dropout": (2, 2, 2, 2, 2, 2),
    "elementwise": (16, 16, 16, 16, 16, 16),
    "elementwise_sum": (8, 8, 8, 8, 8, 8),
    "embedding_backward": (8, 8, 8, 8, 16, 16),
    "extreme": (2, 2, 2, 2, 2, 2),
    "fill": (2, 2, 2, 2, 2, 2),
    "gather": (2, 2, 2, 2, 2, 2),
    "global_norm": (4, 2, 4, 2, 2, 2),
    "glu": (2, 2, 2, 2, 2, 2),
    "glu_backward": (4, 4, 2, 8, 4, 8),
    "gru": (16, 16, 16, 32, 16, 16),
    "gru_gates": (16, 16, 16, 16, 16, 16),
    "gru_backward": (32, 32, 32, 32, 8, 8),
    "int8_linear": (2, 2, 2, 2, 2, 2),
    "int8_rows": (2, 2, 2, 2, 2, 2),
    "layer_norm": (8, 16, 8, 16, 16, 32),
    "layer_norm_backward": (32, 64, 16, 16, 32, 32),
    "log_softmax": (2, 2, 2, 2, 4, 4),
    "log_softmax_backward": (4, 2, 4, 4, 8, 8),
    "logsumexp": (2, 2, 2, 2, 2, 2),
    "lstm": (16, 8, 16, 16, 32, 16),
    "lstm_gates": (16, 16, 16, 16, 16, 16),
    "lstm_backward": (16, 16, 16, 16, 32, 32),
    "magnitudes": (2, 2, 2, 2, 2, 2),
    "matmul": (8, 8, 8, 8, 16, 16),
    "max_pool": (2, 2, 2, 2, 2, 2),
    "max_pool_backward": (2, 4, 2, 4, 2, 4),
    "mean_pool": (2, 2, 2, 2, 2, 8),
    "mean_pool_backward": (2, 4, 2, 4, 2, 8),
    "moments": (64, 8, 8, 8, 8, 8),
    "moments_backward": (2, 2, 2, 2, 2, 2),
    "nll_loss": (2, 2, 2, 2, 2, 2),
    "nll_loss_backward": (2, 2, 2, 2, 2, 2),
    "norm": (2, 2, 2, 2, 2, 2),
    "normalize": (2, 4, 2, 4, 2, 4),
    "normalize_backward": (8, 8, 8, 8, 8, 8),
    "pairwise": (2, 2, 2, 2, 2, 2),
    "pairwise_backward": (4, 4, 4, 4, 4, 4),
    "place": (2, 2, 2, 2, 2, 2),
    "prod": (2, 128, 2, 128, 2, 128),
    "prod_backward": (2, 128, 2, 128, 2, 256),
    "products": (2, 4, 2, 4, 2, 4),
    "rms_norm": (4, 4, 2, 4, 4, 8),
    "rms_norm_backward": (8, 16, 8, 8, 16, 32),
    "scale": (2, 2, 2, 2, 4, 2),
    "scatter": (2, 2, 2, 2, 2, 2),
    "scatter_add": (2, 2, 2, 2, 2, 2),
    "sgd": (2, 2, 2, 2, 4, 4),
    "softmax": (2, 4, 16, 16, 8, 8),
    "softmax_backward": (2, 2, 2, 4, 4, 4),
    "sum": (2, 2, 2, 2, 2, 2),
    "topk": (2, 2, 2, 2, 2, 2),
    "triangle": (2, 2, 2, 2, 2, 2),
}


@pytest.mark.parametrize("kernel", MEASURED)
def test_errors_stay_below_the_table(kernels: Backend, dtype: Any, kernel: str) -> None:
    if dtype is np.float64 and np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("this machine has nothing finer than float64")
    column = 2 * ["native", "numba", "numpy"].index(kernels.name) + (dtype is np.float64)
    error = measure(kernel, dtype, (kernels.name,))[kernels.name]
    assert error <= BOUNDS[kernel][column]
