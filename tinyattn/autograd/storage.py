"""What the engine knows of a tensor: its array, its storage, its place in the graph.

The class people meet, with its operators and methods, is `Tensor` in tinyattn/_tensor.py.
"""

import os
import threading
import weakref
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyattn.autograd.modes import source_line, state

if TYPE_CHECKING:
    from collections.abc import Callable


clock = count(1)  # counts the nodes of all graphs and the changes in place, in one order

# Two passes at once may end at the same leaf. A fork waits for it, so that a child has no `.grad`
# that is half added and no lock that nobody will release. A signal may come in the middle: RLock.
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


class Storage:
    """What all views of one piece of memory share.

    `version` counts the changes made in place, `changed_by` names the last and `changed_at`, in
    anomaly mode, its line; `recorded` is the version of the last change on the tape; `exposed` says
    that NumPy sees the memory, so that it can change unnoticed; `cache` holds layouts derived from
    the present version.
    """

    last_change = 0  # of all storages, by the clock
    version = 0
    recorded = 0
    changed_by = ""
    changed_at = ""
    exposed = False
    cache: dict[Any, Any] | None = None

    def changed(self, by: str) -> None:
        with _lock:  # or an earlier change of another thread could hide this one
            self.version += 1
            Storage.last_change = next(clock)
        self.changed_by = by
        self.changed_at = source_line() if state.anomaly else ""
        self.cache = None


class TensorBase:
    """The fields of a tensor. `_edge` is None where no gradient is needed."""

    _array: np.ndarray
    _storage: Storage
    _edge: "Edge | None" = None
    _base: "TensorBase | None" = None
    _since = 0
    grad: "Tensor | None" = None
    _retained: Any = None  # the node whose gradient retain_grad() keeps

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self._storage = Storage()


class Leaf:
    """The end of the graph at a tensor that a user made: its gradient is added to `.grad`."""

    edges: tuple = ()
    outputs = 1
    hooks: "dict[int, dict[Any, Callable]] | None" = None

    def __init__(self, tensor: TensorBase, number: int) -> None:
        self.tensor = weakref.ref(tensor)
        self.number = number

    def accumulate(self, grad: np.ndarray, owned: bool) -> None:
        tensor = self.tensor()
        if tensor is not None:
            accumulate(tensor, grad, owned)


def accumulate(tensor: TensorBase, grad: np.ndarray, owned: bool = False) -> None:
    """Add to `.grad`, which keeps an array of its own: `owned` says that nobody else has `grad`."""
    with _lock:
        have = tensor.grad
        if have is None:
            if not (owned and grad.flags.c_contiguous):
                grad = np.array(grad, order="C")
            tensor.grad = results.wrap(grad)
        else:
            np.add(have._array, grad, out=have._array)
    if have is not None:
        have._storage.changed("backward")


# Where a tensor's gradient goes: a node, which of its outputs the tensor is, shape and dtype.
Edge = tuple[Any, int, tuple[int, ...], np.dtype]

# In signatures `Tensor` is the class of tinyattn/_tensor.py, which stands above: only its name is
# known down here, and only to type checkers and editors.
if TYPE_CHECKING:
    from tinyattn._tensor import Tensor
else:
    Tensor = TensorBase


class _Results:
    """The class that results get; tinyattn/_tensor.py puts itself here."""

    cls: Any = TensorBase

    def wrap(self, array: Any) -> "Tensor":
        """A new tensor on `array`, outside the graph."""
        tensor = self.cls.__new__(self.cls)
        tensor._array = array if type(array) is np.ndarray else np.asarray(array)
        tensor._storage = Storage()
        return tensor


results = _Results()
