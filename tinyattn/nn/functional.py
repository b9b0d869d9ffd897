"""The functions behind the modules, by PyTorch's names. This file is a list only: ops/ defines each
function, with its gradient derived above it."""

from typing import TYPE_CHECKING

from tinyattn.compat.missing import NN, refuse
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
from tinyattn.ops.attention import scaled_dot_product_attention
from tinyattn.ops.bags import embedding_bag
from tinyattn.ops.composed import gumbel_softmax
from tinyattn.ops.convolution import conv1d, pad
from tinyattn.ops.elementwise import sigmoid, tanh
from tinyattn.ops.indexing import embedding, one_hot
from tinyattn.ops.losses import cross_entropy, nll_loss
from tinyattn.ops.normalising import (
    batch_norm,
    cosine_similarity,
    layer_norm,
    log_softmax,
    normalize,
    pairwise_distance,
    rms_norm,
    softmax,
)
from tinyattn.ops.pointwise_losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from tinyattn.ops.pooling import adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d, max_pool1d
from tinyattn.ops.products import linear
from tinyattn.ops.random import dropout
from tinyattn.ops.scores import attention, scores

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "attention",
    "avg_pool1d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "embedding_bag",
    "gelu",
    "glu",
    "gumbel_softmax",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "relu",
    "rms_norm",
    "scaled_dot_product_attention",
    "scores",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]

if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, NN)
