"""DistributedSampler: the part of a data set that a rank reads."""

from collections.abc import Iterator, Sized
from itertools import cycle, islice

from tinyattn.ops.random import Generator, randperm
from tinyattn.parallel.processes import get_rank, get_world_size
from tinyattn.utils.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Indices of the items that one rank reads: every n-th of an order that all n ranks share.

    So the batches of size b of n ranks are, put together, the batch of size n b of one rank.

    num_replicas, rank: n, and which of the parts; by default those that mpiexec gives.
    shuffle: draw the order at random, by `seed` and the number given to `set_epoch`.
    drop_last: leave out the items that are too few for all ranks. Otherwise the first items come
        once more, so that all ranks have the same number.

    >>> sampler = ta.parallel.DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False)
    >>> list(sampler)
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.num_replicas = get_world_size() if num_replicas is None else num_replicas
        self.rank = get_rank() if rank is None else rank
        if self.num_replicas < 1:
            raise ValueError(f"num_replicas: expected at least 1, got {self.num_replicas}")
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(
                f"rank: expected 0 to {self.num_replicas - 1}, one of {self.num_replicas}, "
                f"got {self.rank}"
            )
        self.dataset, self.shuffle, self.seed, self.drop_last = dataset, shuffle, seed, drop_last
        self.epoch = 0
        n = len(dataset)
        self.num_samples = n // self.num_replicas if drop_last else -(-n // self.num_replicas)

    def set_epoch(self, epoch: int) -> None:
        """Draw another order: call this before each epoch, with its number."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        order = list(range(n))
        if self.shuffle:
            draw = Generator().manual_seed(self.seed + self.epoch)
            order = randperm(n, generator=draw).tolist()
        total = self.num_samples * self.num_replicas
        return islice(cycle(order), self.rank, total, self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples
