"""Floor 2: how gradients are recorded and carried back. Read function.py,
gradients.py and engine.py, in this order.
"""

from tinyattn.autograd.anomaly import detect_anomaly, set_detect_anomaly
from tinyattn.autograd.frontend import backward, grad
from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
