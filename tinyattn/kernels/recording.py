"""Recording what a program computes, to compute it again without the program. See docs/replay.md.

A program runs as it is written, and a `Recorder` notes each step of the computing that it asks for.
A step is an Entry, one of two kinds:

- a call of a C function of native/, with its arguments: `Recorder.kernel`;
- a Python function of arrays that is called again as a whole: `Recorder.again`.

All memory that kernels write while a recorder is at work comes from blocks of its own, and a block
is used again when the array in it is gone. So the addresses of the entries are a plan of the memory
of the whole step: an array has its place from its first use to its last. Look first at `Recorder`.
"""

import contextlib
import functools
import gc
import math
import threading
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from tinyattn.kernels import blocks
from tinyattn.kernels._types import Array

F = TypeVar("F", bound=Callable[..., Any])


class _Local(threading.local):
    recorder: "Recorder | None" = None


local = _Local()  # the recorder of this thread; None while it does not record
# The recorders at work, of all threads. What runs often asks first whether there is one: that
# takes a tenth of the time that a value of the thread takes.
working: "list[Recorder]" = []


def step(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """function(*args), of arrays; while this thread records, a step of the recording."""
    recorder = local.recorder if working else None
    return function(*args) if recorder is None else recorder.again(name, function, args, {})


def kernels(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """The same for a function that calls kernels and makes views, and looks at no number."""
    recorder = local.recorder if working else None
    return function(*args) if recorder is None else recorder.step(name, function, args, {})


def repeated(function: F) -> F:
    """A function that changes more than arrays: while this thread records, it is noted as it is,
    and every replay calls it again."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        recorder = local.recorder
        if recorder is None:
            return function(*args, **options)
        return recorder.act(function, args, options)

    return call  # type: ignore[return-value]


def refuse(what: str) -> None:
    """RuntimeError while this thread records: a replay could not do the same."""
    if local.recorder is not None:
        raise RuntimeError(f"replay: {what}")


def alike(plain: Callable[..., Array], kernel: Callable[..., Array], *args: Any) -> Array:
    """kernel(*args) for a recording, in place of the same function in NumPy. Where NumPy's result
    stands in another order in memory it is taken itself: the bits of a later sum depend on that."""
    found = plain(*args)
    return kernel(*args) if found.flags.c_contiguous else found


def check(function: Callable[..., None], *args: Any) -> None:
    """function(*args), which raises for some arrays and else does nothing; so does every replay."""
    if local.recorder is None:
        function(*args)
    else:
        local.recorder.again(function.__name__, function, args, {})


@contextlib.contextmanager
def constant(name: str, x: Array) -> Iterator[None]:
    """Inside, the numbers of x may be read, if x is not computed by what is recorded."""
    recorder = local.recorder
    if recorder is None:
        yield
        return
    if recorder.region(address(x)) is not None:
        refuse(f"{name}: expected a tensor from outside of the step, it is read while recorded")
    recorder.hold(x)
    with recorder.paused():
        yield


class Entry:
    """A step of a recording."""

    def __init__(self, by: str, what: tuple[Any, ...], run: Callable[[], Any]) -> None:
        self.by = by  # the operation, for messages
        self.what = what  # what has to be the same in the next recording of the same program
        self.run = run
        self.written: list[Array] | None = None  # as bytes; None: it may not run twice
        self.call: tuple[Any, Any] | None = None  # of a kernel: function and words


class Blocks:
    """The memory of a recording. A block has a number, and bytes that are known to be written."""

    def __init__(self) -> None:
        self.free: dict[int, list[blocks.Block]] = {}
        self.all: list[blocks.Block] = []

    def take(self, size: int) -> blocks.Block:
        free = self.free.get(size)
        if free:
            return free.pop()
        self.all.append(blocks.Block.of(size))
        return self.all[-1]

    def give_back(self, block: blocks.Block, size: int) -> None:
        self.free.setdefault(size, []).append(block)


class Region:
    """A piece of memory whose contents a replay knows: an input, or a block."""

    def __init__(self, name: Any, start: int, size: int) -> None:
        self.name, self.start, self.size = name, start, size
        self.known = True  # whether an entry has written what is there
        self.bytes: Any = None  # as an array, of a block


class Recorder:
    """Notes what this thread computes inside `with recorder:`.

    inputs: arrays whose contents are new in every replay.
    before: an earlier recording of the same program. Each of its entries is then run beside the one
        that should be the same, and both must write the same bytes. `proven` says whether all did.
    opaque: names or numbers of steps that kernels do not compute alone.
    """

    def __init__(self, inputs: list[Array], before: "Recorder | None", opaque: set[Any]) -> None:
        self.entries: list[Entry] = []
        self.inputs = inputs
        self.before, self.opaque = before, opaque
        self.reason = ""  # why the earlier recording is not the same
        self.blocks = Blocks()
        self.regions: dict[int, Region] = {}  # by their starts
        self.starts: list[int] = []
        self.steps = 0
        self.by = "the program"
        self.whole = False  # whether the last step was noted as a function
        self.thread = threading.get_ident()
        self.held: list[Any] = []  # what must not be freed before the next recording is made
        self.packed: set[Any] = set()  # storages whose packings began in this recording
        self.look: Callable[[bool], None] = lambda after: None  # before and after each act
        self.numbers: Any = None  # the random numbers: has a `state`
        for i, x in enumerate(inputs):
            self._region(f"input {i}", address(x), x.nbytes)

    def __enter__(self) -> "Recorder":
        from tinyattn.kernels.native import replaying

        self.collects = gc.isenabled()
        gc.disable()  # arrays must be gone at the same step in every recording
        self.capture = replaying.captured(local)
        self.capture.__enter__()
        self.plain = blocks.small, blocks.large
        blocks.small = blocks.large = self.empty
        local.recorder = self
        working.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        working.remove(self)
        local.recorder = None
        blocks.small, blocks.large = self.plain
        self.capture.__exit__(None, None, None)
        if self.collects:
            gc.enable()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        local.recorder = None
        try:
            yield
        finally:
            local.recorder = self

    def __str__(self) -> str:
        """How many steps, in how much memory; then a line for each."""
        calls = sum(entry.call is not None for entry in self.entries)
        others = len(self.entries) - calls
        size = sum(block.nbytes for block in self.blocks.all) / 1e6
        lines = [f"{calls} calls of kernels and {others} of Python, in {size:.1f} MB"]
        for entry in self.entries:
            what = "Python" if entry.call is None else entry.what[0]
            lines.append(f"{entry.by}: {what}")
        return "\n".join(lines)

    # Memory

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array in a block of the recording. It starts as NaN, here and in the recording before:
        what is read before it is written shows."""
        if local.recorder is not self:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            return self.plain[int(size >= blocks.LARGE)](shape, dtype)
        out = blocks.leased(shape, np.dtype(dtype), 64, self.blocks)
        start = address(out)
        region = self.regions.get(start)
        if region is None:
            region = self._region(len(self.blocks.all), start, len(self.blocks.all[-1]))
            region.bytes = np.asarray(self.blocks.all[-1])
        region.known = False
        region.bytes.fill(255)
        if self.before is not None and region.name <= len(self.before.blocks.all):
            self.before.block(region.name).fill(255)
        return out

    def block(self, number: int) -> Array:
        return next(r for r in self.regions.values() if r.name == number).bytes

    def _region(self, name: Any, start: int, size: int) -> Region:
        region = self.regions[start] = Region(name, start, size)
        insort(self.starts, start)
        return region

    def region(self, at: int) -> Region | None:
        """The region that an address lies in."""
        i = bisect_right(self.starts, at) - 1
        region = self.regions[self.starts[i]] if i >= 0 else None
        return region if region is not None and at < region.start + max(region.size, 1) else None

    def place(self, at: int) -> Any:
        """An address in words that hold for every recording of the same program."""
        region = self.region(at)
        return at if region is None else (region.name, at - region.start)

    def explained(self, x: Array, sources: list[Array]) -> bool:
        """Whether x is memory that an entry has written, or a part of one of the sources."""
        if not x.size:
            return True
        region = self.region(address(x))
        if region is not None and region.known:
            return True
        return any(root(x) is root(source) for source in sources)

    def own(self, x: Any) -> Array:
        """A copy of x in a block."""
        copy = self.empty(np.shape(x), np.asarray(x).dtype)
        copy[...] = x
        region = self.region(address(copy))
        assert region is not None
        region.known = True
        return copy

    # Steps

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        args: Any,
        options: Any,
        others: Any = (),
        whole: bool = False,
    ) -> Any:
        """function(*args, **options), noted: as the kernels that it calls, if its results are
        theirs, else as a function to call again. `others` is what it reads besides."""
        if local.recorder is not self:
            return function(*args, **options)
        self.steps += 1
        number, outer, self.by = self.steps, self.by, name
        try:
            if whole or name in self.opaque or number in self.opaque:
                return self.again(name, function, args, options, others)
            begin = len(self.entries)
            out = function(*args, **options)
            sources = arrays_in((args, options, others))
            if all(self.explained(x, sources) for x in arrays_in(out)):
                self.whole = False
                self.compare(name, out)
                return out
            self.opaque.add(number)
            self.differ(f"{name} is more than calls of kernels")
            del self.entries[begin:]
            return self.again(name, function, args, options, others, out)
        finally:
            self.by = outer

    def again(
        self,
        name: str,
        function: Callable[..., Any],
        args: Any,
        options: Any,
        others: Any = (),
        out: Any = None,
    ) -> Any:
        """Note function(*args, **options) as a whole. Every replay calls it again, and copies its
        results to where the first ones stand."""
        self.whole = True
        sources = arrays_in((args, options, others))
        before = self.random_state()
        if out is None:
            with self.paused():
                out = function(*args, **options)
        found = arrays_in(out)
        new = [not (isinstance(x, np.ndarray) and self.explained(x, sources)) for x in found]
        own = [self.own(x) if is_new else x for x, is_new in zip(found, new, strict=True)]
        outside = False
        for x in own:
            region = self.region(address(x))
            if region is None:
                outside = True
            else:
                region.known = True

        def run() -> None:
            for to, x, is_new in zip(own, arrays_in(function(*args, **options)), new, strict=True):
                if to.shape != x.shape:
                    raise RuntimeError(
                        f"replay: {name} gives shape {list(x.shape)}, and {list(to.shape)} in the "
                        "recording: it depends on more than the shapes of the inputs"
                    )
                if is_new:
                    np.copyto(to, x)

        what = name, *described((args, options, others), self)
        entry = Entry(self.by, what, run)
        entry.written = None if outside else own
        self.hold(sources)
        self.add(entry, before)
        return with_arrays(out, iter(own))

    def kernel(
        self, what: Any, call: Any, run: Callable[[], Any], written: list[Region], inside: bool
    ) -> None:
        """Note the call of a C function; `inside`: it writes to these regions only."""
        entry = Entry(self.by, what, run)
        entry.call = call
        for region in written:
            region.known = True
        if inside:
            entry.written = [region.bytes for region in written if region.bytes is not None]
        self.add(entry)

    def refuse_input(self, name: str, x: Array) -> None:
        region = self.region(address(x))
        if region is not None and region.bytes is None:
            refuse(
                f"{name}: an argument of the step can't be changed in place; change a clone of it"
            )

    def hold(self, value: Any) -> None:
        """Keep the arrays of a value that stand outside of the recording."""
        for x in arrays_in(value):
            if isinstance(x, np.ndarray) and self.region(address(x)) is None:
                self.held.append(x)

    def forget_cache(self, storage: Any) -> None:
        """A layout that was derived before the recording is not used in it."""
        if storage not in self.packed:
            self.packed.add(storage)
            storage.packings = None

    def act(self, function: Callable[..., Any], args: tuple[Any, ...], options: Any) -> Any:
        """Call a function that changes more than arrays, and note that every replay calls it."""
        args = tuple(list(x) or iter(()) if isinstance(x, Iterator) else x for x in args)
        what = function.__qualname__, *described((args, options), self)
        self.look(False)
        with self.paused():
            out = function(*args, **options)
        self.look(True)
        own = [self.own(x) for x in arrays_in(out)]

        def run() -> None:
            for to, x in zip(own, arrays_in(function(*args, **options)), strict=True):
                np.copyto(to, x)

        self.add(Entry(function.__qualname__, what, run))
        return with_arrays(out, iter(own))

    def add(self, entry: Entry, random: Any = None) -> None:
        """Note an entry. With an earlier recording: run its entry, and compare."""
        self.entries.append(entry)
        if self.before is None:
            return
        n = len(self.entries)
        other = self.before.entries[n - 1] if n <= len(self.before.entries) else None
        if other is None or other.what != entry.what:
            self.differ(
                f"step {n}, {entry.by}: {entry.what}, where it was before "
                f"{other and (other.by, *other.what)}",
                entry if other is not None and _outside(entry.what, other.what) else None,
            )
            return
        if entry.written is None or other.written is None:
            return
        with self.paused():
            after = self.numbers.state if random else None
            if random:
                self.numbers.state = random
            other.run()
            if random:
                self.numbers.state = after
        if any(
            x.tobytes() != y.tobytes() for x, y in zip(entry.written, other.written, strict=True)
        ):
            self.differ(f"{entry.by} computes with more than what is recorded", entry)

    def compare(self, name: str, out: Any) -> None:
        """See that the results of a step are those of the earlier recording, too, after all that
        the step has done: NumPy may have changed what its kernels wrote."""
        for x in arrays_in(out) if self.before is not None else ():
            region = self.region(address(x)) if x.size else None
            if region is None or region.bytes is None or self.before is None:
                continue
            if region.bytes.tobytes() != self.before.block(region.name).tobytes():
                self.opaque.add(name)
                self.differ(f"{name} is more than calls of kernels")

    def random_state(self) -> Any:
        return None if self.numbers is None or self.before is None else self.numbers.state

    def differ(self, reason: str, entry: Entry | None = None) -> None:
        """The earlier recording is not the same. Go on without it."""
        if self.before is not None:
            self.before, self.reason = None, reason
            if entry is not None:
                self.opaque.add(entry.by)

    def plan(self) -> Any:
        """The recording, ready to run."""
        from tinyattn.kernels.native.replaying import Plan

        return Plan(self)

    @property
    def proven(self) -> bool:
        return self.before is not None and len(self.entries) == len(self.before.entries)


def _outside(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two calls of the same kernel differ in more than the places of memory."""
    pairs = [(x, y) for x, y in zip(a, b, strict=False) if x != y]
    return a[:1] == b[:1] and not all(type(x) is type(y) is tuple for x, y in pairs)


# Arrays in nested values


def address(x: Any) -> int:
    return x.__array_interface__["data"][0]


def root(x: Any) -> Any:
    """The array that owns the memory of x."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x


def arrays_in(value: Any) -> list[Any]:
    """The arrays in a value: an array, or tuples, lists, dicts, tensors and deferred gradients of
    them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [value]
    if isinstance(value, (tuple, list)):
        return [x for item in value for x in arrays_in(item)]
    if isinstance(value, dict):
        return [x for item in value.values() for x in arrays_in(item)]
    for part in ("terms", "_array"):
        if hasattr(value, part):
            return arrays_in(getattr(value, part))
    return []


def with_arrays(value: Any, arrays: Iterator[Any]) -> Any:
    """The value with other arrays in the place of its own."""
    if isinstance(value, (np.ndarray, np.generic)):
        return next(arrays)
    if isinstance(value, (tuple, list)):
        return type(value)([with_arrays(item, arrays) for item in value])
    for part in ("terms", "_array"):
        if hasattr(value, part):
            setattr(value, part, with_arrays(getattr(value, part), arrays))
    return value


class Constant:
    """An array outside of a recording: the same if it is in the same place, or is a number that the
    program has made of the same Python number."""

    def __init__(self, x: Any) -> None:
        self.at = address(x) if isinstance(x, np.ndarray) else None
        self.value = x.tobytes() if not x.ndim else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        same = self.at is not None and self.at == other.at
        return same or (self.value is not None and self.value == other.value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "an array from outside" if self.value is None else "a number"


def described(value: Any, recorder: Recorder) -> Iterator[Any]:
    """A value in words that hold for every recording of the same program."""
    if isinstance(value, (np.ndarray, np.generic)):
        known = isinstance(value, np.ndarray) and recorder.region(address(value))
        yield (value.shape, value.strides, str(value.dtype))
        yield recorder.place(address(value)) if known else Constant(value)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from described(item, recorder)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from described(item, recorder)
    elif hasattr(value, "_array"):
        yield id(value)
    elif hasattr(value, "terms"):
        yield from described(value.terms, recorder)
    elif isinstance(value, (int, float, str, bytes, slice, type(None), type(...), np.dtype)):
        yield repr(value)
    else:
        yield type(value).__qualname__
