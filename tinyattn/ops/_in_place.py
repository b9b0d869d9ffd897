"""Changing a tensor in place, on the tape: `check_in_place` first, `rebind` last.

The new values are those of an operation that makes a new tensor. `rebind` writes them into the old
tensor and gives it the place of the new one in the graph.
"""

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.modes import state
from tinyattn.autograd.storage import Leaf, Tensor, TensorBase


def check_in_place(name: str, target: Tensor, *operands: object) -> None:
    """RuntimeError where the tape can't record a change of target in place: target is a leaf that
    needs a gradient, or a view while target or an operand needs one."""
    if not state.enabled:
        return
    edge = target._edge
    if edge is not None and type(edge[0]) is Leaf:
        raise RuntimeError(
            f"{name}: a leaf tensor that requires grad can't be changed in place while operations "
            "are recorded; do it under no_grad(), or on a clone()"
        )
    base = target._base
    if base is not None:
        needing = (target, base, *operands)
        if any(isinstance(t, TensorBase) and t._edge is not None for t in needing):
            raise RuntimeError(
                f"{name}: this tensor is a view of a base of shape {list(base._array.shape)} and a "
                "gradient is needed; change the base itself (base[index] = value), or a clone()"
            )


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
        if not np.can_cast(new.dtype, array.dtype, "same_kind"):
            raise RuntimeError(
                f"{name}: result type {new.dtype} can't be cast to the desired output type "
                f"{array.dtype}"
            )
        if not array.flags.writeable:
            raise RuntimeError(f"{name}: the tensor shares the memory of a read-only array")
        if result._edge is not None and isinstance(result._edge[0], Function):
            _keep_overwritten(result._edge[0], target)
        np.copyto(array, new, casting="same_kind")
    storage = target._storage
    storage.changed(name)
    target._since = storage.version
    if result._edge is not None:
        node, index, _, _ = result._edge
        target._edge = (node, index, array.shape, array.dtype)
        storage.recorded = storage.version
    return target


def _keep_overwritten(node: Function, target: Tensor) -> None:
    """x *= y saves x and then overwrites it: keep a copy of the old values."""
    array, saved = target._array, node.saved
    node.saved = {
        name: np.array(a) if isinstance(a, np.ndarray) and np.may_share_memory(a, array) else a
        for name, a in saved.items()
    }
    node.watched = [entry for entry in node.watched if entry[0] is not target._storage]
