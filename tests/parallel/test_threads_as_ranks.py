"""What ranks say to each other, with threads in the place of processes: no MPI is needed. Look at
`Comm` first."""

import math
import queue
import sys
import threading
import time
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.kernels import recording
from tinyattn.ops import parts
from tinyattn.parallel import exchange, model, processes, random
from tinyattn.parallel.processes import World
from tinyattn.parallel.sums import Sum, finish


def aborted(message: str, code: int = 1) -> None:
    raise InterruptedError(message)


class Comm:
    """One end of mailboxes that all threads share: what was sent waits under (to, from, tag), and
    has left (`Test`) when it was taken."""

    def __init__(self, rank: int, size: int, boxes: Any) -> None:
        self.rank, self.size, self.boxes = rank, size, boxes
        self.sent: list[Any] = []

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.size

    def isend(self, obj: Any, peer: int, tag: int) -> Any:
        taken: list[bool] = []
        self.boxes[peer, self.rank, tag].put((obj, taken))
        self.sent.append(SimpleNamespace(Test=lambda: bool(taken)))
        return self.sent[-1]

    def Isend(self, array: Any, peer: int, tag: int) -> Any:
        return self.isend(array.copy(), peer, tag)

    def irecv(self, source: int, tag: int) -> Any:
        return self.Irecv(None, source, tag)

    def Irecv(self, into: Any, source: int, tag: int) -> Any:
        box, done = self.boxes[self.rank, source, tag], []

        def test() -> bool:
            if not done and not box.empty():
                value = take(box)
                if into is not None:
                    into[...] = value
                done.append(True)
            return bool(done)

        return SimpleNamespace(Test=test)

    def improbe(self, source: int, tag: int) -> Any:
        box = self.boxes[self.rank, source, tag]
        return None if box.empty() else SimpleNamespace(recv=lambda: take(box))

    def Abort(self, code: int) -> None:
        raise SystemExit(f"aborted with {code}")


def take(box: Any) -> Any:
    obj, taken = box.get()
    taken.append(True)
    return obj


def comms(size: int) -> list[Comm]:
    boxes: Any = defaultdict(queue.SimpleQueue)
    return [Comm(rank, size, boxes) for rank in range(size)]


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """ranks(n, program): what program(rank) gives, or raises, in n threads. A wait ends after
    `ranks.limit` seconds."""
    here = threading.local()
    monkeypatch.setattr(processes, "abort", aborted)
    for module in (processes, exchange, random):
        monkeypatch.setattr(module, "world", lambda: here.world)

    def run(size: int, program: Any) -> list[Any]:
        found: list[Any] = [None] * size
        worlds = [World(comm) for comm in comms(size)]
        for world in worlds:
            world.limit = run.limit  # type: ignore[attr-defined]

        def one(rank: int) -> None:
            here.world = worlds[rank]
            try:
                found[rank] = program(rank)
            except BaseException as error:
                found[rank] = error

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return found

    run.limit = 5.0  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize("size", [2, 3])
def test_all_ranks_get_all_objects_in_their_order(ranks: Any, size: int) -> None:
    got = ranks(size, lambda rank: exchange.all_gather_object({"rank": rank}))
    assert got == [[{"rank": rank} for rank in range(size)]] * size


@pytest.mark.parametrize("src", [0, 1, 2])
def test_all_ranks_get_the_object_of_one(ranks: Any, src: int) -> None:
    assert ranks(3, lambda rank: exchange.broadcast_object(10 + rank, src)) == [10 + src] * 3
    assert ranks(3, lambda rank: exchange.broadcast_object(10 + rank)) == [10] * 3


def has_left() -> bool:
    """Whether all that this rank has sent was taken."""
    return all(request.Test() for request in processes.world().comm.sent)


@pytest.mark.parametrize("late", [1, 2])
def test_a_rank_goes_on_when_all_have_taken_what_it_sent(ranks: Any, late: int) -> None:
    def broadcast(rank: int) -> bool:
        if rank == late:
            time.sleep(0.03)
        exchange.broadcast_object("text")
        return has_left()

    def gather(rank: int) -> bool:
        if rank == late:  # it sends at once, and takes later
            take, comm = processes.world().comm.improbe, processes.world().comm
            after = time.monotonic() + 0.03
            comm.improbe = lambda *args: take(*args) if time.monotonic() > after else None
        exchange.all_gather_object("text")
        return has_left()

    assert ranks(3, broadcast) == [True] * 3
    assert ranks(3, gather) == [True] * 3


