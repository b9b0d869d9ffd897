"""n ranks compute what one process computes with the same whole batch, to the same bits on each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyattn as ta

from .launch import needs_mpi, ranks

TRAIN = """
import sys
import numpy as np
import tinyattn as ta
from tinyattn import nn
from tinyattn.utils.data import DataLoader, TensorDataset

P = ta.parallel
rank, size = P.get_rank(), P.get_world_size()
ta.manual_seed(rank)  # the first weights are those of rank 0
model = nn.Sequential(nn.Linear(7, 33), nn.Tanh(), nn.Dropout(0.3), nn.Linear(33, 5)).double()
model = P.DistributedDataParallel(model, bucket_cap_mb=0.001)
optimizer = ta.optim.Adam(model.parameters(), lr=0.01)
ta.manual_seed(3)
data = TensorDataset(ta.randn(48, 7).double(), ta.randint(5, (48,)))
sampler = P.DistributedSampler(data)
losses = []
for epoch in range(2):
    sampler.set_epoch(epoch)
    for x, y in DataLoader(data, batch_size=12 // size, sampler=sampler):
        optimizer.zero_grad()
        with P.part_of_batch(len(x) * size):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        losses.append(sum(P.all_gather_object(loss.item())) / size)
state = {name: x.numpy() for name, x in model.state_dict().items()}
np.savez(f"{sys.argv[1]}-{size}-{rank}.npz", losses=losses, **state)
"""


@needs_mpi
def test_ranks_learn_what_one_process_learns(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    for size in (1, 2, 3):
        done = ranks(size, "train.py", "out", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    alone = np.load(tmp_path / "out-1-0.npz")
    for size in (2, 3):
        first, *others = (np.load(tmp_path / f"out-{size}-{rank}.npz") for rank in range(size))
        for name in alone.files:
            np.testing.assert_allclose(first[name], alone[name], rtol=1e-10, atol=1e-13)
            for other in others:
                assert (other[name] == first[name]).all()  # the same bits
    assert alone["losses"][-1] < alone["losses"][0]


VALUES = """
import json
import numpy as np
import tinyattn as ta
from tinyattn import nn

P = ta.parallel
rank, size = P.get_rank(), P.get_world_size()
found = {}

x = ta.arange(7.0) * (rank + 1)
P.all_reduce(x)
found["sum"] = x.tolist()
empty = ta.zeros(0)
P.all_reduce(empty)
found["objects"] = P.all_gather_object({"rank": rank})
found["large"] = [len(text) for text in P.all_gather_object("x" * (10**6 + rank))]
found["from 1"] = P.broadcast_object(rank * 10, src=1)
found["share"] = P.share(rank + 1)

# Gradients of parameters that all ranks use, that one rank uses, and that none uses.
class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared, self.sometimes, self.never = (nn.Parameter(ta.ones(2)) for _ in range(3))
        self.single = nn.Parameter(ta.ones(3).double())
        self.frozen = nn.Parameter(ta.ones(2), requires_grad=False)
        self.register_buffer("mean", ta.full((2,), float(rank)))

    def forward(self, x):
        y = (self.shared * x).sum() + self.single.sum().float() * (rank + 1)
        return y + (self.sometimes * x).sum() if rank == 1 else y

model = P.DistributedDataParallel(Branches())
found["buffer"] = model.module.mean.tolist()
model(ta.full((2,), float(rank + 1))).backward()
module = model.module
listed = lambda x: None if x is None else x.tolist()
grads = lambda: {name: listed(p.grad) for name, p in module.named_parameters()}
found["first"] = grads()
with model.no_sync():
    module(ta.full((2,), float(rank))).backward()
found["kept"] = module.shared.grad.tolist()
module(ta.zeros(2)).backward()
found["second"] = grads()["shared"]
for user in (0, 1):  # the parameter that one rank uses is used by the other next time
    model.zero_grad()
    y = (module.sometimes * (rank + 1.0)).sum() if rank == user else (module.shared * 0).sum()
    y.backward()
    found[f"used by {user}"] = listed(module.sometimes.grad)
model.module.mean[0] = rank + 5.0
model(ta.zeros(2))
found["buffer later"] = module.mean.tolist()

# Dropout in a part of a batch of 5 rows, and of 1: rank 1 has none of its own.
found["parts"] = []
for total in (5, 1):
    ta.manual_seed(0)
    with P.part_of_batch(total) as part:
        rows = range(total)[part.rows]
        found["parts"].append([*rows, part.weight])
        dropped = ta.dropout(ta.ones(len(rows), 8)).tolist()
    found[f"dropped of {total}"] = dropped, ta.rand(2).tolist()

refused = {}
for name, call in {
    "ints": lambda: P.all_reduce(ta.arange(3)),
    "graph": lambda: P.all_reduce(nn.Parameter(ta.ones(3))),
    "shapes": lambda: P.all_reduce(ta.ones(rank + 1)),
    "src": lambda: P.broadcast_object(0, src=2),
    "count": lambda: P.share(0),
    "total": lambda: P.part_of_batch(0).__enter__(),
    "lengths": lambda: P.part_of_batch(2, lengths=[1]).__enter__(),
    "random": lambda: (rank and ta.rand(1), P.part_of_batch(2).__enter__()),
}.items():
    try:
        call()
    except (TypeError, ValueError, RuntimeError) as error:
        refused[name] = f"{type(error).__name__}: {error}"
found["refused"] = refused
all_found = P.all_gather_object(found)
if rank == 0:
    print(json.dumps(all_found))
"""


@pytest.fixture(scope="module")
def values() -> list[dict[str, Any]]:
    """What VALUES has found on two ranks, in the order of the ranks."""
    done = ranks(2, VALUES)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@needs_mpi
def test_sums_and_objects_are_those_of_all_ranks(values: Any) -> None:
    for one in values:
        assert one["sum"] == [3.0 * i for i in range(7)]
        assert one["objects"] == [{"rank": 0}, {"rank": 1}]
        assert one["large"] == [10**6, 10**6 + 1]
        assert one["from 1"] == 10
    assert [one["share"] for one in values] == [2 / 3, 4 / 3]


@needs_mpi
def test_gradients_are_means_over_ranks_and_none_where_no_rank_has_one(values: Any) -> None:
    for one in values:
        assert one["first"] == {
            "shared": [1.5, 1.5],
            "sometimes": [1.0, 1.0],
            "never": None,
            "single": [1.5, 1.5, 1.5],
            "frozen": None,
        }


@needs_mpi
def test_what_a_rank_sent_before_is_not_sent_again(values: Any) -> None:
    assert [one["used by 0"] for one in values] == [[0.5, 0.5]] * 2
    assert [one["used by 1"] for one in values] == [[1.0, 1.0]] * 2


@needs_mpi
def test_no_sync_keeps_gradients_until_the_next_pass(values: Any) -> None:
    assert [one["kept"] for one in values] == [[1.5, 1.5], [2.5, 2.5]]
    assert [one["second"] for one in values] == [[2.0, 2.0]] * 2


@needs_mpi
def test_buffers_are_those_of_rank_0_at_first_and_in_training(values: Any) -> None:
    for one in values:
        assert one["buffer"] == [0.0, 0.0]
        assert one["buffer later"] == [5.0, 0.0]


@needs_mpi
def test_a_part_of_a_batch_drops_what_the_whole_drops(values: Any) -> None:
    assert [one["parts"] for one in values] == [
        [[0, 2, 4, 2 * 3 / 5], [0, 2.0]],
        [[1, 3, 2 * 2 / 5], [0, 0.0]],
    ]
    for total in (5, 1):
        ta.manual_seed(0)
        whole, after = ta.dropout(ta.ones(total, 8)).tolist(), ta.rand(2).tolist()
        assert np.any(np.array(whole) == 0)
        for rank, one in enumerate(values):
            rows = whole[rank::2] or whole[:1]
            assert one[f"dropped of {total}"] == [rows, after]


@needs_mpi
def test_wrong_arguments_are_refused_by_name(values: Any) -> None:
    for one in values:
        assert one["refused"] == {
            "ints": "TypeError: tensor: expected a tensor of float32 or float64, got int64",
            "graph": "RuntimeError: tensor: expected one outside the graph; use detach()",
            "shapes": "RuntimeError: tensor: expected one shape and dtype on all ranks, got "
            "float32 [1] on rank 0 and float32 [2] on rank 1",
            "src": "ValueError: src: expected a rank from 0 to 1, got 2",
            "count": "ValueError: count: expected at least 0, and one above 0, got [0, 0]",
            "total": "ValueError: total: expected at least 1 row, got 0",
            "lengths": "ValueError: lengths: expected those of 2 rows, got shape (1,)",
            "random": "RuntimeError: part_of_batch: expected random numbers in one state on all "
            "ranks, but rank 1 has drawn others than rank 0: seed all alike (manual_seed), draw as "
            "many numbers on all, and pad all parts of a batch to one length",
        }


OVERLAP = """
import tinyattn as ta
from tinyattn.parallel.sums import Sum

P = ta.parallel
layers = [ta.nn.Linear(8, 8) for _ in range(4)]
model = P.DistributedDataParallel(ta.nn.Sequential(*layers), bucket_cap_mb=1e-6)
seen = []
start = Sum.start
Sum.start = lambda self: (seen.append("sent"), start(self))[1]
x = ta.ones(2, 8)
for layer in layers:
    x = layer(x)
    x.register_hook(lambda grad: seen.append("computed"))
x.sum().backward()
if P.get_rank() == 0:
    print(*seen)
"""


@needs_mpi
def test_gradients_are_sent_while_the_backward_pass_goes_on() -> None:
    done = ranks(2, OVERLAP)
    assert done.returncode == 0, done.stderr
    layer = ["computed", "sent", "sent"]  # weight and bias
    assert done.stdout.split() == layer * 4


def test_one_process_is_rank_0_of_1_and_sends_nothing() -> None:
    P = ta.parallel
    assert (P.get_rank(), P.get_world_size()) == (0, 1)
    assert P.all_gather_object("x") == ["x"]
    assert P.broadcast_object("x") == "x"
    assert P.share(0.5) == 1
    P.barrier()
    x = ta.ones(3)
    P.all_reduce(x)
    assert x.tolist() == [1.0, 1.0, 1.0]
    model = P.DistributedDataParallel(ta.nn.Linear(2, 1))
    with model.no_sync():
        model(ta.ones(1, 2)).backward()
    assert model.module.weight.grad.tolist() == [[1.0, 1.0]]
    assert list(model.state_dict()) == ["module.weight", "module.bias"]  # as PyTorch's
    ta.manual_seed(0)
    with P.part_of_batch(3, lengths=[1, 2, 3]) as part:
        assert part == (slice(0, 3), 1.0)
        first = ta.dropout(ta.ones(3, 4))
    ta.manual_seed(0)
    assert ta.dropout(ta.ones(3, 4)).tolist() == first.tolist()


def test_a_program_of_one_process_ends_with_the_message_and_the_code(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        ta.parallel.abort("no such file", 3)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "no such file\n"


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_buckets_have_room(size: float) -> None:
    with pytest.raises(ValueError, match="bucket_cap_mb: expected a number above 0"):
        ta.parallel.DistributedDataParallel(ta.nn.Linear(2, 1), bucket_cap_mb=size)


@needs_mpi
def test_ranks_of_one_machine_share_its_processors() -> None:
    code = """
import tinyattn as ta
rank = ta.parallel.get_rank()
found = ta.parallel.all_gather_object(ta.get_num_threads())
rank or print(*found)
"""
    alone, two = (ranks(count, code, TINYATTN_NUM_THREADS="") for count in (1, 2))
    threads = int(alone.stdout)
    assert two.stdout.split() == [str(max(1, threads // 2))] * 2
    given = ranks(2, code, TINYATTN_NUM_THREADS="3")
    assert given.stdout.split() == ["3", "3"]
