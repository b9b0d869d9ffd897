"""Mixed precision is for GPUs. Programs use these names of it. They do what they do in PyTorch on a
machine without a GPU: nothing. Look first at GradScaler.
"""

import contextlib
import warnings
from typing import Any

from tinyattn.autograd.devices import names_device
from tinyattn.autograd.dtypes import float32
from tinyattn.autograd.storage import Tensor
from tinyattn.optim import Optimizer

__all__ = ["GradScaler", "autocast"]


class autocast(contextlib.ContextDecorator):
    """A block or a function in mixed precision, on a GPU only: here it changes nothing, and a
    warning says so unless `enabled` is False.

    device_type "cpu" asks for half precision on the CPU, a RuntimeError unless dtype is float32.
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"device_type: expected a str, got {type(device_type).__name__}")
        if not names_device(device_type):
            raise RuntimeError(f"device_type: expected cuda or cpu, got {device_type!r}")
        if not enabled:
            return
        if device_type != "cpu":
            warnings.warn(
                "CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2
            )
        elif dtype == float32:
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.",
                stacklevel=2,
            )
        else:
            raise RuntimeError(
                "dtype: tinyattn computes in float32 and float64 only; leave autocast out, or pass "
                f"enabled=False, got {'bfloat16' if dtype is None else dtype}"
            )

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: object) -> None: ...


class GradScaler:
    """Scales losses, so that gradients in half precision do not become 0. float32 needs no scaling:
    `scale` returns what it gets and `step` calls `optimizer.step()`, as in PyTorch without a GPU.

    A warning says that it is disabled, unless `enabled` is False.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device == "cpu":
            raise RuntimeError(
                "device: gradients in float32 need no scaling; leave GradScaler out, or pass "
                "enabled=False"
            )
        if enabled:
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )

    def is_enabled(self) -> bool:
        """False: nothing is scaled."""
        return False

    def get_scale(self) -> float:
        """1.0: nothing is scaled."""
        return 1.0

    def scale(self, outputs: Tensor) -> Tensor:
        """outputs, the loss, as it is."""
        return outputs

    def unscale_(self, optimizer: Optimizer) -> None:
        """Do nothing: the gradients are not scaled."""

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step()`, and what it returns."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Do nothing: there is no scale."""

    def state_dict(self) -> dict[str, Any]:
        """Empty: there is no scale to save."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing: there is no scale to load."""
