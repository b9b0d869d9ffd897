"""The hot loops, three times: reference/ (NumPy, the definition), jit/ (Numba), native/ (C).

Look first at dispatch.py for what each kernel takes and gives, then at reference/ for what it
means.
"""

from tinyattn.kernels.dispatch import (
    Backend,
    available_backends,
    backend,
    get_num_threads,
    instruction_set,
    set_num_threads,
    use_backend,
)

__all__ = [
    "Backend",
    "available_backends",
    "backend",
    "get_num_threads",
    "instruction_set",
    "set_num_threads",
    "use_backend",
]
