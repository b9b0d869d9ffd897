"""The functions behind the modules, by PyTorch's names: a table that points to ops/."""

from tinyattn.ops.activations import (
    elu,
    gelu,
    glu,
    leaky_relu,
    logsigmoid,
    relu,
    silu,
    softplus,
    softsign,
)
from tinyattn.ops.elementwise import sigmoid, tanh
from tinyattn.ops.indexing import embedding, one_hot
from tinyattn.ops.losses import cross_entropy, nll_loss
from tinyattn.ops.normalising import layer_norm, log_softmax, rms_norm, softmax
from tinyattn.ops.products import linear
from tinyattn.ops.random import dropout

__all__ = [
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "glu",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "nll_loss",
    "one_hot",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]
