"""Floor 6: training by several processes, on one machine or many, which mpiexec starts (mpi4py).

    mpiexec -n 4 python train.py

Every process, called a rank, runs the same program on its own part of the data, and
DistributedDataParallel adds up their gradients. Look first at model.py, then at sums.py.
processes.py holds what the ranks are, and how all of them end when one fails.
"""

from tinyattn.parallel.exchange import (
    all_gather_object,
    all_reduce,
    barrier,
    broadcast_object,
    share,
)
from tinyattn.parallel.model import DistributedDataParallel
from tinyattn.parallel.processes import abort, get_rank, get_world_size
from tinyattn.parallel.random import PartOfBatch, part_of_batch
from tinyattn.parallel.sampler import DistributedSampler

__all__ = [
    "DistributedDataParallel",
    "DistributedSampler",
    "PartOfBatch",
    "abort",
    "all_gather_object",
    "all_reduce",
    "barrier",
    "broadcast_object",
    "get_rank",
    "get_world_size",
    "part_of_batch",
    "share",
]
