"""There is no GPU here: what programs ask of one before they choose the CPU."""

from typing import TYPE_CHECKING

from tinyattn.compat.missing import DEVICE, refuse
from tinyattn.cuda import amp

__all__ = [
    "amp",
    "device_count",
    "empty_cache",
    "is_available",
    "is_bf16_supported",
    "manual_seed",
    "manual_seed_all",
    "synchronize",
]


def is_available() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False


def device_count() -> int:
    """0: tinyattn computes on the CPU only."""
    return 0


def is_bf16_supported() -> bool:
    """False: there is no GPU, and no bfloat16."""
    return False


def manual_seed(seed: int) -> None:
    """Do nothing but check the seed: there are no GPUs to seed. `tinyattn.manual_seed` is the one
    that counts."""
    if not isinstance(seed, int):
        raise TypeError(f"seed: expected an int, got {type(seed).__name__}")


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Do nothing: there is no memory of a GPU to give back."""


def synchronize(device: object = None) -> None:
    """Do nothing: all operations are finished when they return."""


if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, DEVICE)
