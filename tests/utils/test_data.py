"""Data sets, samplers and DataLoader: what PyTorch gives, in the same order; workers change
nothing, say what went wrong in them, and are gone afterwards."""

import collections
import multiprocessing
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn import kernels
from tinyattn.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
    worker,
)
from tinyattn.utils.data.worker import Workers

pytestmark = pytest.mark.usefixtures("forked")
OTHER_WAYS = ["spawn", "forkserver"]  # to start a worker; it imports what it needs


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        return ta.tensor([float(index), float(index**2)]), index % 2

    def __len__(self):
        return self.n


class Stream(IterableDataset):
    """0, 1, ..., n-1; each worker takes its part."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.n, step))


class Counted(Stream):
    """A stream whose length is known."""

    def __len__(self):
        return self.n


def plain(x):
    """Tensors as (dtype, nested lists)."""
    if hasattr(x, "tolist"):
        return str(x.dtype).removeprefix("torch."), x.tolist()
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if hasattr(x, "_fields"):
        return type(x)(*map(plain, x))
    if isinstance(x, (list, tuple)):
        return type(x)(map(plain, x))
    return x


def batches(loader):
    return [plain(batch) for batch in loader]


# As PyTorch

Point = collections.namedtuple("Point", "x y")
SAMPLES = {
    "tensors": lambda lib: [lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])],
    "0-d": lambda lib: [lib.tensor(1), lib.tensor(2)],
    "floats": lambda lib: [1.5, 2.5],
    "ints": lambda lib: [1, 2, 3],
    "bools": lambda lib: [True, False],
    "text": lambda lib: ["a", "bc"],
    "bytes": lambda lib: [b"a", b"bc"],
    "arrays": lambda lib: [np.ones(2, np.float32), np.zeros(2, np.float32)],
    "numpy floats": lambda lib: [np.float64(1), np.float64(2)],
    "numpy ints": lambda lib: [np.int32(1), np.int32(2)],
    "pairs": lambda lib: [(lib.tensor([1.0]), 1), (lib.tensor([2.0]), 0)],
    "lists": lambda lib: [[1, 2.0], [3, 4.0]],
    "dicts": lambda lib: [{"x": lib.tensor([1]), "y": "a"}, {"x": lib.tensor([2]), "y": "b"}],
    "ordered": lambda lib: [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "named": lambda lib: [Point(1, 2.0), Point(3, 4.0)],
    "nested": lambda lib: [((1, [2, 3]), {"a": (4.0,)}), ((5, [6, 7]), {"a": (8.0,)})],
    "one": lambda lib: [(lib.zeros(2, 0), 1)],
}


X, Y = np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0], np.float32)
BATCHES = {
    "tensors": ([ta.tensor(X), ta.tensor(Y)], ta.tensor([[1.0, 2.0], [3.0, 4.0]])),
    "arrays": ([X, Y], ta.tensor([[1.0, 2.0], [3.0, 4.0]])),
    "floats": ([1.5, 2.5], ta.tensor([1.5, 2.5], dtype=ta.float64)),
    "ints": ([3, 4], ta.tensor([3, 4])),
    "bools": ([True, False], ta.tensor([True, False])),
    "text": (["a", "bc"], ["a", "bc"]),
    "pairs": ([(X, 1), (Y, 0)], [ta.tensor([[1.0, 2.0], [3.0, 4.0]]), ta.tensor([1, 0])]),
    "lists": ([[1, 2.0], [3, 4.0]], [ta.tensor([1, 3]), ta.tensor([2.0, 4.0]).double()]),
    "dicts": ([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}], {"x": ta.tensor([1, 2]), "y": ["a", "b"]}),
    "ordered": (
        [collections.OrderedDict(a=1, b=3), collections.OrderedDict(a=2, b=4)],
        collections.OrderedDict(a=ta.tensor([1, 2]), b=ta.tensor([3, 4])),
    ),
    "named": (
        [Point(1, 2.0), Point(3, 4.0)],
        Point(ta.tensor([1, 3]), ta.tensor([2.0, 4.0]).double()),
    ),
    "ranges": ([range(2), range(1, 3)], [ta.tensor([0, 1]), ta.tensor([1, 2])]),
}
CONVERTED = {
    "an array": (X, ta.tensor([1.0, 2.0])),
    "a number of NumPy": (np.int64(3), ta.tensor(3)),
    "an array of text": (np.array(["a"]), np.array(["a"])),
    "a number": (1.5, 1.5),
    "text": ("abc", "abc"),
    "bytes": (b"abc", b"abc"),
    "a list": ([X, "a"], [ta.tensor([1.0, 2.0]), "a"]),
    "a tuple": ((X, 2), [ta.tensor([1.0, 2.0]), 2]),
    "a dict": ({"x": X, "y": 2}, {"x": ta.tensor([1.0, 2.0]), "y": 2}),
    "named": (Point(X, 2.0), Point(ta.tensor([1.0, 2.0]), 2.0)),
    "a range": (range(3), [0, 1, 2]),
}


def same(found, expected):
    """Whether values, types and dtypes are the same."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, (ta.Tensor, np.ndarray)):
        return found.dtype == expected.dtype and found.tolist() == expected.tolist()
    if isinstance(expected, dict):
        return [*found] == [*expected] and same([*found.values()], [*expected.values()])
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


