"""What the engine knows of a tensor: its array, its storage, its place in the graph.

The class that users see, with its operators and methods, is `Tensor` in tinyattn/_tensor.py.
"""

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinyattn.autograd.modes import source_line, state
from tinyattn.kernels import recording
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import copied

# In signatures `Tensor` is the class of tinyattn/_tensor.py, which stands above this floor: only
# type checkers and editors see it here.
if TYPE_CHECKING:
    from tinyattn._tensor import Tensor as Tensor
    from tinyattn.autograd.function import Function

_new = object.__new__
clock = count(1)  # numbers the nodes of all graphs and the changes in place, in one order


class _Changes:
    """`last`: when a storage was last changed in place, by the clock."""

    last = 0


changes = _Changes()  # of all storages

# Two passes at once may end at the same leaf, so adding to `.grad` takes a lock. A fork waits for
# it: otherwise the child could get a gradient that is half added, and a lock that no thread
# releases. It is an RLock because a signal handler may run in the middle.
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


class Storage:
    """What all views of one piece of memory share.

    `version` counts the changes made in place. `changed_by` names the operation of the last one,
    and `changed_at` its source line, in anomaly mode. `recorded` is the version after the last
    change that has a gradient. `exposed` says that NumPy shares the memory, so that it can change
    without a new version. `packings` holds packed copies of the present version.
    """

    changed_last = 0  # by the clock
    version = 0
    recorded = 0
    changed_by = ""
    changed_at = ""
    exposed = False
    packings: dict[Any, Any] | None = None

    def changed(self, by: str, noted: bool = False) -> None:
        """Count a change that `by` has made. `noted`: a recording has the change as a step."""
        if recording.working and recording.local.recorder is not None:
            if not noted:
                recording.refuse(f"{by}: changes a tensor in place in a way that is not recorded")
            recording.local.recorder.act(self.changed, (by,), {})
            return
        with _lock:  # otherwise two threads could raise it at once, and it would rise by one
            self.version += 1
            changes.last = self.changed_last = next(clock)
        self.changed_by = by
        self.changed_at = source_line() if state.anomaly else ""
        self.packings = None


class TensorBase:
    """The fields of a tensor. `_edge` is None where no gradient is needed."""

    _array: Array
    _storage: Storage
    _edge: "Edge | None" = None
    _base: "Tensor | None" = None
    _since: int = 0  # of a view: the version of the storage when it got its place in the graph
    _grad: "Tensor | None" = None
    _retained: "Node | None" = None  # the node whose gradient retain_grad() keeps

    def __init__(self, array: Array) -> None:
        self._array = array
        self._storage = Storage()

    def _renew(self) -> None:
        """Give a view a new place in the graph, after a change of its base (ops/_in_place.py)."""
        raise NotImplementedError


if not TYPE_CHECKING:
    Tensor = TensorBase


class Leaf:
    """The end of the graph at a tensor that a user made: its gradient is added to `.grad`."""

    edges: "Sequence[Edge | None]" = ()
    saved: Mapping[str, Any] = MappingProxyType({})
    outputs = 1
    defers = False  # it needs the values of gradients that are not computed yet
    hooks: "dict[int, dict[Any, Callable[..., Any]]] | None" = None

    def __init__(self, tensor: TensorBase, number: int) -> None:
        self.tensor = weakref.ref(tensor)
        self.number = number

    def accumulate(self, grad: Array, owned: bool) -> None:
        tensor = self.tensor()
        if tensor is not None:
            accumulate(tensor, grad, owned)


Node: TypeAlias = "Function | Leaf"
Place: TypeAlias = "tuple[Node, int]"  # a node, and which of its outputs
# Where a tensor's gradient goes: a node, which of its outputs the tensor is, shape and dtype.
Edge: TypeAlias = "tuple[Node, int, tuple[int, ...], np.dtype[Any]]"