def test_the_ranks_that_have_not_taken_a_message_are_named(ranks: Any) -> None:
    ranks.limit = 0.02

    def alone(call: Any) -> str:
        return str(ranks(3, lambda rank: call() if rank == 0 else None)[0])

    def add() -> None:
        one = Sum(2, np.dtype(np.float32), processes.world())
        one.start()
        finish([one])

    said = "rank 0 has waited 0.02 s for rank 1, 2; TINYATTN_PARALLEL_TIMEOUT sets this limit"
    assert alone(lambda: exchange.broadcast_object(1)).startswith(said)
    assert alone(lambda: exchange.all_gather_object(1)).startswith(said)
    assert alone(add).startswith(said)


def test_every_rank_knows_its_number(ranks: Any) -> None:
    numbers = ranks(3, lambda rank: (processes.get_rank(), processes.get_world_size()))
    assert numbers == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("src", [-1, 3])
def test_a_rank_that_is_not_there_is_refused(ranks: Any, src: int) -> None:
    for error in ranks(3, lambda rank: exchange.broadcast_object(rank, src)):
        assert str(error) == f"src: expected a rank from 0 to 2, got {src}"


def test_a_barrier_is_passed_by_all_or_none(ranks: Any) -> None:
    came: list[int] = []

    def program(rank: int) -> int:
        came.append(rank)
        exchange.barrier()
        return len(came)

    assert ranks(3, program) == [3, 3, 3]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("size", [2, 3])
def test_every_rank_gets_the_sum_in_the_order_of_the_ranks(ranks: Any, size: int, n: int) -> None:
    parts = [np.linspace(1, 2, n, dtype=np.float32) ** (3 * rank) * 1e3 for rank in range(size)]
    total = parts[0].copy()
    for part in parts[1:]:
        total += part

    def program(rank: int) -> Any:
        x = ta.tensor(parts[rank])
        version = x._storage.version
        exchange.all_reduce(x)
        assert x._storage.version == version + 1
        return x.numpy().tobytes()

    assert ranks(size, program) == [total.tobytes()] * size


def test_the_shape_of_a_sum_is_that_of_its_parts(ranks: Any) -> None:
    def program(rank: int) -> Any:
        x = ta.tensor([[1.0, 2.0], [3.0, 4.0]]).double() * (rank + 1)
        exchange.all_reduce(x)
        return x.tolist()

    assert ranks(3, program) == [[[6.0, 12.0], [18.0, 24.0]]] * 3