@pytest.mark.parametrize("name", BATCHES)
def test_samples_become_a_batch(name):
    samples, batch = BATCHES[name]
    assert same(default_collate(samples), batch)


@pytest.mark.parametrize("name", CONVERTED)
def test_arrays_become_tensors_wherever_they_stand(name):
    data, converted = CONVERTED[name]
    assert same(default_convert(data), converted)


def test_a_dictionary_that_can_not_be_made_again_becomes_what_it_held():
    class Fixed(collections.UserDict):
        def __init__(self):
            super().__init__(x=1)

    assert same(default_collate([Fixed(), Fixed()]), {"x": ta.tensor([1, 1])})
    data = Fixed()
    assert default_convert(data) is data


@pytest.mark.parametrize("name", SAMPLES)
def test_default_collate_and_convert_as_pytorch(name):
    torch = pytest.importorskip("torch")
    from torch.utils.data import default_collate as collate
    from torch.utils.data import default_convert as convert

    ours, theirs = SAMPLES[name](ta), SAMPLES[name](torch)
    assert plain(default_collate(ours)) == plain(collate(theirs))
    assert plain(default_convert(ours[0])) == plain(convert(theirs[0]))


@settings(max_examples=40)
@given(
    n=st.integers(0, 7),
    size=st.one_of(st.none(), st.integers(1, 4)),
    drop=st.booleans(),
    stream=st.booleans(),
)
def test_batches_in_order_are_those_of_pytorch(n, size, drop, stream):
    torch = pytest.importorskip("torch")
    import torch.utils.data as theirs

    drop = drop and size is not None
    if stream:
        Theirs = type(
            "Theirs", (theirs.IterableDataset,), {"__iter__": lambda self: iter(range(n))}
        )
        pair = (
            DataLoader(Stream(n), size, drop_last=drop),
            theirs.DataLoader(Theirs(), size, drop_last=drop),
        )
    else:
        mine = TensorDataset(ta.arange(n), ta.arange(2 * n).view(n, 2))
        other = theirs.TensorDataset(torch.arange(n), torch.arange(2 * n).view(n, 2))
        pair = (
            DataLoader(mine, size, drop_last=drop),
            theirs.DataLoader(other, size, drop_last=drop),
        )
        assert len(pair[0]) == len(pair[1])
    assert batches(pair[0]) == batches(pair[1])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_a_batch_is_so_many_items_in_a_row(size, drop, stream):
    n = 7
    data = Counted(n) if stream else list(range(n))
    expected = [list(range(i, min(i + size, n))) for i in range(0, n, size)]
    if drop:
        expected = [batch for batch in expected if len(batch) == size]
    loader = DataLoader(data, size, drop_last=drop)
    assert [batch.tolist() for batch in loader] == expected
    assert len(loader) == len(expected)


@pytest.mark.parametrize("stream", [False, True])
def test_without_batches_items_come_one_by_one(stream):
    loader = DataLoader(Counted(3) if stream else [0, 1, 2], None)
    assert list(loader) == [0, 1, 2]
    assert len(loader) == 3


