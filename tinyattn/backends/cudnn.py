"""cuDNN computes on GPUs only. Its settings may be assigned; tinyattn does not read them."""

enabled = False
deterministic = True  # tinyattn's results are the same in every run
benchmark = False
allow_tf32 = False


def is_available() -> bool:
    """False: tinyattn computes on the CPU only."""
    return False
