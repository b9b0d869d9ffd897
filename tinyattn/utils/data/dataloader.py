"""DataLoader: batches of a data set, in order or shuffled, made here or by worker processes.

A sampler says which items come in which order, `collate_fn` makes a batch of them. Look at
`DataLoader.__iter__` first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, repeat
from typing import Any, Generic, TypeVar

from tinyattn.ops.random import Generator, randint
from tinyattn.utils.data.collate import default_collate, default_convert
from tinyattn.utils.data.dataset import Dataset, IterableDataset, size_of
from tinyattn.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from tinyattn.utils.data.worker import END, Fetch, Workers

T_co = TypeVar("T_co", covariant=True)


class DataLoader(Generic[T_co]):
    """The items of a data set in batches.

    dataset: has items by number, or is an IterableDataset, a stream of items.
    batch_size: items of a batch. None makes no batches: the items come one by one.
    shuffle: a new random order in every epoch.
    sampler: gives the indices in place of shuffle; batch_sampler: gives lists of indices, in place
        of batch_size, shuffle, sampler and drop_last.
    num_workers: processes that make the batches; 0 makes them here. The batches come in the same
        order. An exception is raised here, with the traceback of the worker.
    collate_fn: makes a batch of a list of items; by default `default_collate`.
    drop_last: leave out a last batch that is smaller.
    timeout: seconds to wait for a batch of a worker; 0 is without end.
    worker_init_fn: called in each worker with its number, before the first batch.
    multiprocessing_context: how workers are started, "fork", "spawn" or "forkserver"; by default as
        Python does it: on Linux by "fork" up to Python 3.13, and by "forkserver" from 3.14 on. If
        it isn't "fork", the data set and the functions must be picklable.
    generator: where the order and the seeds of the workers come from.
    prefetch_factor: the batches that each worker makes ahead, 2 by default.

    pin_memory, pin_memory_device and in_order are accepted and change nothing. So is
    persistent_workers: workers are started anew for each epoch, with a copy of the data set.

    Raises ValueError for arguments that exclude each other.

    >>> from tinyattn.utils.data import DataLoader, TensorDataset
    >>> pairs = TensorDataset(ta.tensor([[1.0], [2.0], [3.0]]), ta.tensor([0, 1, 0]))
    >>> for x, y in DataLoader(pairs, batch_size=2):
    ...     print(x.shape, y)
    (2, 1) tensor([0, 1])
    (1, 1) tensor([0])
    """

    def __init__(
        self,
        dataset: Dataset[T_co] | Sequence[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], object] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        stream = isinstance(dataset, IterableDataset)
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset has no shuffle, sampler or batch_sampler: its own "
                "__iter__ makes the order"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                    "and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        if sampler is None and not stream:
            sized: Any = dataset
            ordered = not shuffle or batch_sampler is not None
            sampler = (
                SequentialSampler(sized)
                if ordered
                else RandomSampler(sized, False, None, generator)
            )
        if batch_sampler is None and batch_size is not None:
            batch_sampler = BatchSampler(sampler or (), batch_size, drop_last)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, None if stream else batch_sampler
        one_by_one = batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if one_by_one else default_collate)
        self.num_workers, self.worker_init_fn, self.timeout = num_workers, worker_init_fn, timeout
        self.multiprocessing_context, self.generator = multiprocessing_context, generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.persistent_workers = pin_memory, persistent_workers

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch."""
        seed = randint(
            2**63 - 1, (), generator=self.generator
        ).item()  # as much for any number of workers
        if isinstance(self.dataset, IterableDataset):
            make: Callable[[Any], Fetch] = partial(
                _from_stream, size=self.batch_size, drop=self.drop_last, collate=self.collate_fn
            )
            tasks: Iterator[Any] = repeat(None)
        else:
            batches = self.batch_sampler is not None
            make = partial(_from_items, batches=batches, collate=self.collate_fn)
            tasks = iter(self.batch_sampler if batches else self.sampler)  # type: ignore[arg-type]
        return (
            self._here(make, tasks)
            if not self.num_workers
            else self._elsewhere(make, tasks, int(seed))
        )

    def _here(self, make: Callable[[Any], Fetch], tasks: Iterator[Any]) -> Iterator[Any]:
        fetch = make(self.dataset)
        for task in tasks:
            batch = fetch(task)
            if batch is END:
                return
            yield batch

    def _elsewhere(
        self, make: Callable[[Any], Fetch], tasks: Iterator[Any], seed: int
    ) -> Iterator[Any]:
        workers = Workers(
            self.num_workers,
            seed,
            self.dataset,
            make,
            self.worker_init_fn,
            self.multiprocessing_context,
            self.timeout,
        )
        try:
            yield from workers.batches(tasks, self.prefetch_factor or 2)
        finally:
            workers.close()

    def __len__(self) -> int:
        """The number of batches; TypeError where it is not known."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        if self.sampler is not None:
            return len(self.sampler)  # type: ignore[arg-type]
        size, batch = size_of(self.dataset), self.batch_size or 1
        return size // batch if self.drop_last else -(-size // batch)


def _from_items(dataset: Any, batches: bool, collate: Callable[[Any], Any]) -> Fetch:
    """How to make the batch of a list of indices, or the item of one index."""
    at_once = getattr(dataset, "__getitems__", None)

    def fetch(task: Any) -> Any:
        if not batches:
            return collate(dataset[task])
        return collate(at_once(task) if at_once else [dataset[index] for index in task])

    return fetch


def _from_stream(
    dataset: Any, size: int | None, drop: bool, collate: Callable[[Any], Any]
) -> Fetch:
    """How to make a batch of the next items of a stream, or END."""
    items = iter(dataset)

    def fetch(_: Any) -> Any:
        batch = list(islice(items, size or 1))
        if not batch or (drop and len(batch) < (size or 1)):
            return END
        return collate(batch if size else batch[0])

    return fetch


def _check_workers(count: Any, timeout: float, ahead: int | None, persistent: bool) -> None:
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"num_workers: expected an int >= 0, got {count!r}")
    if timeout < 0:
        raise ValueError(f"timeout: expected a number >= 0, got {timeout}")
    if ahead is not None and ahead < 1:
        raise ValueError(f"prefetch_factor: expected a positive int, got {ahead}")
    if count == 0 and (ahead is not None or persistent):
        raise ValueError("prefetch_factor and persistent_workers need num_workers > 0")
