"""The multiprocessing of Python, under the name that programs import. Tensors are copied from one
process to another, and not shared; `tinyattn.parallel` trains in several processes.
"""

from multiprocessing import *  # noqa: F403
from multiprocessing import __all__ as _names
from typing import Any, NoReturn

__all__ = [*_names, "set_sharing_strategy", "spawn"]


def spawn(*args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: use `tinyattn.parallel`, under mpiexec."""
    raise RuntimeError("spawn: use tinyattn.parallel, under mpiexec, or multiprocessing.Process")


def set_sharing_strategy(new_strategy: str) -> None:
    """Do nothing but check the name: memory is not shared."""
    if new_strategy not in ("file_descriptor", "file_system"):
        raise ValueError(
            "new_strategy: expected file_descriptor or file_system, got " + repr(new_strategy)
        )
