"""Modules by PyTorch's names: layers with parameters, containers, losses. Read module.py first,
which says what a module is, then linear.py, the simplest, and rnn.py."""

from typing import TYPE_CHECKING

from tinyattn.compat.missing import NN, refuse
from tinyattn.nn import functional, init, modules, shrink, utils
from tinyattn.nn.activation import (
    ELU,
    GELU,
    GLU,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from tinyattn.nn.attention import Attention, KeyValueCache, MultiheadAttention
from tinyattn.nn.containers import (
    DataParallel,
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from tinyattn.nn.conv import Conv1d, LazyConv1d
from tinyattn.nn.distance import CosineSimilarity, PairwiseDistance
from tinyattn.nn.dropout import Dropout
from tinyattn.nn.linear import Flatten, Identity, LazyLinear, Linear, Unflatten
from tinyattn.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tinyattn.nn.module import Module
from tinyattn.nn.normalization import BatchNorm1d, LayerNorm, RMSNorm
from tinyattn.nn.parameter import Parameter
from tinyattn.nn.pooling import AdaptiveAvgPool1d, AdaptiveMaxPool1d, AvgPool1d, MaxPool1d
from tinyattn.nn.positions import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    apply_rotary,
)
from tinyattn.nn.rnn import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    RNNBase,
    RNNCell,
)
from tinyattn.nn.sparse import Embedding, EmbeddingBag
from tinyattn.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool1d",
    "AdaptiveMaxPool1d",
    "Attention",
    "AvgPool1d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "Conv1d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "DataParallel",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GRUCell",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "KeyValueCache",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LazyConv1d",
    "LazyLinear",
    "LeakyReLU",
    "LearnedPositions",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "PairwiseDistance",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RMSNorm",
    "RNNBase",
    "RNNCell",
    "ReLU",
    "RotaryPositions",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "apply_rotary",
    "functional",
    "init",
    "modules",
    "shrink",
    "utils",
]

if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, NN)
