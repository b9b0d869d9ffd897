"""Floor 2: how gradients are recorded and carried back. Read function.py, then engine.py."""

from tinyattn.autograd.engine import backward, grad
from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "backward",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
