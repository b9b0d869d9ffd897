"""What an operation is: a pair of functions on arrays, `forward` and `backward`.

Both can be called by hand: `f = Exp(); y = f.forward(x); dx = f.backward(dy)`. `apply` runs
forward on tensors and, where a gradient is needed, leaves the instance as a node of the graph.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import promote
from tinyattn.autograd.modes import quiet, state
from tinyattn.autograd.storage import Leaf, Storage, TensorBase, clock, results

_new = object.__new__


class RowSum:
    """A gradient that is a sum over rows, function(*rows, *args), not computed yet.

    A weight used at every time step gets dW = sum_t a_t^T b_t, which is one product of all the
    rows: the engine stacks the rows instead of adding matrices as large as the weight. What a
    decoder attends to at every step is the same, a batch of them.
    """

    most = 256  # rows; with more of them, adding costs little beside the product

    def __init__(self, function: Callable, parts: list[tuple], args: tuple) -> None:
        self.function, self.parts, self.args = function, parts, args

    def transposed(self) -> "RowSum":
        """With the last two axes exchanged, where function is the product a^T b of two rows:
        (sum_t a_t^T b_t)^T = sum_t b_t^T a_t."""
        return RowSum(self.function, [(b, a) for a, b in self.parts], self.args)

    def joins(self, other: Any) -> bool:
        """Take the rows of another gradient of the same kind."""
        same = type(other) is RowSum and (self.function, self.args) == (other.function, other.args)
        if same:
            self.parts += other.parts
        return same

    def value(self) -> np.ndarray:
        if len(self.parts) == 1:
            return self.function(*self.parts[0], *self.args)
        axis = self.parts[0][0].ndim - 2
        rows = [np.concatenate(parts, axis) for parts in zip(*self.parts, strict=True)]
        return self.function(*rows, *self.args)


class Part:
    """A gradient that is zero but for `grad` at `index`.

    The steps of a loop over x[t] then fill one array, instead of adding as many as large as x.
    """

    def __init__(self, index: tuple, grad: np.ndarray) -> None:
        self.index, self.grad = index, grad


class Function:
    """An operation with its gradient. Subclasses define, on arrays:

    forward(self, *inputs, **options) -> array or tuple of arrays; keeps what backward needs by
        `self.save(name=...)` (input or output arrays as they are, or arrays of its own; never a
        view).
    backward(self, *grads) -> for each input its gradient or None; grads has one entry an output,
        None where nothing came (only if there are several outputs). Shapes of a broadcast are
        undone, and dtypes restored, by the engine.
    """

    edges: Sequence[Any] = ()
    saved: Any = MappingProxyType({})  # what forward keeps, by name; None once freed
    watched: Any = ()  # storage, version, id of the array: of every input and output
    outputs = 1
    hooks: dict[int, dict[Any, Callable]] | None = None
    number = 0
    recorded_at = ""  # the source line, in anomaly mode
    fingerprints: Sequence[int] = ()  # of what is saved, likewise

    view = False  # the outputs share the memory of the first input
    promotes = False  # two operands, mixed by PyTorch's rules before forward
    fresh = False  # every array that backward returns is new and nobody else's
    spends = False  # or is what was saved, and nobody else's once that is freed
    caching: tuple[int, ...] = ()  # inputs whose derived layout is worth keeping: weights
    caches: Mapping[int, dict] = MappingProxyType({})

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, *grads: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def save(self, **values: Any) -> None:
        """Keep what backward needs, by name: `self.save(x=x)` here, `self.saved["x"]` there."""
        self.saved = values

    def needs(self, index: int) -> bool:
        """Whether input `index` needs a gradient (always, when called by hand)."""
        return not self.edges or self.edges[index] is not None

    def over_rows(self, function: Callable, rows: tuple, *args: Any) -> Any:
        """function(*rows, *args), a sum over the rows, computed when the pass needs it if it is
        small and at once otherwise (and when called by hand)."""
        if not self.edges or rows[0].shape[-2] > RowSum.most:
            return function(*rows, *args)
        return RowSum(function, [rows], args)

    def arriving(self, grad: RowSum) -> Any:
        """What backward gets for a sum over rows: its value, unless the operation knows better."""
        return grad.value()

    def placed(self, shape: tuple[int, ...], index: tuple, grad: np.ndarray) -> Any:
        """A gradient of that shape which is zero but for `grad` at `index`."""
        if self.edges:
            return Part(index, grad)
        whole = np.zeros(shape, grad.dtype)
        whole[index] = grad
        return whole

    def cache(self, index: int) -> dict | None:
        """Where a layout derived from parameter `index` may be kept until it changes."""
        return self.caches.get(index) if self.edges else None

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        node, tracked = cls(), False
        arrays, edges, watched = [], [], []
        for arg in args:
            edge = None
            if isinstance(arg, TensorBase):
                edge, storage, array = arg._edge, arg._storage, arg._array
                if edge is not None:
                    tracked = True
                if arg._base is not None and storage.recorded > arg._since and state.enabled:
                    raise stale(arg)
                watched.append((storage, storage.version, id(array)))
                arg = array
            arrays.append(arg)
            edges.append(edge)
        if tracked and not state.enabled:
            tracked, edges = False, [None] * len(edges)
        node.edges = edges
        if cls.promotes:
            x, y = arrays
            if type(x) is not np.ndarray or type(y) is not np.ndarray or x.dtype is not y.dtype:
                arrays = [*promote(x, y)]
        if cls.caching:
            node.caches = _caches(args, cls.caching)
        try:
            out = state.quietly(node.forward, *arrays, **options)
        except ValueError:
            if cls.promotes:
                check_broadcast(arrays[0].shape, arrays[1].shape)
            raise
        except RuntimeError:
            if not quiet.get():
                raise
            out = node.forward(*arrays, **options)  # inside the forward of another operation
        if tracked:
            node.number, node.watched = next(clock), watched
        source = args[0] if cls.view else None
        if type(out) is not tuple:
            return node._result(out, 0, tracked, source)
        node.outputs = len(out)
        return tuple([node._result(x, i, tracked, source) for i, x in enumerate(out)])

    def _result(self, array: Any, index: int, tracked: bool, source: Any) -> Any:
        """The tensor of output `index`; `source` is the tensor whose memory it shares."""
        tensor: Any = _new(results.cls)
        if type(array) is not np.ndarray:
            array = np.asarray(array)
        tensor._array = array
        if source is None:
            tensor._storage = storage = Storage()
        else:
            tensor._storage = storage = source._storage
            tensor._since = storage.version
            tensor._base = source if source._base is None else source._base
        if tracked:
            dtype = array.dtype
            if dtype.kind == "f":
                tensor._edge = (self, index, array.shape, dtype)
                self.watched.append((storage, storage.version, id(array)))
        return tensor

    def check(self) -> None:
        """Refuse a backward without, or over changed, saved arrays."""
        name = type(self).__name__
        if self.saved is None:
            raise RuntimeError(
                f"Trying to backward through the graph a second time: what {name} saved was freed "
                "by the first pass. Pass retain_graph=True to the first backward() or grad()."
            )
        for storage, version, key in self.watched:
            if storage.version == version:
                continue
            for shape in [array.shape for array in self.saved.values() if id(array) == key]:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: {name} saved a tensor of shape {list(shape)} at "
                    f"version {version}; {storage.changed_by} has since made it version "
                    f"{storage.version}. Clone it before the change, or use the operation that "
                    f"makes a new tensor.{_lines(self.recorded_at, storage.changed_at)}"
                )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}Backward>"


def check_broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """RuntimeError, in PyTorch's words, where two shapes don't broadcast."""
    for axis in range(-1, -min(len(a), len(b)) - 1, -1):
        if a[axis] != b[axis] and 1 not in (a[axis], b[axis]):
            raise RuntimeError(
                f"The size of tensor a ({a[axis]}) must match the size of tensor b ({b[axis]}) at "
                f"non-singleton dimension {max(len(a), len(b)) + axis}: got shapes {list(a)} and "
                f"{list(b)}"
            ) from None


def _lines(saved: str, changed: str) -> str:
    """Where in the source, as far as anomaly mode has recorded it."""
    lines = {"saved at": saved, "changed at": changed}
    return "".join(f"\n  {what} {line}" for what, line in lines.items() if line)


def stale(view: TensorBase) -> RuntimeError:
    storage = view._storage
    return RuntimeError(
        f"this tensor of shape {list(view._array.shape)} shares memory with one that "
        f"{storage.changed_by} changed in place, with a gradient, after the view was made: its own "
        f"gradient would be wrong. Make the view again after the change."
        f"{_lines('', storage.changed_at)}"
    )


def _caches(args: tuple, indices: tuple[int, ...]) -> dict[int, dict]:
    """The caches of the inputs that are weights: leaves that need a gradient."""
    found = {}
    for index in indices:
        weight = args[index]
        if isinstance(weight, TensorBase) and weight._edge and type(weight._edge[0]) is Leaf:
            storage = weight._storage
            if not storage.exposed:
                if storage.cache is None:
                    storage.cache = {}
                found[index] = storage.cache
    return found


def requires_grad_(tensor: TensorBase, requires_grad: bool = True) -> Any:
    """Make a leaf need a gradient, or no longer; returns it."""
    edge, array = tensor._edge, tensor._array
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
