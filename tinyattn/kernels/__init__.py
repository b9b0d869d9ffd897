"""The hot loops, three times: reference/ (NumPy, the definition), jit/ (Numba), native/ (C).

Look first at table.py for what each kernel takes and gives, then at reference/ for what it means.
contract.py checks arguments once for all three, backends.py chooses between them.
"""

from tinyattn.kernels._types import AdamOptions, AttentionOptions, SGDOptions
from tinyattn.kernels.backends import (
    available_backends,
    backend,
    get_num_threads,
    instruction_set,
    set_num_threads,
    use_backend,
)
from tinyattn.kernels.table import Backend

__all__ = [
    "AdamOptions",
    "AttentionOptions",
    "Backend",
    "SGDOptions",
    "available_backends",
    "backend",
    "get_num_threads",
    "instruction_set",
    "set_num_threads",
    "use_backend",
]
