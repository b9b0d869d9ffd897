"""Floor 6: optimisers by PyTorch's names. Read optimizer.py first, then sgd.py."""

from tinyattn.optim.adam import Adam, AdamW
from tinyattn.optim.optimizer import Optimizer
from tinyattn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