def test_tensors_that_differ_between_ranks_are_refused(ranks: Any) -> None:
    for error in ranks(3, lambda rank: exchange.all_reduce(ta.ones(2 + rank // 2))):
        assert str(error).endswith("float32 [3] on rank 2")
        assert "float32 [2] on rank 0" in str(error)
    for error in ranks(3, lambda rank: exchange.all_reduce(ta.ones(3 - (rank > 0)))):
        assert "float32 [3] on rank 0" in str(error)
        assert str(error).endswith("float32 [2] on rank 1")
    with pytest.raises(TypeError, match="tensor: expected a tensor of float32 or float64, got "):
        exchange.all_reduce(ta.tensor([1]))
    with pytest.raises(TypeError, match="tensor: expected a tensor of float32 or float64, got flo"):
        exchange.all_reduce(1.0)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="tensor: expected one outside the graph"):
        exchange.all_reduce(ta.ones(1, requires_grad=True))


def test_the_sum_of_one_rank_is_its_tensor() -> None:
    x = ta.ones(2)
    version = x._storage.version
    exchange.all_reduce(x)
    assert (x.tolist(), x._storage.version) == ([1.0, 1.0], version)


def test_several_sums_may_be_under_way(ranks: Any) -> None:
    def program(rank: int) -> Any:
        here = processes.world()
        sums = [Sum(size, np.dtype(np.float64), here) for size in (4, 5)]
        assert here.tag == processes.FIRST_FREE + 4
        assert [one.tag for one in sums] == [processes.FIRST_FREE, processes.FIRST_FREE + 2]
        for one in sums:
            one.numbers[:] = np.arange(len(one.numbers)) + 10 * rank
            one.start()
        finish(sums)
        assert [one.step for one in sums] == [3, 3]
        assert [one.missing() for one in sums] == [[], []]
        return [one.numbers.tolist() for one in sums]

    wanted = [[30.0, 33.0, 36.0, 39.0], [30.0, 33.0, 36.0, 39.0, 42.0]]
    assert ranks(3, program) == [wanted] * 3


def test_a_sum_names_the_ranks_that_it_waits_for() -> None:
    first, second, third = (World(comm) for comm in comms(3))
    one, two, three = (Sum(3, np.dtype(np.float64), here) for here in (first, second, third))
    assert (one.advance(), one.step, one.pieces.shape) == (False, 0, (3, 1))
    assert Sum(4, np.dtype(np.float64), World(comms(3)[0])).pieces.shape == (3, 2)
    one.numbers[:], two.numbers[:], three.numbers[:] = [1, 2, 3], [10, 20, 30], [100, 200, 300]
    one.start()
    assert (one.step, one.missing(), one.advance()) == (1, [1, 2], False)
    two.start()
    assert two.missing() == [0, 2]  # it has taken what 0 sent
    assert (one.missing(), one.advance(), one.step) == ([2], False, 1)
    three.start()
    assert three.missing() == [0, 1]
    assert (one.advance(), one.step, one.missing()) == (False, 2, [1, 2])
    rounds = [[x.advance() for x in (two, three, one)] for _ in range(4)]
    assert rounds[0][:2] == [False, False]
    assert rounds[-1] == [True] * 3
    tags = {tag for _, _, tag in first.comm.boxes}
    assert tags == {processes._LEFT, one.tag, one.tag + 1}
    assert [x.numbers.tolist() for x in (one, two, three)] == [[111, 222, 333]] * 3


def test_shares_make_the_mean_of_ranks_the_mean_of_items(ranks: Any) -> None:
    counts = [1, 3, 0]
    assert ranks(3, lambda rank: exchange.share(counts[rank])) == [0.75, 2.25, 0.0]
    small = [0.25, 0.5, 0.0]
    assert ranks(3, lambda rank: exchange.share(small[rank])) == [1.0, 2.0, 0.0]
    for wrong in ([0, 0, 0], [1, -1, 2], [3, 1, -1], [math.nan, 1, 1]):
        for error in ranks(3, lambda rank, wrong=wrong: exchange.share(wrong[rank])):
            assert str(error) == f"count: expected at least 0, and one above 0, got {wrong}"


@pytest.mark.parametrize("total", [1, 2, 5])
def test_ranks_deal_out_the_rows_of_a_batch(ranks: Any, total: int) -> None:
    def program(rank: int) -> Any:
        with random.part_of_batch(total) as part:
            inside = parts.local.part
            with random.part_of_batch(3, dim=1, lengths=[3, 1, 2]):
                other = parts.local.part
            assert parts.local.part is inside
        assert parts.local.part is None
        return part, inside, other

    rows = [list(range(total))[rank::3] for rank in range(3)]
    for rank, (part, inside, other) in enumerate(ranks(3, program)):
        assert list(range(total)[part.rows]) == list(inside.rows) == (rows[rank] or [0])
        assert math.isclose(part.weight, 3 * len(rows[rank]) / total)
        assert (inside.total, inside.dim, inside.lengths) == (total, 0, None)
        assert (*other[:3], *other.lengths) == (range(rank, 3, 3), 3, 1, 3, 1, 2)


def test_ranks_can_not_be_recorded(ranks: Any) -> None:
    def program(rank: int) -> Any:
        recording.local.recorder = object()  # type: ignore[assignment]
        with random.part_of_batch(2):
            return None

    for error in ranks(2, program):
        assert "replay: part_of_batch: ranks can't replay" in str(error)


def test_a_part_ends_with_an_error(ranks: Any) -> None:
    def program(rank: int) -> Any:
        with random.part_of_batch(2):
            raise KeyError(rank)

    def both(rank: int) -> Any:
        with pytest.raises(KeyError):
            program(rank)
        return parts.local.part

    assert ranks(2, both) == [None, None]


@pytest.mark.parametrize("odd", [1, 2])
def test_parts_of_random_numbers_in_two_states_are_refused(
    ranks: Any, odd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(threading.local):
        rank = 0

        def get_state(self) -> ta.Tensor:
            return ta.tensor([int(self.rank == odd)])

    own = Own()
    monkeypatch.setattr(random, "default_generator", own)

    def program(rank: int) -> Any:
        own.rank = rank
        with random.part_of_batch(2):
            return None

    for error in ranks(3, program):
        assert isinstance(error, RuntimeError)
        assert f"in one state on all ranks, but rank {odd} has drawn others than rank 0" in str(
            error
        )


def test_a_batch_has_rows_and_a_length_for_each() -> None:
    with pytest.raises(ValueError, match="total: expected at least 1 row, got 0"):
        random.part_of_batch(0).__enter__()
    with pytest.raises(ValueError, match=r"those of 2 rows, got shape \(1,\)"):
        random.part_of_batch(2, lengths=[1]).__enter__()
    with random.part_of_batch(1, lengths=[4]) as part:
        assert part == (slice(0, 1), 1.0)
        assert parts.local.part is None


def test_one_rank_is_the_world_without_mpiexec() -> None:
    alone = World()
    assert (alone.rank, alone.size, alone.peers, alone.limit) == (0, 1, [], math.inf)
    assert (alone.left, alone.tags(2), alone.tags(1)) == ({}, 16, 18)
    assert exchange.share(3) == 1.0


def test_a_world_knows_its_ranks_and_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYATTN_PARALLEL_TIMEOUT", raising=False)
    middle = World(comms(3)[1])
    assert (middle.rank, middle.size, middle.peers, middle.limit) == (1, 3, [0, 2], 600)
    assert sorted(middle.left) == [0, 2]
    monkeypatch.setenv("TINYATTN_PARALLEL_TIMEOUT", "2.5")
    assert World(comms(2)[0]).limit == 2.5
    for wrong in ("0", "-1", "nan", "soon"):
        with pytest.raises(ValueError, match="expected a number of seconds above 0, got"):
            processes._seconds(wrong)
    assert (processes._seconds("inf"), processes._seconds("0.5")) == (math.inf, 0.5)


class Clock:
    """Time that passes only in sleep, and a little at every look."""

    def __init__(self) -> None:
        self.now, self.naps = 0.0, list[float]()

    def monotonic(self) -> float:
        self.now += 1e-4
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(processes, "time", clock)
    return clock


@pytest.fixture
def middle(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(comms(3)[1])
    monkeypatch.setattr(processes, "world", lambda: world)
    monkeypatch.setattr(processes, "abort", aborted)
    return world


def test_a_wait_sleeps_after_a_thousandth_of_a_second(middle: World, clock: Clock) -> None:
    looks = iter([False] * 12 + [True])
    processes.wait(lambda: next(looks), lambda: [0])
    assert clock.naps == [0.0002] * 3  # the first nine looks take 0.0009 s


def test_a_wait_without_end_names_the_ranks(middle: World, clock: Clock) -> None:
    middle.limit = 2.5
    with pytest.raises(
        InterruptedError, match=r"^rank 1 has waited 2\.5 s for rank 0, 2; TINYATTN"
    ):
        processes.wait(lambda: False, lambda: [2, 0])
    assert 2.5 <= clock.now < 2.51


def test_a_rank_that_has_ended_is_named_after_a_second(middle: World, clock: Clock) -> None:
    middle.comm.boxes[1, 2, processes._LEFT].put((None, []))
    with pytest.raises(
        InterruptedError, match=r"^rank 1 waits for rank 2, whose program has ended$"
    ):
        processes.wait(lambda: False, lambda: [0, 2])
    assert clock.naps == [1.0]


def test_a_rank_that_has_ended_after_its_part_is_no_failure(middle: World, clock: Clock) -> None:
    middle.comm.boxes[1, 2, processes._LEFT].put((None, []))
    processes.wait(lambda: clock.now > 1, lambda: [2])
    assert clock.naps == [1.0]


def test_rank_0_reports_at_once_and_the_others_give_it_time() -> None:
    patience = [processes._patience(World(comm)) for comm in comms(4)]
    assert patience == [0.0, 0.625, 0.75, 0.875]


@pytest.mark.parametrize(
    ("kind", "waits", "code"),
    [
        (ValueError, [0.75], 1),
        (BaseException, [0.75], 1),
        (KeyboardInterrupt, [0.75], 130),
        (type("Stop", (KeyboardInterrupt,), {}), [0.75], 130),
    ],
)
def test_an_error_ends_all_ranks(
    kind: Any, waits: Any, code: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Any] = []
    monkeypatch.setattr(processes, "_end_all", lambda *args: ended.append(args))
    here = World(comms(2)[1])
    processes._failed(here, kind, kind("odd"), None)
    assert clock.naps == waits
    ((world, message, got),) = ended
    assert (world, got) == (here, code)
    assert message.endswith(f"{kind.__name__}: odd\nrank 1 of 2 has failed: all ranks end")


def test_an_error_of_a_message_is_reported_by_the_rank_at_its_other_end(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_end_all", lambda *args: None)
    kind = type("Error", (Exception,), {"__module__": "mpi4py.MPI"})
    processes._failed(World(comms(2)[0]), kind, kind(), None)
    assert clock.naps == [1.0]


@pytest.mark.parametrize("rank", [0, 1])
def test_abort_says_why_and_ends(
    rank: int, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[Any] = []
    here = World(comms(2)[rank]) if rank else World()
    monkeypatch.setattr(processes, "world", lambda: here)
    monkeypatch.setattr(processes, "_end_all", lambda *args: ended.append(args))
    with pytest.raises(SystemExit) as raised:
        processes.abort("enough", 3)
    assert raised.value.code == 3
    assert clock.naps == [0.75 * rank]
    assert ended == [(here, "enough", 3)] * rank
    assert capsys.readouterr().err == "enough\n"


def test_all_ranks_end_with_one_message(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved: list[Any] = []
    system = SimpleNamespace(
        dup2=lambda *args: moved.append(args), open=lambda *args: args, devnull="no", O_WRONLY=1
    )
    here = World(comms(2)[0])
    monkeypatch.setattr(processes, "os", system)
    with pytest.raises(SystemExit, match=r"^aborted with 7$"):
        processes._end_all(here, "enough", 7)
    assert capsys.readouterr().err == "enough\n"
    assert moved == [(("no", 1), 2)]
    assert clock.naps == [0.25]


def test_a_rank_that_leaves_says_so_and_waits_for_the_others(clock: Clock) -> None:
    first, second, third = (World(comm) for comm in comms(3))
    sleep = clock.sleep

    def others(seconds: float) -> None:
        """At the first nap rank 1 ends, at the second both take the note, at the third 2 ends."""
        sleep(seconds)
        match len(clock.naps):
            case 1:
                second.comm.isend(None, 0, processes._LEFT)
            case 2:
                assert second.left[0].Test()
                assert third.left[0].Test()
            case 3:
                third.comm.isend(None, 0, processes._LEFT)

    clock.sleep = others  # type: ignore[method-assign]
    processes._leave(first)
    assert clock.naps == [0.01] * 3


class Screen:
    """A stream that knows what was written before it was last flushed."""

    def __init__(self) -> None:
        self.written, self.shown, self.flushed = "", "", 0

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        self.shown = self.written
        self.flushed += 1


def test_messages_are_shown_before_a_rank_ends(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = Screen(), Screen()
    system = SimpleNamespace(stdout=out, stderr=err, exit=lambda code: 1 / code)
    monkeypatch.setattr(processes, "sys", system)
    monkeypatch.setattr(processes, "world", World)
    monkeypatch.setattr(processes.sys, "exit", [].append)
    processes.abort("enough")
    assert (err.shown, out.written) == ("enough\n", "")
    monkeypatch.setattr(processes, "os", SimpleNamespace(
        dup2=lambda *args: None, open=lambda *args: None, devnull="", O_WRONLY=1
    ))  # fmt: skip
    here = SimpleNamespace(comm=SimpleNamespace(Abort=lambda code: None))
    processes._end_all(here, "too much", 1)  # type: ignore[arg-type]
    assert (err.shown, out.flushed) == ("enough\ntoo much\n", 1)


def test_the_exit_code_is_1_unless_it_is_said(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "world", World)
    with pytest.raises(SystemExit) as raised:
        processes.abort("enough")
    assert raised.value.code == 1


def test_without_mpiexec_the_world_is_one_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*processes._SIZES, "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # it is not needed
    found = processes.world.__wrapped__()
    assert (found.rank, found.size, found.comm) == (0, 1, None)
    monkeypatch.setenv("PMI_SIZE", "1")
    assert processes.world.__wrapped__().comm is None
    monkeypatch.setenv("PMI_SIZE", "several")
    assert processes.world.__wrapped__().comm is None
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(
        ModuleNotFoundError, match="mpiexec started this process, which needs mpi4py"
    ):
        processes.world.__wrapped__()


class Mpi(SimpleNamespace):
    COMM_TYPE_SHARED = "shared"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """started(size, says): the world where mpi4py sees `size` ranks and mpiexec says `says`, under
    a name."""

    def start(size: int, says: str, called: str = "OMPI_COMM_WORLD_SIZE") -> World:
        for name in (*processes._SIZES, "PMIX_RANK"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(called, says)
        monkeypatch.setitem(
            sys.modules, "mpi4py", SimpleNamespace(MPI=Mpi(COMM_WORLD=comms(size)[0]))
        )
        monkeypatch.setattr(processes.sys, "excepthook", None)
        monkeypatch.setattr(processes, "_share_processors", lambda comm: shared.append(comm))
        monkeypatch.setattr(
            processes, "atexit", SimpleNamespace(register=lambda *a: kept.append(a))
        )
        return processes.world.__wrapped__()

    shared, kept = start.shared, start.kept = [], []  # type: ignore[attr-defined]
    return start


def test_mpiexec_makes_a_world_of_its_ranks(started: Any) -> None:
    found = started(3, "3")
    assert (found.rank, found.size) == (0, 3)
    assert started.shared == [found.comm]
    assert started.kept == [(processes._leave, found)]
    hook = processes.sys.excepthook
    assert (hook.func, hook.args) == (processes._failed, (found,))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PMIX_RANK"])
def test_every_mpiexec_is_known(started: Any, name: str) -> None:
    assert started(2, "2", name).size == 2
    if name == "PMIX_RANK":  # it says no size
        alone = started(1, "0", name)
        assert (alone.size, alone.comm) == (1, None)


def test_two_mpi_libraries_are_told_apart(started: Any) -> None:
    with pytest.raises(
        RuntimeError, match="mpiexec started 2 processes, but mpi4py sees 1: mpiexec"
    ):
        started(1, "2")
    with pytest.raises(
        RuntimeError, match="mpiexec started 2 processes, but mpi4py sees 3: mpiexec"
    ):
        started(3, "2")


def test_ranks_of_one_machine_share_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads(ranks: int, own: set[int], others: set[int]) -> Any:
        beside = SimpleNamespace(
            allgather=lambda mine: [mine, others], Get_size=lambda: ranks, kind=None
        )
        comm = SimpleNamespace(Split_type=lambda kind: beside if kind == "shared" else None)
        known = {0: own}  # 0 is this process
        monkeypatch.setattr(processes.os, "sched_getaffinity", known.__getitem__, raising=False)
        if own is None:  # as on macOS
            monkeypatch.delattr(processes.os, "sched_getaffinity")
        set_to: list[int] = []
        monkeypatch.setattr(processes, "set_num_threads", set_to.append)
        monkeypatch.setattr(processes, "get_num_threads", lambda: 6)
        processes._share_processors(comm)
        return set_to

    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=Mpi()))
    monkeypatch.delenv("TINYATTN_NUM_THREADS", raising=False)
    assert threads(2, {0, 1, 2, 3}, {0, 1, 2, 3}) == [2]
    assert threads(2, {0, 1}, {2, 3}) == [2]
    assert threads(8, {0, 1}, {0, 1}) == [1]
    assert threads(1, set(range(64)), set()) == [6]
    with monkeypatch.context() as elsewhere:
        for count, ranks, each in ((8, 2, [4]), (None, 1, [1])):
            elsewhere.setattr(processes.os, "cpu_count", lambda count=count: count)
            assert threads(ranks, None, set()) == each  # type: ignore[arg-type]
    monkeypatch.setenv("TINYATTN_NUM_THREADS", "5")
    assert threads(2, {0, 1}, {2, 3}) == []


# --- models ---------------------------------------------------------------------------------------


@pytest.fixture
def models(ranks: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`ranks`, whose programs may make models of all ranks."""
    monkeypatch.setattr(model, "world", lambda: exchange.world())
    return ranks


class Named(nn.Module):
    """A module of these parameters and buffers."""

    def __init__(self, buffers: Any = (), **parameters: Any) -> None:
        super().__init__()
        for name, array in parameters.items():
            setattr(self, name, nn.Parameter(ta.tensor(array)))
        for name, array in dict(buffers).items():
            self.register_buffer(name, ta.tensor(array))


def test_gradients_are_sent_in_groups_from_the_last_parameter_to_the_first() -> None:
    a, c, d, e, f = (np.zeros(n, "f4") for n in (4, 2, 3, 1, 10))
    module = Named(a=a, b=np.zeros(3), c=c, d=d, e=e, f=f)
    module.c.requires_grad_(False)
    groups = model._groups(module, 16)  # bytes
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert [[names[id(p)] for p in group] for group in groups] == [["f"], ["e", "d"], ["b"], ["a"]]


def test_a_group_has_its_gradients_in_a_row_and_which_of_them_there_are() -> None:
    first, second, third = (nn.Parameter(ta.zeros(*shape)) for shape in ((2,), (1, 3), (1,)))
    bucket = model._Bucket([first, second, third], World(comms(2)[0]))
    assert bucket.slices == [slice(0, 2), slice(2, 5), slice(5, 6)]
    assert bucket.left == {0, 1, 2}
    first.grad = given = ta.tensor([1.0, 2.0])
    third.grad = ta.tensor([9.0])
    bucket.sum.numbers[:] = 7
    for place in range(3):
        bucket.take(place)
    assert bucket.sum.numbers.tolist() == [1, 2, 0, 0, 0, 9, 1, 0, 1]
    assert bucket.left == set()
    bucket.sum.numbers[:] = [2, 4, 6, 8, 10, 5, 2, 1, 0]  # the sum of two ranks
    bucket.sum.step, third.grad, version = 3, None, given._storage.version
    bucket.put()
    assert first.grad is given
    assert given.tolist() == [1, 2]
    assert given._storage.version == version + 1
    assert second.grad is not None
    assert second.grad.tolist() == [[3, 4, 5]]
    assert third.grad is None
    assert (bucket.left, bucket.sum.step) == ({0, 1, 2}, 0)


def test_models_that_differ_between_ranks_are_refused(models: Any) -> None:
    two, three = np.zeros(2, "f4"), np.zeros(3, "f4")
    for others, first, other in [
        ({"w": two, "v": three}, "v [2] float32", "v [3] float32"),
        ({"w": two, "u": two}, "v [2] float32", "u [2] float32"),
        ({"w": two, "v": np.zeros(2)}, "v [2] float32", "v [2] float64"),
        ({"w": two}, "v [2] float32", "nothing"),
        ({"w": two, "v": two, "x": three}, "nothing", "x [3] float32"),
        ({"w": two, "v": two, "buffers": {"n": three}}, "nothing", "n [3] float32"),
    ]:
        made = [Named(w=two, v=two), Named(w=two, v=two), Named(**others)]
        for error in models(3, lambda rank, made=made: model._require_alike(made[rank])):
            assert isinstance(error, RuntimeError)
            assert str(error).endswith(f"all ranks, got {first} on rank 0 and {other} on rank 2")
        for error in models(3, lambda rank, made=made[::-1]: model._require_alike(made[rank])):
            assert str(error).endswith(f"all ranks, got {other} on rank 0 and {first} on rank 1")
    assert models(2, lambda rank: model._require_alike(Named(w=two, v=three))) == [None, None]


def test_all_ranks_take_the_numbers_of_rank_0(models: Any) -> None:
    def program(rank: int) -> Any:
        tensors = [ta.full((2,), float(rank + k)) for k in (1, 5)]
        model._take_from_rank_0(tensors)
        model._take_from_rank_0([])
        sent = len(exchange.world().comm.sent)
        return [t.tolist() for t in tensors], [t._storage.version for t in tensors], sent

    first, second = models(2, program)
    assert first == ([[1, 1], [5, 5]], [0, 0], 1)
    assert second[:2] == ([[1, 1], [5, 5]], [1, 1])


class Line(nn.Module):
    """w x + b, and on some ranks u x; the largest x that it has seen is a buffer."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.w, self.b, self.u = (nn.Parameter(ta.full((1,), start)) for _ in range(3))
        self.register_buffer("seen", ta.full((1,), start))

    def forward(self, x: float, used: bool = True) -> Any:
        self.seen[0] = max(self.seen.item(), x)
        y = self.w * x + self.b
        return y + self.u * x if used else y


@pytest.mark.parametrize("megabytes", [1.0, 1e-6])  # one group, or a group for each parameter
def test_gradients_are_the_means_over_all_ranks(
    models: Any, monkeypatch: pytest.MonkeyPatch, megabytes: float
) -> None:
    finished: list[int] = []
    finish = model.finish
    monkeypatch.setattr(model, "finish", lambda sums: finished.append(len(sums)) or finish(sums))

    def program(rank: int) -> Any:
        line = model.DistributedDataParallel(Line(1.0 + rank), bucket_cap_mb=megabytes)
        module, found = line.module, []

        def note() -> None:
            found.append([None if p.grad is None else p.grad.item() for p in module.parameters()])

        found.append([p.item() for p in module.parameters()])
        line(2.0 + 2 * rank, used=rank == 1).sum().backward()  # x is 2 and 4; u only on rank 1
        note()
        line.zero_grad()
        line(1.0, used=False).sum().backward()  # u on no rank
        note()
        line.zero_grad()
        with line.no_sync():
            line(1.0 + rank).sum().backward()
        note()
        line(3.0).sum().backward()
        note()
        return found

    both = models(2, program)
    start, mean, unused, sent = [1, 1, 1], [3, 1, 2], [1, 1, None], [4.5, 2, 4.5]
    assert both == [[start, mean, unused, [x, 1, x], sent] for x in (1, 2)]
    assert finished == [1 if megabytes == 1 else 3] * 6


@pytest.mark.parametrize(
    ("options", "training", "seen"),
    [({}, True, 5), ({}, False, 7), ({"broadcast_buffers": False}, True, 7)],
)
def test_buffers_are_those_of_rank_0_before_a_forward_in_training(
    models: Any, options: Any, training: bool, seen: int
) -> None:
    def program(rank: int) -> float:
        line = model.DistributedDataParallel(Line(1.0), **options).train(training)
        line.module.seen[0] = 5.0 + 2 * rank
        line(0.0)
        return line.module.seen.item()

    assert models(2, program) == [5, seen]


def test_groups_are_of_a_megabyte_unless_it_is_said(
    models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[float] = []
    monkeypatch.setattr(model, "_groups", lambda module, most: sizes.append(most) or [])
    models(2, lambda rank: model.DistributedDataParallel(Line(1.0)))
    models(2, lambda rank: model.DistributedDataParallel(Line(1.0), bucket_cap_mb=0.5))
    assert sizes == [1e6, 1e6, 5e5, 5e5]


def test_a_model_that_differs_is_refused_when_it_is_wrapped(models: Any) -> None:
    def program(rank: int) -> Any:
        return model.DistributedDataParallel(nn.Linear(2 + rank, 1))

    for error in models(2, program):
        assert "DistributedDataParallel: expected the same model on all ranks" in str(error)


def test_gradients_are_on_their_way_before_the_pass_ends(
    models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_end: list[Any] = []
    advanced: list[Any] = []
    finish, advance = model.DistributedDataParallel._finish, Sum.advance

    def noted(self: Any) -> None:
        at_the_end.append([bucket.sum.step > 0 for bucket in self._buckets])
        assert [bucket.left for bucket in self._buckets] == [set()] * 3
        assert {bucket.sum for bucket in self._buckets} <= {*advanced}
        finish(self)

    monkeypatch.setattr(model.DistributedDataParallel, "_finish", noted)
    monkeypatch.setattr(Sum, "advance", lambda self: advanced.append(self) or advance(self))

    def program(rank: int) -> Any:
        line = model.DistributedDataParallel(Line(1.0), bucket_cap_mb=1e-6)
        line(2.0).sum().backward()
        return line.module.w.grad.item()

    assert models(2, program) == [2, 2]
    assert at_the_end == [[True] * 3] * 2
