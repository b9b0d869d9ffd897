"""`python -m tinyattn`: what is installed, what it will use, and why."""

import os
import platform

from tinyattn import __version__
from tinyattn._output import in_utf8
from tinyattn.kernels import available_backends, backend, get_num_threads, instruction_set
from tinyattn.kernels.backends import why_not


def core() -> str:
    """Whether the C core is in use, and why not if it isn't."""
    reason = why_not("native")
    if reason:
        return f"not in use: {reason}"
    if backend().name != "native":
        return f"not in use: TINYATTN_BACKEND asks for {backend().name}"
    from tinyattn.kernels.native import _core

    return f"in use: {_core.__file__}"


def machine() -> str:
    """The system, its processors, and the instruction sets that the core could use."""
    processors = f"{os.cpu_count()} processors"
    if hasattr(os, "sched_getaffinity") and (own := len(os.sched_getaffinity(0))) != os.cpu_count():
        processors += f", {own} of them for this process"
    sets = ""
    if not why_not("native"):
        from tinyattn.kernels.native import supported_isas

        sets = f", capable of {', '.join(supported_isas())}"
    return f"{platform.system()} {platform.machine()}, {processors}{sets}"


in_utf8()
print(f"tinyattn {__version__}")
print(f"backend: {backend().name} (installed: {', '.join(available_backends())})")
print(f"instruction set: {instruction_set()}")
print(f"threads: {get_num_threads()}")
print(f"machine: {machine()}")
print(f"C core: {core()}")
