"""Floor 5: modules by PyTorch's names. Read module.py first, then linear.py and rnn.py."""

from tinyattn.nn import functional, init, utils
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
from tinyattn.nn.containers import ModuleDict, ModuleList, Sequential
from tinyattn.nn.conv import Conv1d
from tinyattn.nn.dropout import Dropout
from tinyattn.nn.linear import Identity, Linear
from tinyattn.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tinyattn.nn.module import Module
from tinyattn.nn.normalization import LayerNorm, RMSNorm
from tinyattn.nn.parameter import Parameter
from tinyattn.nn.rnn import GRU, GRUCell
from tinyattn.nn.sparse import Embedding

__all__ = [
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "BCEWithLogitsLoss",
    "Conv1d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "GRUCell",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "functional",
    "init",
    "utils",
]
