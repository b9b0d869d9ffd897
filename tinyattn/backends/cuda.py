"""Settings of products on GPUs. They may be assigned; tinyattn does not read them."""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False
