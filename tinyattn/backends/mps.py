"""Apple's GPUs, which tinyattn doesn't use."""


def is_available() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False


def is_built() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False
