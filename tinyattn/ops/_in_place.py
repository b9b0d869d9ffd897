"""Changing a tensor in place, on the tape: `in_place` makes mul_ of mul. Read it first.

The new values are those of an operation that makes a new tensor. `check_in_place` comes before it,
`rebind` after it, which writes them into the old
tensor and gives it the place of the new one in the graph. A view has no place of its own to give:
there `Put` changes the base, and `renew` makes each view of it again when it is next used.
Where no gradient is needed, there is no graph to keep: arithmetic then writes its results straight
into the old tensor (`written_straight`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyattn.autograd.dtypes import Number, may_become
from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import enable_grad, quiet, quietly, state
from tinyattn.autograd.storage import Leaf, Tensor, TensorBase, edge_now, source_lines
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import empty
from tinyattn.kernels.copies import copied, few, full, write
from tinyattn.kernels.recording import local, step, working
from tinyattn.kernels.sums import sum_over
from tinyattn.ops.elementwise import Cast, add_scaled, exact


class Put(Function):
    """y = x, with the values of p at the elements that a view of x has;
    dx = dy with 0 at these elements,  dp = dy at these elements.

    p has been written into the view already, so y is x itself.
    """

    fresh = True
    inherits = True

    def forward(self, x: Array, p: Array, view: Array) -> Array:
        self.region = Region(x, view)
        return x

    def backward(self, grad: Array) -> tuple[Array, Array]:
        dx, part = self.region.of(grad, self.owned)
        dp = copied(part)
        write(part, 0)
        return dx, dp


class RenewedView(Function):
    """y = the elements of x that a view of x has;   dx = dy at these elements, and 0 elsewhere.
    Of an element that `expand` repeats in y, dx is the sum of its dy."""

    view = True
    fresh = True

    def forward(self, x: Array, view: Array) -> Array:
        self.region = Region(x, view)
        return view

    def backward(self, grad: Array) -> Array:
        dx, part = self.region.zeros(grad.dtype)
        for axis in [k for k, n in enumerate(part.shape) if n > 1 and not part.strides[k]]:
            grad = sum_over(grad, (axis,), keepdims=True)
        write(part, grad)  # the copies of an element get the same number
        return dx


class Region:
    """The elements that a view has of its base, to be found in another array of the base's shape:
    in memory that is laid out as that of the base, the same strides lead to them."""

    def __init__(self, base: Array, view: Array) -> None:
        low, high = np.lib.array_utils.byte_bounds(base)
        self.size = max(high - low, 0)
        self.ordered = base.flags.c_contiguous
        self.layouts = [
            (a.shape, a.__array_interface__["data"][0] - low if a.size else 0, a.strides)
            for a in (base, view)
        ]

    def zeros(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Zeros of the shape of the base, and the elements of the view among them."""
        whole, part = self._in(full((self.size,), 0, np.dtype(np.uint8)), dtype)
        return whole, part

    def of(self, array: Array, owned: bool) -> tuple[Array, Array]:
        """A copy of the array, or itself if it is owned, and the elements of the view in it."""
        if owned and self.ordered and type(array) is np.ndarray and array.flags.c_contiguous:
            return array, self._in(array, array.dtype)[1]
        whole, part = self._in(empty((self.size,), np.dtype(np.uint8)), array.dtype)
        write(whole, array)
        return whole, part

    def _in(self, memory: Array, dtype: np.dtype[Any]) -> list[Array]:
        return [np.ndarray(shape, dtype, memory, at, steps) for shape, at, steps in self.layouts]


def in_place(
    operation: Callable[..., Tensor], input: Tensor, *operands: Any, **options: Any
) -> Tensor:
    """`operation` of input, operands and options, written into input, on the tape."""
    name, dtype = f"{operation.__name__}_", input._array.dtype
    check_in_place(name, input, *operands)
    result = operation(input, *operands, **options)
    new = result._array.dtype
    if new is not dtype and new != dtype and may_become(new, dtype):
        result = Cast.apply(result, dtype)
    return rebind(name, input, result)


def check_in_place(name: str, target: Tensor, *operands: Any) -> bool:
    """Whether new values may be written straight into target, since no gradient is needed and
    nothing else looks at operations: no recording, no watcher.

    RuntimeError where the tape can't record a change of target in place: target, or the tensor
    that it is a view of, is a leaf that needs a gradient; or the view is not on the tape."""
    if state.enabled:
        edge, base = target._edge, target._base
        if edge is not None or base is not None:
            if (
                base is None
                or edge is not None
                or base._edge is not None
                or base._storage is not target._storage
            ):
                _check_place(name, target, operands)
            if edge_now(target) is not None:
                return False
        for x in operands:
            if isinstance(x, TensorBase) and edge_now(x) is not None:
                return False
    return (
        target._array.flags.writeable
        and not (working and local.recorder)
        and state.quietly is state.unwatched
    )


