"""PyTorch's `torch.nn.modules`: every file in it stands for all files of tinyattn.nn, so that
`from tinyattn.nn.modules.loss import _Loss` finds the class in loss.py. New code needs none of it.
"""

import sys
from typing import Any

from tinyattn.compat.missing import NN, refuse
from tinyattn.nn import loss

FILES = (
    *("activation", "batchnorm", "container", "conv", "distance", "dropout", "flatten", "linear"),
    *("loss", "module", "normalization", "pooling", "rnn", "sparse", "transformer"),
)

_HERE = sys.modules[__name__]
for _file in FILES:
    sys.modules[f"{__name__}.{_file}"] = _HERE
_missing = refuse(__name__, NN)


def __getattr__(name: str) -> Any:
    """A file of PyTorch's, a class of tinyattn.nn, or a class that losses are derived from."""
    if name in FILES:
        return _HERE
    if name in ("_Loss", "_WeightedLoss"):
        return getattr(loss, name)
    if name in sys.modules["tinyattn.nn"].__all__:
        return getattr(sys.modules["tinyattn.nn"], name)
    return _missing(name)
