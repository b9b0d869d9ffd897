"""Floor 5: modules by PyTorch's names. Read module.py first, then linear.py and rnn.py."""

from tinyattn.nn import functional, init, utils
from tinyattn.nn.activation import LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from tinyattn.nn.containers import ModuleDict, ModuleList, Sequential
from tinyattn.nn.dropout import Dropout
from tinyattn.nn.linear import Identity, Linear
from tinyattn.nn.loss import CrossEntropyLoss, NLLLoss
from tinyattn.nn.module import Module
from tinyattn.nn.normalization import LayerNorm, RMSNorm
from tinyattn.nn.parameter import Parameter
from tinyattn.nn.rnn import GRU, GRUCell
from tinyattn.nn.sparse import Embedding

__all__ = [
    "GRU",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "GRUCell",
    "Identity",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "functional",
    "init",
    "utils",
]
