"""The kernels compiled by Numba: the same loops as in native/, for machines without a C compiler.

Look first at compiling.py: every kernel is compiled for a float type when that is first needed, and
kept on disk. Calls run one at a time, since Numba's threading layers allow no more.
"""

import os

import llvmlite.binding

from tinyattn.kernels.jit import compiling


def isa() -> str:
    """The processor LLVM compiles for."""
    return str(llvmlite.binding.get_host_cpu_name())


def set_num_threads(count: int) -> None:
    """Use `count` threads, or as many as Numba was started with (NUMBA_NUM_THREADS) if fewer."""
    compiling.threads = min(count, compiling.MOST_THREADS)


def get_num_threads() -> int:
    return compiling.threads


def _read_environment() -> None:
    count = os.environ.get("TINYATTN_NUM_THREADS")
    if count:
        if not count.strip().isdecimal() or int(count) < 1:
            raise ValueError(f"TINYATTN_NUM_THREADS: expected an integer from 1, got {count!r}")
        set_num_threads(int(count))


_read_environment()
