"""Several processes are run by `tinyattn.parallel`, under mpiexec. Programs that can run in one
process or in several import these names, and ask `is_initialized()` first.
"""

from typing import TYPE_CHECKING, Any, NoReturn

from tinyattn.compat.missing import DISTRIBUTED, refuse

__all__ = ["destroy_process_group", "init_process_group", "is_available", "is_initialized"]


def is_available() -> bool:
    """False: processes are run by `tinyattn.parallel`."""
    return False


def is_initialized() -> bool:
    """False: there is no process group."""
    return False


def init_process_group(*args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: use `tinyattn.parallel`, under mpiexec, which needs no process group."""
    raise RuntimeError("init_process_group: use tinyattn.parallel, under mpiexec; it needs none")


def destroy_process_group(group: object = None) -> NoReturn:
    """RuntimeError: there is no process group."""
    raise RuntimeError("destroy_process_group: there is no process group to destroy")


if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, DISTRIBUTED)
