"""Floor 2: how gradients are recorded and carried back. Read function.py,
gradients.py, engine.py and waiting.py, in this order.
"""

from typing import TYPE_CHECKING, Any

from tinyattn.autograd.anomaly import detect_anomaly, set_detect_anomaly
from tinyattn.autograd.frontend import backward, grad
from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)

if TYPE_CHECKING:
    from tinyattn.compat.legacy import Variable as Variable
else:

    def __getattr__(name: str) -> Any:
        """Variable, which stands on a higher floor, and the names that are missing."""
        if name == "Variable":
            from tinyattn.compat.legacy import Variable

            return Variable
        from tinyattn.compat.missing import AUTOGRAD, refuse

        return refuse(__name__, AUTOGRAD)(name)


__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
