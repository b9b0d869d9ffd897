"""The ranks that mpiexec has started, how one waits for others, and how all end when one fails.

Look first at `world` and `wait`. A program that mpiexec has not started is rank 0 of 1, needs no
mpi4py, and sends nothing.
"""

import atexit
import functools
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from tinyattn.kernels import get_num_threads, set_num_threads

# What the mpiexec of MPICH (and of Intel and Microsoft), of Open MPI and of MVAPICH say to the
# processes they start: how many there are.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_LIMIT = "TINYATTN_PARALLEL_TIMEOUT"
_LEFT = 1  # the tag of the message by which a rank says that its program has ended
OBJECTS = 2  # the tag of Python objects
FIRST_FREE = 16  # of the tags of sums

_SPIN_SECONDS = 0.001  # a wait begins without sleep: most are shorter than that
_NAP_SECONDS = 0.0002
_GRACE_SECONDS = 0.5  # in which rank 0 may be the one that reports an error of all ranks


class World:
    """The ranks 0 to size - 1. `comm` is None where there is one."""

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self.size: int = 1 if comm is None else comm.Get_size()
        self.peers = [rank for rank in range(self.size) if rank != self.rank]
        self.limit = _seconds(os.environ.get(_LIMIT, "600")) if self.peers else math.inf
        self.left = {peer: comm.irecv(source=peer, tag=_LEFT) for peer in self.peers}
        self.tag = FIRST_FREE

    def tags(self, count: int) -> int:
        """The first of `count` tags that no message has had. All ranks ask in the same order."""
        self.tag += count
        return self.tag - count


@functools.cache
def world() -> World:
    """The ranks that mpiexec has started together with this one.

    ModuleNotFoundError if mpiexec started this process and mpi4py is missing. RuntimeError if
    mpi4py belongs to another MPI than mpiexec does.
    """
    sizes = [int(os.environ[name]) for name in _SIZES if os.environ.get(name, "").isdecimal()]
    if max(sizes, default=1) == 1 and "PMIX_RANK" not in os.environ:
        return World()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ModuleNotFoundError(
            f"mpiexec started this process, which needs mpi4py and an MPI library ({error}): "
            "pip install 'tinyattn[distributed]'"
        ) from None
    comm = MPI.COMM_WORLD
    if sizes and comm.Get_size() != max(sizes):
        raise RuntimeError(
            f"mpiexec started {max(sizes)} processes, but mpi4py sees {comm.Get_size()}: mpiexec "
            f"and mpi4py belong to different MPI libraries; use the mpiexec beside {sys.executable}"
        )
    if comm.Get_size() == 1:
        return World()
    found = World(comm)
    sys.excepthook = functools.partial(_failed, found)
    atexit.register(_leave, found)
    _share_processors(comm)
    return found


def get_rank() -> int:
    """The number of this process among those that mpiexec started; 0 without mpiexec."""
    return world().rank


def get_world_size() -> int:
    """How many processes mpiexec started; 1 without it."""
    return world().size


def wait(done: Callable[[], bool], missing: Callable[[], Collection[int]]) -> None:
    """Return once done() is true. `missing` gives the ranks that have not done their part yet.

    All ranks end, with a message, if one of these has ended, or when TINYATTN_PARALLEL_TIMEOUT
    seconds, 600 by default, are over.
    """
    begun = time.monotonic()
    while not done():
        waited = time.monotonic() - begun
        if waited < _SPIN_SECONDS:
            continue
        here = world()
        gone = [peer for peer in missing() if here.left[peer].Test()]
        if gone:
            time.sleep(2 * _GRACE_SECONDS)  # it may have reported an error, and be ending all ranks
            if not done():
                abort(f"rank {here.rank} waits for rank {_listed(gone)}, whose program has ended")
            return
        if waited > here.limit:
            abort(
                f"rank {here.rank} has waited {here.limit:g} s for rank {_listed(missing())}; "
                f"{_LIMIT} sets this limit, in seconds"
            )
        time.sleep(_NAP_SECONDS)


def abort(message: str, code: int = 1) -> NoReturn:
    """End the programs of all ranks with an exit code, after one message on standard error.

    An error that all ranks have is reported by rank 0: the others give it half a second to do so.
    """
    here = world()
    time.sleep(_patience(here))
    if here.peers:
        _end_all(here, message, code)
    print(message, file=sys.stderr, flush=True)
    sys.exit(code)


def _failed(here: World, kind: Any, error: Any, trace: Any) -> None:
    """An exception that nothing has caught ends all ranks, which would wait for this one."""
    of_a_message = kind.__module__.startswith("mpi4py")  # the rank at its other end reports why
    time.sleep(_patience(here) + 2 * _GRACE_SECONDS * of_a_message)
    lines = traceback.format_exception(kind, error, trace)
    lines.append(f"rank {here.rank} of {here.size} has failed: all ranks end")
    _end_all(here, "".join(lines), 130 if issubclass(kind, KeyboardInterrupt) else 1)


def _patience(here: World) -> float:
    """For how many seconds a rank leaves it to others to report an error that they have, too."""
    return _GRACE_SECONDS * (1 + here.rank / here.size) if here.rank else 0.0


def _end_all(here: World, message: str, code: int) -> None:
    """End all ranks, after a message. What the MPI library would add to it is not shown."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    time.sleep(_GRACE_SECONDS / 2)  # mpiexec hands on what it has read by then
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    here.comm.Abort(code)


def _leave(here: World) -> None:
    """This program has ended: tell the other ranks, and wait until theirs have, too.

    There is no limit to this: the others may still be at work, and need this rank no longer.
    """
    notes = [here.comm.isend(None, peer, _LEFT) for peer in here.peers]
    while not all(request.Test() for request in (*notes, *here.left.values())):
        time.sleep(0.01)


def _share_processors(comm: Any) -> None:
    """Let the ranks of one machine share its processors, unless the number of threads was set."""
    if os.environ.get("TINYATTN_NUM_THREADS"):
        return
    from mpi4py import MPI

    beside = comm.Split_type(MPI.COMM_TYPE_SHARED)
    if hasattr(os, "sched_getaffinity"):
        everyone = beside.allgather(os.sched_getaffinity(0))
        processors = len(set().union(*everyone))
    else:
        processors = os.cpu_count() or 1
    set_num_threads(max(1, min(get_num_threads(), processors // beside.Get_size())))


def _listed(ranks: Collection[int]) -> str:
    return ", ".join(map(str, sorted(ranks)))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ValueError(f"{_LIMIT}: expected a number of seconds above 0, got {text!r}")
    return seconds
