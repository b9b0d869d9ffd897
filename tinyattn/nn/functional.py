"""The functions behind the modules, by PyTorch's names: a table that points to ops/."""

from tinyattn.ops.elementwise import relu, sigmoid, tanh
from tinyattn.ops.indexing import embedding, one_hot
from tinyattn.ops.losses import cross_entropy, nll_loss
from tinyattn.ops.normalising import layer_norm, log_softmax, rms_norm, softmax
from tinyattn.ops.products import linear
from tinyattn.ops.random import dropout

__all__ = [
    "cross_entropy",
    "dropout",
    "embedding",
    "layer_norm",
    "linear",
    "log_softmax",
    "nll_loss",
    "one_hot",
    "relu",
    "rms_norm",
    "sigmoid",
    "softmax",
    "tanh",
]
