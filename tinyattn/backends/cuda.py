"""Settings of products on GPUs. They may be assigned; tinyattn does not read them."""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)


def enable_flash_sdp(enabled: bool) -> None:
    """Do nothing: there is one way to compute attention."""


enable_math_sdp = enable_mem_efficient_sdp = enable_flash_sdp


def is_built() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False