@pytest.mark.filterwarnings("ignore:lengths. part")
@pytest.mark.parametrize(
    ("size", "lengths", "sizes"),
    [
        (10, [7, 3], [7, 3]),
        (3, [3, 0], [3, 0]),
        (10, [1.0], [10]),
        (7, [0.5, 0.5], [4, 3]),
        (11, [0.33, 0.33, 0.34], [4, 4, 3]),
        (3, [0.25] * 4, [1, 1, 1, 0]),
    ],
)
def test_the_parts_of_a_random_split_have_the_sizes_asked_for(size, lengths, sizes):
    parts = random_split(range(size), lengths)
    assert [len(part) for part in parts] == sizes
    assert sorted(x for part in parts for x in part) == list(range(size))


@pytest.mark.parametrize(
    "lengths", [[7, 3], [10], [0.5, 0.5], [0.33, 0.33, 0.34], [1.0], [3, 3, 4]]
)
def test_the_parts_of_a_random_split_have_pytorchs_sizes(lengths):
    torch = pytest.importorskip("torch")
    parts = random_split(range(10), lengths)
    sizes = [len(part) for part in torch.utils.data.random_split(range(10), lengths)]
    assert [len(part) for part in parts] == sizes
    assert sorted(x for part in parts for x in part) == list(range(10))


# Data sets


def test_concatenated_and_chosen_items():
    a, b = TensorDataset(ta.arange(3)), TensorDataset(ta.arange(10, 12))
    three = ConcatDataset([a, b, TensorDataset(ta.arange(20, 24))])
    assert [x.item() for (x,) in three] == [0, 1, 2, 10, 11, 20, 21, 22, 23]
    both = a + b
    assert isinstance(both, ConcatDataset)
    assert [x.item() for (x,) in both] == [0, 1, 2, 10, 11]
    assert both[-1][0].item() == 11
    with pytest.raises(IndexError, match="index 5 is out of range for 5"):
        both[5]
    chosen = Subset(both, [4, 0])
    assert [chosen[i][0].item() for i in range(len(chosen))] == [11, 0]
    assert Subset(a, [2, 1])[[0, 1]][0].tolist() == [2, 1]


