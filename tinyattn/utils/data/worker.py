"""Worker processes of a DataLoader: look at `Workers`.

Worker w gets the batches w, w + W, ... of W workers, and sends them back through a pipe of its own,
so that the batches come in order whichever worker is faster.
"""

import pickle
import random
import signal
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from tinyattn.kernels import backend, set_num_threads, use_backend
from tinyattn.ops.random import manual_seed

END = "the end of the stream"  # what a fetch gives then; told apart by identity
_CLOSED = "the pipe is closed"
_ELSEWHERE = (  # what people meet who know Python up to 3.13 on Linux, where workers were forked
    "The workers are started by {!r}: so the data set, collate_fn and worker_init_fn have to be "
    "defined at the top of a file, and what the file does has to stand under "
    '`if __name__ == "__main__":`. Or pass multiprocessing_context="fork", where the system has it.'
)
Fetch = Callable[[Any], Any]  # makes the batch of a task: indices, or None for the next of a stream


class WorkerInfo(NamedTuple):
    """Which worker this process is: its number, of how many, its seed, and its data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader, which one this is: id, num_workers, seed, dataset. Elsewhere
    None."""
    return _info


class Workers:
    """`count` processes, each with a copy of the data set. In each, make(dataset) gives the
    function that makes the batch of a task, after init(number) was called.

    The processes are started as multiprocessing does it, or in the way that `context` names: where
    that isn't "fork", data set and functions have to be picklable, and an error says so.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        dataset: Any,
        make: Callable[[Any], Fetch],
        init: Callable[[int], object] | None = None,
        context: Any = None,
        timeout: float = 0,
    ) -> None:
        import multiprocessing  # here, because it makes `import tinyattn` slower

        self.timeout = timeout
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context)
        self.method = context.get_start_method()
        name = backend().name  # a process that isn't forked would choose its own
        self.pipes: list[Any] = []
        self.processes: list[Any] = []
        try:
            for i in range(count):
                ours, theirs = context.Pipe()
                info = WorkerInfo(i, count, (seed + i) % 2**63, dataset)
                self.pipes.append(ours)
                inherited = self.pipes if self.method == "fork" else []
                arguments = (theirs, inherited, name, info, make, init)
                process = context.Process(target=_work, args=arguments)
                process.daemon = True  # it ends with this process
                with warnings.catch_warnings():
                    # Python warns of a fork where threads run; those of the kernels survive it.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
                self.processes.append(process)
                theirs.close()  # so that the pipe ends with the worker
        except BaseException as error:
            self.close()
            if self.method != "fork":
                error.add_note(_ELSEWHERE.format(self.method))
            raise

    def batches(self, tasks: Iterator[Any], ahead: int) -> Iterator[Any]:
        """The batches of the tasks, in order; each worker has up to `ahead` tasks waiting."""
        turns = deque(range(len(self.pipes)))  # the workers whose stream goes on
        waiting: deque[int] = deque()  # the workers of the tasks that are sent, in their order

        def send_next() -> None:
            for task in islice(tasks, 1 if turns else 0):
                self.send(turns[0], task)
                waiting.append(turns[0])
                turns.rotate(-1)

        for _ in range(ahead * len(turns)):
            send_next()
        while waiting:
            worker = waiting.popleft()
            kind, value = self.receive(worker)
            if kind == "batch":
                send_next()
                yield value
            elif worker in turns:
                turns.remove(worker)

    def send(self, worker: int, task: Any) -> None:
        try:
            self.pipes[worker].send(task)
        except OSError:
            raise self.died(worker) from None

    def receive(self, worker: int) -> tuple[str, Any]:
        """The next answer of a worker: ("batch", batch) or ("end", None). An exception that was
        raised in the worker is raised here, with the traceback of the worker as a note."""
        pipe = self.pipes[worker]
        try:
            if self.timeout and not pipe.poll(self.timeout):
                raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds")
            kind, value = pipe.recv()
        except (EOFError, OSError):
            raise self.died(worker) from None
        if kind == "error":
            error, lines = value
            error.add_note(f"Raised in DataLoader worker process {worker}:\n{lines}")
            raise error
        return kind, value

    def died(self, worker: int) -> RuntimeError:
        process = self.processes[worker]
        process.join(10)  # its end of the pipe is gone: it is about to end
        text = (
            f"DataLoader worker {worker} (pid {process.pid}) exited unexpectedly, with exit code "
            f"{process.exitcode}"
        )
        if process.exitcode == 1 and self.method != "fork":  # it could not begin
            text += f". {_ELSEWHERE.format(self.method)}"
        return RuntimeError(text)

    def close(self) -> None:
        """End the processes: they see the end of their pipes; one that is busy is terminated."""
        for pipe in self.pipes:
            pipe.close()
        limit = monotonic() + 1
        for process in self.processes:
            process.join(max(limit - monotonic(), 0))
            if process.is_alive():
                process.terminate()
                process.join()


def _work(
    pipe: Any,
    inherited: list[Any],
    backend_name: str,
    info: WorkerInfo,
    make: Callable[[Any], Fetch],
    init: Callable[[int], object] | None,
) -> None:
    """The program of a worker: answer the tasks that come through the pipe until it ends."""
    global _info
    _info = info
    for other in inherited:  # the main process's ends, which have to end with the main process
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the main process, and that us
    use_backend(backend_name)
    set_num_threads(1)  # the others work on other batches
    manual_seed(info.seed)
    random.seed(info.seed)
    np.random.seed(info.seed % 2**32)  # noqa: NPY002 (what data sets use)
    # Tasks are read at once, so that neither side waits for the other to empty the pipe.
    tasks: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_read, args=(pipe, tasks), daemon=True).start()
    fetch: Fetch | None = None
    while (task := tasks.get()) is not _CLOSED:
        try:
            if fetch is None:
                if init is not None:
                    init(info.id)
                fetch = make(info.dataset)
            batch = fetch(task)
            answer = pickle.dumps(("end", None) if batch is END else ("batch", batch))
        except Exception as error:
            answer = pickle.dumps(("error", (_portable(error), traceback.format_exc())))
        try:
            pipe.send_bytes(answer)
        except OSError:  # the main process wants no more
            return


def _read(pipe: Any, tasks: "SimpleQueue[Any]") -> None:
    try:
        while True:
            tasks.put(pipe.recv())
    except (EOFError, OSError):
        tasks.put(_CLOSED)


def _portable(error: Exception) -> Exception:
    """The error itself where it can be pickled, else a RuntimeError with its name and text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
