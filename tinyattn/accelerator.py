"""There is no accelerator here: what programs ask of one before they choose the CPU."""

from typing import TYPE_CHECKING

from tinyattn.compat.missing import DEVICE, refuse

__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]


def is_available() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False


def current_accelerator(check_available: bool = False) -> None:
    """None: tinyattn computes on the CPU only."""


def device_count() -> int:
    """0: tinyattn computes on the CPU only."""
    return 0


def synchronize(device: object = None) -> None:
    """Do nothing: all operations are finished when they return."""


if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, DEVICE)
