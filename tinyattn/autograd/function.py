"""What an operation is: a pair of functions on arrays, `forward` and `backward`.

Both can be called by hand: `f = Exp(); y = f.forward(x); dx = f.backward(dy)`. `apply` runs
forward on tensors and, where a gradient is needed, leaves the instance as a node of the graph.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import getattr_static
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from tinyattn.autograd import on_tensors
from tinyattn.autograd.diagnosis import Diagnosis
from tinyattn.autograd.dtypes import float32 as F32
from tinyattn.autograd.dtypes import promote
from tinyattn.autograd.gradients import Gradient, Placed, RowSum, check_broadcast
from tinyattn.autograd.modes import quiet, state
from tinyattn.autograd.saved import NOTHING, Saved
from tinyattn.autograd.storage import (
    Edge,
    Storage,
    TensorBase,
    clock,
    edge_now,
    packings_of,
    results,
)
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import copied

_new = object.__new__


class Function(Saved, Diagnosis):
    """An operation with its gradient. Subclasses define, on arrays:

    forward(self, *inputs, **options) -> an array, or a tuple of arrays. It keeps what backward
        needs by `self.save(name=...)`: arrays that came in or go out, or new ones, but no views.
    backward(self, *grads) -> for each input its gradient, or None. It gets one gradient for each
        output, and None for an output that no gradient reached (only if there are several). The
        engine undoes broadcasting, and gives each gradient the dtype of its input.

    PyTorch's form, static methods on tensors, works too: see on_tensors.py.
    """

    edges: "Sequence[Edge | None]" = ()
    outputs: int = 1
    hooks: dict[int, dict[Any, Callable[..., Any]]] | None = None
    packed: Mapping[int, dict[Any, Any]] = NOTHING

    # What an operation may say of itself
    view: ClassVar[bool] = False  # its outputs share the memory of the first input
    promotes: ClassVar[bool] = False  # its operands get one dtype before forward, as in PyTorch
    # backward returns new arrays, which the engine may change, or its only gradient as it is; a
    # backward that does so at times only sets it
    fresh: bool = False
    # backward returns what was saved; the engine may change it once it is freed
    spends: ClassVar[bool] = False
    inherits: ClassVar[bool] = False  # backward changes the gradient that it gets: see `own`
    owned: bool = False  # whether no one else holds that gradient
    defers: ClassVar[bool] = False  # backward also takes gradients that are not computed yet
    # outside a graph its infinities are intended: log(mask) is an additive mask
    makes_masks: ClassVar[bool] = False
    # inputs that are weights: their packed copies are kept
    packs: ClassVar[tuple[int, ...]] = ()
    # forward and backward call kernels and make views, and look at no number of an array; a
    # recording may then note the calls instead of the operation
    kernels_only: ClassVar[bool] = False
    # a layer over time: how many arrays its state consists of (h, and for an LSTM c)
    states: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        if isinstance(getattr_static(cls, "forward"), (staticmethod, classmethod)):
            halves = {"forward": on_tensors.forward, "backward": on_tensors.backward, "of": cls}
            node = type(cls.__name__, (Function,), halves | {"__module__": cls.__module__})
            cls.apply = partial(on_tensors.apply, node)  # type: ignore[method-assign]

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, *grads: Any, **_: Any) -> Any:  # type checkers let any signature override it
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def needs(self, index: int) -> bool:
        """Whether input `index` needs a gradient; always so when backward is called by hand."""
        return not self.edges or self.edges[index] is not None

    def own(self, grad: Array) -> Array:
        """grad, if backward may write into it because no one else holds it; else a copy."""
        return grad if self.owned and type(grad) is np.ndarray else copied(grad)

    def over_rows(
        self, function: Callable[..., Array], rows: tuple[Array, ...], *args: Any
    ) -> Gradient:
        """function(*rows, *args), a sum over the rows: deferred if there are few of them, so that
        the rows of all time steps are added in one call; at once otherwise, and by hand."""
        if not self.edges or rows[0].shape[-2] > RowSum.most:
            return function(*rows, *args)
        return RowSum(function, [rows], args)

    def placed(self, shape: tuple[int, ...], index: tuple[Any, ...], grad: Array) -> Gradient:
        """A gradient of that shape which is zero except for `grad` at `index`."""
        placed = Placed(shape, index, grad)
        return placed if self.edges else placed.value()

    def packings(self, index: int) -> dict[Any, Any] | None:
        """Where packed copies of parameter `index` are kept until the parameter changes."""
        return self.packed.get(index) if self.edges else None

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        """Run forward on tensors and other values. Gives a tensor, or a tuple of tensors."""
        node, tracked = cls(), False
        arrays: list[Any] = []
        edges: list[Edge | None] = []
        watched: dict[int, Storage] = {}
        for arg in args:
            if isinstance(arg, TensorBase):
                if arg._base is not None and state.enabled:
                    edge_now(arg)
                array, edge = arg._array, arg._edge
                watched[id(array)] = arg._storage
                if edge is not None:
                    tracked = True
                arrays.append(array)
                edges.append(edge)
            else:
                arrays.append(arg)
                edges.append(None)
        if tracked and not state.enabled:
            tracked, edges = False, [None] * len(edges)
        node.edges, node.number, node.watched = edges, next(clock), watched
        if cls.promotes:
            x, y = arrays
            if type(x) is not ndarray or type(y) is not ndarray or x.dtype is not y.dtype:
                arrays = [*promote(x, y)]
        if cls.packs:
            node.packed = packings_of(args, cls.packs)
        try:
            if quiet.get():  # inside the forward of another operation
                out = node.forward(*arrays, **options)
            else:
                out = state.quietly(node.forward, *arrays, **options)
        except ValueError:
            if cls.promotes:
                check_broadcast(arrays[0].shape, arrays[1].shape)
            raise
        source = args[0] if cls.view else None
        if type(out) is not tuple:
            return _result(node if tracked else None, 0, out, watched, source)
        node.outputs = len(out)
        of = node if tracked else None
        return tuple([_result(of, i, array, watched, source) for i, array in enumerate(out)])

    def check_number(self, count: int) -> None:
        """Refuse a backward that gave too many gradients, or too few; None may be left out at the
        end."""
        if count > len(self.edges) or any(self.edges[count:]):
            raise RuntimeError(
                f"{type(self).__name__}.backward: expected a gradient for each input, got {count} "
                f"for {len(self.edges)}"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}Backward>"


def _result(
    node: Function | None, index: int, array: Any, watched: dict[int, Storage], source: Any
) -> Any:
    """The tensor of output `index` of `node`, which is None if no gradient is needed; `source` is
    the tensor whose memory it shares."""
    tensor: Any = _new(results.cls)
    if type(array) is not ndarray:
        array = np.asarray(array)
    tensor._array = array
    if source is None:
        tensor._storage = storage = Storage()
    else:
        tensor._storage = storage = source._storage
        tensor._since = storage.version
        tensor._base = source if source._base is None else source._base
    if node is not None:
        dtype = array.dtype
        if dtype is F32 or dtype.kind == "f":
            tensor._edge = (node, index, array.shape, dtype)
            watched[id(array)] = storage
    return tensor
