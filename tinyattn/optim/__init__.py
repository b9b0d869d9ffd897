"""Floor 6: optimisers by PyTorch's names. Read optimizer.py first, then rmsprop.py."""

from typing import TYPE_CHECKING

from tinyattn.compat.missing import OPTIM, refuse
from tinyattn.optim import lr_scheduler
from tinyattn.optim.adagrad import Adagrad
from tinyattn.optim.adam import Adam, AdamW
from tinyattn.optim.lbfgs import LBFGS
from tinyattn.optim.optimizer import Optimizer
from tinyattn.optim.rmsprop import RMSprop
from tinyattn.optim.sgd import SGD

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]

if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, OPTIM)