def edge_now(tensor: TensorBase) -> "Edge | None":
    """The tensor's place in the graph. A view gets a new one where its base was changed since."""
    if tensor._base is not None and tensor._storage.recorded > tensor._since:
        tensor._renew()
    return tensor._edge


def is_constant(tensor: TensorBase) -> bool:
    """Whether a tensor has no place in the graph, also as a view whose base has changed since."""
    return tensor._edge is None and (
        tensor._base is None or tensor._storage.recorded <= tensor._since
    )


def edge_of(tensor: TensorBase, name: str) -> Edge:
    """The tensor's place in the graph. TypeError or RuntimeError, naming `name`, if it has none."""
    if not isinstance(tensor, TensorBase):
        raise TypeError(f"{name}: expected tensors, got {type(tensor).__name__}")
    edge = edge_now(tensor)
    if edge is None:
        raise RuntimeError(f"{name}: a tensor does not require grad and does not have a grad_fn")
    return edge


def requires_grad_(tensor: "Tensor", requires_grad: bool = True) -> "Tensor":
    """Make a leaf need a gradient, or no longer; returns it."""
    edge, array = edge_now(tensor), tensor._array
    if requires_grad and edge is None:
        if array.dtype.kind != "f":
            raise RuntimeError(
                f"requires_grad: only floating point tensors can need gradients, got {array.dtype}"
            )
        tensor._edge = (Leaf(tensor, next(clock)), 0, array.shape, array.dtype)
    elif edge is not None and not requires_grad:
        if type(edge[0]) is not Leaf:
            raise RuntimeError(
                "requires_grad: can only be changed for leaf tensors, this one is the result of "
                f"{type(edge[0]).__name__}; use detach() for a tensor without its history"
            )
        tensor._edge = None
    return tensor


def packings_of(args: tuple[Any, ...], indices: tuple[int, ...]) -> dict[int, dict[Any, Any]]:
    """The packings of the inputs that are weights: leaves that need a gradient."""
    found = {}
    for index in indices:
        weight = args[index]
        if isinstance(weight, TensorBase) and weight._edge and type(weight._edge[0]) is Leaf:
            storage = weight._storage
            if recording.local.recorder is not None:
                recording.local.recorder.forget_cache(storage)
            if not storage.exposed:
                if storage.packings is None:
                    storage.packings = {}
                found[index] = storage.packings
    return found


def accumulate(tensor: TensorBase, grad: Array, owned: bool = False) -> None:
    """Add to `.grad`, which keeps an array of its own. `owned` says that `grad` may be kept."""
    if recording.working and recording.local.recorder is not None:
        recording.local.recorder.act(accumulate, (tensor, grad), {})
        return
    with _lock:
        have = tensor._grad
        if have is None:
            if not (owned and grad.flags.c_contiguous):
                grad = copied(grad)
            tensor._grad = results.wrap(grad)
        else:
            np.add(have._array, grad, out=have._array)
    if have is not None:
        have._storage.changed("backward")


class _Results:
    """The class of all results: tinyattn/_tensor.py stores its class Tensor here."""

    cls: Any = TensorBase

    def wrap(self, array: Any) -> "Tensor":
        """A new tensor on `array`, outside the graph."""
        tensor: Any = _new(self.cls)
        tensor._array = array if type(array) is np.ndarray else np.asarray(array)
        tensor._storage = Storage()
        return tensor

    def view(self, source: "Tensor", array: Array) -> "Tensor":
        """A view of `source`, which is outside the graph, on a part of its memory."""
        tensor: Any = _new(self.cls)
        tensor._array = array
        tensor._storage = storage = source._storage
        tensor._since = storage.version
        tensor._base = source if source._base is None else source._base
        return tensor


results = _Results()


def source_lines(**lines: str) -> str:
    """Lines of an error message that say what happened at which line of the source, if anomaly mode
    has recorded it."""
    return "".join(f"\n  {what} at {line}" for what, line in lines.items() if line)
