"""What the workers of `pytest -n auto` (pytest-xdist) share: the Numba kernels that they compile.

Every worker needs nearly every kernel. One of them compiles it and keeps it on disk; the others
wait and read it there. While a worker compiles, it holds a lock on the kernel's source file.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from tinyattn.kernels import available_backends


def compile_by_turns() -> None:
    """From now on this process compiles a file's kernels only while no other worker does."""
    if "numba" not in available_backends():
        return
    from tinyattn.kernels.jit import compiling, elementwise

    compile_kernel, compile_loop = compiling.Kernel._compile, elementwise.loop_of.__wrapped__
    in_turn = by_turns(compile_kernel, lambda kernel: inspect.getfile(kernel._function))
    compiling.Kernel._compile = in_turn  # type: ignore[method-assign]
    elementwise.loop_of = cache(by_turns(compile_loop, lambda _: elementwise.__file__))


def by_turns(
    compile: Callable[[Any, Any], Any], file_of: Callable[[Any], str]
) -> Callable[[Any, Any], Any]:
    """`compile`, a function of a kernel and a type, under the lock on the file of the kernel."""
    import fcntl  # Windows has none

    def run(kernel: Any, dtype: Any) -> Any:
        with open(file_of(kernel), encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
            return compile(kernel, dtype)

    return run