def _check_place(name: str, target: Tensor, operands: tuple[Any, ...]) -> None:
    base = target._base
    for tensor, what in ((target, "a leaf tensor"), (base, "a view of a leaf tensor")):
        if tensor is not None and tensor._edge is not None and type(tensor._edge[0]) is Leaf:
            raise RuntimeError(
                f"{name}: {what} that requires grad can't be changed in place while operations "
                "are recorded; do it under no_grad(), or on a clone()"
            )
    if base is None:
        return
    if base._edge is not None and target._edge is None and not _changed_since(target):
        raise RuntimeError(
            f"{name}: this tensor was made under no_grad() as a view of a tensor that requires "
            "grad, so that the tape can't record a change of it in place; make the view again "
            "outside no_grad(), or change a clone()"
        )
    if base._storage is not target._storage:
        needing = (target, base, *operands)
        if any(isinstance(t, TensorBase) and t._edge is not None for t in needing):
            raise _parted(name, target)


def written_straight(
    name: str, function: np.ufunc, input: Tensor, other: Any, alpha: Number = 1
) -> bool:
    """input = function(input, alpha other) of floats, written where input stands. False, with
    nothing done, where there is a graph, or where the operands must first be brought to one dtype
    or shape."""
    x = input._array
    y = other._array if isinstance(other, TensorBase) else other
    if type(y) is np.ndarray:
        if y.dtype is not x.dtype or y.shape != x.shape:
            return False
    elif type(y) is float or type(y) is int:
        y, alpha = y * alpha, 1
    else:
        return False
    if x.dtype.kind != "f" or not check_in_place(name, input, other):
        return False
    if few(x.size):
        if quiet.get():  # inside the forward of an operation
            _write_few(function, x, y, alpha)
        else:
            state.unwatched(_write_few, function, x, y, alpha)
    elif not x.flags.c_contiguous:
        return False
    elif alpha != 1:
        quietly(add_scaled, x, y, float(alpha) if function is np.add else -float(alpha), x)
    else:
        quietly(exact, function, x, y, x)
    input._storage.changed(name)
    return True


def _write_few(function: np.ufunc, x: Array, y: Any, alpha: Number) -> None:
    # NumPy takes half the time for an array of no axes that it takes for a number
    if alpha != 1:
        y = y * np.array(float(alpha), x.dtype)
    elif type(y) is not np.ndarray:
        y = np.array(y, x.dtype)
    function(x, y, x)


def rebind(name: str, target: Tensor, result: Tensor) -> Tensor:
    """Write `result` into `target`, and give `target` the place of `result` in the graph: the last
    step of every operation in place. `check_in_place` comes first, before anything is written."""
    array, new = target._array, result._array
    if new is not array:
        if new.shape != array.shape:
            raise RuntimeError(
                f"{name}: output with shape {list(array.shape)} doesn't match the broadcast shape "
                f"{list(new.shape)}"
            )
        if not may_become(new.dtype, array.dtype):
            raise RuntimeError(
                f"{name}: result type {new.dtype} can't be cast to the desired output type "
                f"{array.dtype}"
            )
        if not array.flags.writeable:
            raise RuntimeError(f"{name}: the tensor shares the memory of a read-only array")
        if result._edge is not None and isinstance(result._edge[0], Function):
            _keep_overwritten(result._edge[0], target)
        step(name, _written, array, new)
    if target._base is not None and result._edge is not None:
        rebind(name, target._base, Put.apply(target._base, result, array))
        return target  # stale now, like every view of the base: `renew` gives it its place
    storage = target._storage
    if local.recorder is not None:
        local.recorder.refuse_input(name, array)
    storage.changed(name, noted=True)
    if result._edge is not None:
        node, index, _, _ = result._edge
        target._edge = (node, index, array.shape, array.dtype)
        storage.recorded = storage.version
    return target


def _written(array: Array, new: Array) -> Array:
    write(array, new)
    return array


def renew(view: Tensor) -> None:
    """Give a view its place in the graph again, after its base was changed with a gradient."""
    base, storage = view._base, view._storage
    assert base is not None
    if base._storage is not storage:
        raise _parted("in place", view)
    if view._edge is not None and type(view._edge[0]) is Leaf:
        raise RuntimeError(
            f"this leaf tensor of shape {list(view._array.shape)}, which requires grad, shares "
            f"memory with one that {storage.changed_by} changed in place, with a gradient: it "
            f"can't be a leaf any more. Use a clone() as the leaf."
            f"{source_lines(changed=storage.changed_at)}"
        )
    with enable_grad():
        view._edge = RenewedView.apply(base, view._array)._edge
    view._since = storage.version


def _changed_since(view: Tensor) -> bool:
    """Whether the base was changed with a gradient after the view was made."""
    return view._storage.recorded > view._since


def _parted(name: str, view: Tensor) -> RuntimeError:
    """The error for a view whose base has got other memory, by `base.data = ...`."""
    return RuntimeError(
        f"{name}: this tensor of shape {list(view._array.shape)} is a view of memory that its base "
        "no longer has, so that no gradient can go through it; make the view again"
    )


def _keep_overwritten(node: Function, target: Tensor) -> None:
    """x *= y saves x and then overwrites it: keep a copy of the old values, and of all others that
    the new version would make unusable."""
    array, storage = target._array, target._storage
    ours = {key for key, other in node.watched.items() if other is storage}
    node.saved = {
        name: np.array(a)
        if isinstance(a, np.ndarray) and (id(a) in ours or np.may_share_memory(a, array))
        else a
        for name, a in node.saved.items()
    }
    node.watched = {key: other for key, other in node.watched.items() if other is not storage}