def test_a_split_follows_its_generator():
    def split(seed):
        return random_split(range(20), [15, 5], ta.Generator().manual_seed(seed))[0].indices

    assert split(1) == split(1) != split(2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TensorDataset(ta.zeros(2), ta.zeros(3)), ValueError, r"same first size .*\[3\]"),
        (lambda: TensorDataset(np.zeros(2)), TypeError, "expected Tensors, got ndarray"),
        (lambda: ConcatDataset([]), ValueError, "at least one"),
        (lambda: ConcatDataset([Stream(2)]), TypeError, "got a stream"),
        (lambda: random_split(range(3), [1, 1]), ValueError, "sum 3"),
        (lambda: random_split(range(3), [1.5, 1.5]), ValueError, "sum 3"),
        (lambda: random_split(range(3), [4, -1]), ValueError, "sum 3"),
        (lambda: random_split(range(3), [1.5, -0.5]), ValueError, "fractions from 0 to 1"),
        (lambda: random_split(range(4), [0.5, 1.0, -0.5]), ValueError, "fractions from 0 to 1"),
        (lambda: random_split(range(3), [0.2, 0.3]), ValueError, "sum 3"),
        (lambda: random_split(range(3), [0.5, 0.5 + 1e-12]), ValueError, "sum 3"),
        (lambda: Dataset()[0], NotImplementedError, "Dataset should implement __getitem__"),
        (lambda: iter(IterableDataset()), NotImplementedError, "should implement __iter__"),
        (lambda: RandomSampler(range(3), num_samples=0), ValueError, "num_samples: .*got 0"),
        (lambda: RandomSampler([]), ValueError, "data_source: expected at least one item, got no"),
        (lambda: DataLoader([], shuffle=True), ValueError, "data_source: expected at least one"),
        (lambda: BatchSampler(range(3), 1.5, False), ValueError, "batch_size: .*got 1.5"),
        (lambda: BatchSampler(range(3), 2, 1), ValueError, "drop_last: .*got 1"),
        (lambda: WeightedRandomSampler([[1.0]], 2), ValueError, r"one dimension, got \[1, 1\]"),
        (lambda: default_collate([object()]), TypeError, "batch must contain .*found object"),
        (lambda: default_collate([[1], [1, 2]]), RuntimeError, r"equal size, got sizes \[1, 2\]"),
        (lambda: default_collate([ta.zeros(2), ta.zeros(3)]), RuntimeError, "stack"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_empty_part_is_warned_of():
    with pytest.warns(UserWarning, match=r"part 1 is empty: 0.1 of 3") as told:
        random_split(range(3), [0.9, 0.1])
    assert told[0].filename == __file__


# Samplers


def test_each_item_comes_once_in_random_order():
    ta.manual_seed(0)
    first, second = (list(RandomSampler(range(50))) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    counts = collections.Counter(RandomSampler(range(3), num_samples=7))
    assert sorted(counts.values()) == [2, 2, 3]
    assert sorted(SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]
    assert list(SequentialSampler("abc")) == [0, 1, 2]


def test_samplers_know_their_length_and_follow_their_generator():
    def drawn(make):
        return [
            (list(sampler), len(sampler))
            for sampler in (make(ta.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        ]

    for make, size in (
        (lambda g: RandomSampler(range(50), False, 20, g), 20),
        (lambda g: RandomSampler(range(50), True, None, g), 50),
        (lambda g: SubsetRandomSampler(range(30), g), 30),
        (lambda g: WeightedRandomSampler([1.0] * 9, 40, True, g), 40),
    ):
        first, again, other = drawn(make)
        assert first == again
        assert first[0] != other[0]
        assert len(first[0]) == first[1] == size


def test_weights_are_float64_and_their_number_is_checked():
    assert WeightedRandomSampler([0.1, 0.2], 1).weights.tolist() == [0.1, 0.2]
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=f"num_samples: .*got {wrong}"):
            WeightedRandomSampler([1.0], wrong)


def test_replacement_and_weights():
    ta.manual_seed(0)
    drawn = list(RandomSampler(range(4), replacement=True, num_samples=400))
    assert min(collections.Counter(drawn)[i] for i in range(4)) > 60
    drawn = collections.Counter(WeightedRandomSampler([1.0, 3.0, 0.0], 400))
    assert 60 < drawn[0] < 140
    assert drawn[2] == 0
    assert sorted(WeightedRandomSampler(ta.ones(5), 5, replacement=False)) == list(range(5))


@given(st.integers(0, 9), st.integers(1, 4), st.booleans())
def test_lists_of_indices(n, size, drop):
    sampler = BatchSampler(SequentialSampler(range(n)), size, drop)
    lists = list(sampler)
    assert len(lists) == len(sampler)
    assert sum(lists, []) == list(range(n - n % size if drop else n))  # noqa: RUF017


# DataLoader


def test_shuffled_batches_hold_every_item_once_and_follow_the_generator():
    def epoch(loader):
        return [i for x, _ in loader for i in x[:, 0].tolist()]

    loaders = [
        DataLoader(Squares(20), 3, shuffle=True, generator=ta.Generator().manual_seed(5))
        for _ in range(2)
    ]
    first, again = (epoch(loader) for loader in loaders)
    second = epoch(loaders[0])
    assert first == again != second
    assert sorted(first) == sorted(second) == list(range(20))


def test_a_sampler_or_a_batch_sampler_says_what_comes():
    items = list(range(10, 20))
    assert batches(DataLoader(items, 2, sampler=[3, 1, 2]))[0] == ("int64", [13, 11])
    loader = DataLoader(items, batch_sampler=[[0, 9], [5]])
    assert batches(loader) == [("int64", [10, 19]), ("int64", [15])]
    assert len(loader) == 2
    assert batches(DataLoader(items, None, sampler=[2])) == [12]


def test_collate_fn_gets_the_list_of_items():
    loader = DataLoader(["a", "bb", "ccc"], batch_size=2, collate_fn="-".join)
    assert list(loader) == ["a-bb", "ccc"]


def test_a_data_set_may_give_a_whole_batch_at_once():
    class AtOnce(Squares):
        def __getitems__(self, indices):
            return [("at once", i) for i in indices]

    first = next(iter(DataLoader(AtOnce(3), 2, collate_fn=list)))
    assert first == [("at once", 0), ("at once", 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": True, "sampler": [0]}, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "disables auto-batching"),
        ({"batch_size": 0}, "batch_size: expected a positive int, got 0"),
        ({"num_workers": -1}, "num_workers: expected an int >= 0, got -1"),
        ({"timeout": -1}, "timeout"),
        ({"prefetch_factor": 2}, "prefetch_factor and persistent_workers need num_workers > 0"),
        ({"persistent_workers": True}, "need num_workers > 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor: expected a positive int"),
    ],
)
def test_arguments_that_exclude_each_other(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader([1, 2], **options)


def test_a_stream_has_no_order_to_choose():
    for options in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="IterableDataset"):
            DataLoader(Stream(3), **options)
    with pytest.raises(TypeError, match="Stream should implement __len__"):
        len(DataLoader(Stream(3)))


# Workers


def children():
    import multiprocessing

    return multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [None, 1, 4])
def test_workers_give_the_same_batches_in_the_same_order(workers, size):
    def epoch(n, shuffle):
        ta.manual_seed(3)
        return batches(DataLoader(Squares(11), size, shuffle=shuffle, num_workers=n))

    for shuffle in (False, True):
        assert epoch(workers, shuffle) == epoch(0, shuffle)
    assert not children()


def test_a_slow_worker_does_not_change_the_order():
    class Slow(Squares):
        def __getitem__(self, index):
            time.sleep(0.05 if index == 0 else 0)
            return index

    loader = DataLoader(Slow(9), 1, num_workers=3, prefetch_factor=4)
    assert [x.item() for x in loader] == list(range(9))


def test_workers_share_out_a_stream():
    one = [plain(b)[1] for b in DataLoader(Stream(10), 2, num_workers=3)]
    assert one == [[0, 3], [1, 4], [2, 5], [6, 9], [7], [8]]
    assert batches(DataLoader(Stream(0), 2, num_workers=2)) == []


def test_large_tasks_and_large_batches_do_not_block_each_other():
    n = 60_000
    loader = DataLoader(list(range(n)), batch_size=n // 2, num_workers=1, prefetch_factor=4)
    assert sum(x.sum().item() for x in loader) == n * (n - 1) // 2


def test_an_exception_in_a_worker_is_raised_with_its_traceback():
    class Broken(Squares):
        def __getitem__(self, index):
            return {}["no such key"] if index == 5 else index

    loader = iter(DataLoader(Broken(9), 1, num_workers=2))
    assert [next(loader).item() for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="no such key") as caught:
        next(loader)
    (note,) = caught.value.__notes__
    assert "DataLoader worker process 1" in note
    assert 'return {}["no such key"]' in note
    assert not children()


class Unportable(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def test_an_exception_that_can_not_travel_is_named():
    class Broken(Squares):
        def __getitem__(self, index):
            raise Unportable(1, 2)

    with pytest.raises(RuntimeError, match="Unportable: 1 and 2"):
        list(DataLoader(Broken(2), num_workers=1))


def test_a_batch_that_can_not_travel_is_an_error():
    loader = DataLoader([1, 2], collate_fn=lambda items: lambda: items, num_workers=1)
    kinds = AttributeError, TypeError, RuntimeError, pickle.PicklingError
    with pytest.raises(kinds, match="pickle"):
        list(loader)


def test_a_worker_that_dies_is_an_error_and_no_hang():
    class Deadly(Squares):
        def __getitem__(self, index):
            if index == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return index

    with pytest.raises(RuntimeError, match=r"worker 0 \(pid \d+\) exited unexpectedly.* -9"):
        list(DataLoader(Deadly(5), num_workers=2))
    assert not children()


def test_a_batch_that_takes_too_long_is_an_error():
    class Slow(Squares):
        def __getitem__(self, index):
            time.sleep(30)

    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds"):
        list(DataLoader(Slow(2), num_workers=1, timeout=0.2))
    assert time.monotonic() - start < 10
    assert not children()


def test_workers_end_when_the_loop_is_left():
    for _ in DataLoader(Squares(100), num_workers=2):
        break
    assert not children()
    loader = iter(DataLoader(Squares(100), num_workers=2))
    next(loader)
    assert len(children()) == 2
    del loader
    assert not children()


def test_workers_end_with_the_main_process():
    program = """
import os, signal
from tinyattn.utils.data import DataLoader
loader = iter(DataLoader(list(range(100)), num_workers=2))
next(loader)
import multiprocessing
print(*[p.pid for p in multiprocessing.active_children()], flush=True)
if {killed}:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for killed in (False, True):
        command = [sys.executable, "-c", program.format(killed=killed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert not done.stderr
        limit = time.monotonic() + 10
        for pid in map(int, done.stdout.split()):
            while alive(pid):
                assert time.monotonic() < limit
                time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_each_worker_has_its_number_and_its_random_numbers():
    class Drawing(Squares):
        def __getitem__(self, index):
            info = get_worker_info()
            drawn = random.random(), ta.rand(1).item(), np.random.rand()  # noqa: NPY002
            return info.id, info.num_workers, info.dataset is self, *drawn, self.n

    def epoch():
        ta.manual_seed(0)
        return list(
            DataLoader(
                Drawing(6),
                None,
                num_workers=2,
                worker_init_fn=lambda i: setattr(get_worker_info().dataset, "n", 10 * i),
            )
        )

    drawn = epoch()
    assert [d[0] for d in drawn] == [0, 1, 0, 1, 0, 1]
    assert [d[-1] for d in drawn] == [0, 10, 0, 10, 0, 10]
    assert all(d[1:3] == [2, True] for d in drawn)
    assert all(len({d[k] for d in drawn}) == 6 for k in (3, 4, 5))
    assert epoch() == drawn  # the numbers follow the seed
    assert get_worker_info() is None


def test_numpy_draws_other_numbers_in_each_of_many_workers():
    class Drawing(Squares):
        def __getitem__(self, index):
            return float(np.random.rand())  # noqa: NPY002

    assert len(set(DataLoader(Drawing(4), None, num_workers=4))) == 4


def test_the_seeds_of_workers_come_from_the_generator():
    class Seed(Squares):
        def __getitem__(self, index):
            return get_worker_info().seed - get_worker_info().id

    def seeds(start, epochs):
        generator = ta.Generator().manual_seed(start)
        loader = DataLoader(Seed(2), None, num_workers=2, generator=generator)
        return [seed for _ in range(epochs) for seed in set(loader)]

    first = seeds(5, 3)
    assert len(set(first)) == 3  # one for each epoch
    assert max(first) > 2**40
    assert seeds(5, 1) == first[:1]
    assert seeds(6, 1) != first[:1]


def test_a_loader_tells_its_settings():
    loader = DataLoader([1], num_workers=2)
    assert (loader.prefetch_factor, loader.pin_memory, loader.persistent_workers) == (
        2,
        False,
        False,
    )
    assert DataLoader([1]).prefetch_factor is None
    for ahead in (1, 5):
        assert DataLoader([1], num_workers=1, prefetch_factor=ahead).prefetch_factor == ahead
    loader = DataLoader([1], num_workers=1, pin_memory=True)
    assert (loader.pin_memory, loader.persistent_workers) == (True, False)


class Backends(Squares):
    """Each item is the name of the backend that the process uses."""

    def __getitem__(self, index):
        return kernels.backend().name


@pytest.mark.parametrize("method", OTHER_WAYS)
def test_workers_that_are_not_forked(method):
    loader = DataLoader(Squares(5), 2, num_workers=1, multiprocessing_context=method)
    assert batches(loader) == batches(DataLoader(Squares(5), 2))
    usual = kernels.backend().name
    other = next((name for name in ta.available_backends() if name != usual), usual)
    with kernels.use_backend(other):
        loader = DataLoader(Backends(1), None, num_workers=1, multiprocessing_context=method)
        assert list(loader) == [other]


@pytest.mark.parametrize("method", OTHER_WAYS)
def test_what_can_not_be_sent_to_a_worker_is_an_error_that_says_what_to_do(method):
    class Local(Squares):
        pass

    loader = DataLoader(Local(5), num_workers=1, multiprocessing_context=method)
    with pytest.raises((AttributeError, pickle.PicklingError), match="Local") as caught:
        list(loader)
    note = caught.value.__notes__[-1]
    assert f"The workers are started by '{method}'" in note
    assert 'pass multiprocessing_context="fork"' in note
    assert not children()


@pytest.mark.parametrize("method", OTHER_WAYS)
def test_what_a_worker_does_not_find_is_an_error_that_says_what_to_do(method):
    program = f"""
from tinyattn.utils.data import DataLoader, Dataset
class Mine(Dataset):
    __len__ = lambda self: 1
    __getitem__ = lambda self, index: index
list(DataLoader(Mine(), num_workers=1, multiprocessing_context={method!r}))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.search(r"RuntimeError: DataLoader worker 0 .* with exit code 1\. The workers ", last)
    assert '`if __name__ == "__main__":`' in last


def test_a_model_trains_while_workers_load():
    model = ta.nn.Linear(2, 1)
    optimiser = ta.optim.SGD(model.parameters(), lr=1e-4)
    for _ in range(2):
        for x, y in DataLoader(Squares(32), 8, shuffle=True, num_workers=2, pin_memory=True):
            optimiser.zero_grad()
            loss = (model(x).squeeze(1) - y).square().mean()
            loss.backward()
            optimiser.step()
    assert np.isfinite(loss.item())


def test_what_a_loader_is_without_options():
    loader = DataLoader(Squares(3))
    assert (loader.batch_size, loader.drop_last, loader.num_workers) == (1, False, 0)
    assert (loader.timeout, loader.prefetch_factor, loader.worker_init_fn) == (0, None, None)
    assert (loader.pin_memory, loader.persistent_workers) == (False, False)
    assert isinstance(loader.sampler, SequentialSampler)


def test_a_worker_reads_tasks_until_the_pipe_is_closed():
    ours, theirs = multiprocessing.Pipe()
    tasks = SimpleQueue()
    for task in ([0, 1], [2]):
        ours.send(task)
    ours.close()
    worker._read(theirs, tasks)
    assert [tasks.get_nowait() for _ in range(3)] == [[0, 1], [2], worker._CLOSED]
    assert tasks.empty()


@pytest.mark.parametrize(
    ("exitcode", "method", "hint"), [(1, "spawn", True), (1, "fork", False), (3, "spawn", False)]
)
def test_a_worker_that_could_not_begin_is_told_how_workers_are_started(exitcode, method, hint):
    workers = object.__new__(Workers)
    process = SimpleNamespace(pid=7, exitcode=None)  # until it has ended
    process.join = lambda timeout: setattr(process, "exitcode", exitcode)
    workers.processes, workers.method = [None, process], method
    told = "DataLoader worker 1 (pid 7) exited unexpectedly, with exit code "
    more = f". The workers are started by '{method}': so the data set, collate_fn and" * hint
    assert str(workers.died(1)).startswith(f"{told}{exitcode}{more}")
    assert ("started by" in str(workers.died(1))) == hint


def test_numbers_of_a_batch_are_as_the_first_is():
    collate = default_collate
    assert collate([1, 2.5]).dtype == ta.float32
    assert collate([1.0, 2]).dtype == ta.float64
    assert collate([True, False]).dtype == ta.bool
    assert collate([1, 2]).dtype == ta.int64


def test_a_worker_begins_with_the_backend_one_thread_and_its_seed(monkeypatch):
    begun = []
    for name in ("use_backend", "set_num_threads", "manual_seed"):
        monkeypatch.setattr(worker, name, lambda value, name=name: begun.append((name, value)))
    monkeypatch.setattr(worker, "_info", None)
    monkeypatch.setattr(worker.signal, "signal", lambda *args: None)
    ours, theirs = multiprocessing.Pipe()
    ours.close()  # no task comes
    info = worker.WorkerInfo(0, 1, 7, None)
    worker._work(theirs, [], "a backend", info, None, None)
    assert begun == [("use_backend", "a backend"), ("set_num_threads", 1), ("manual_seed", 7)]
    assert worker._info is info
