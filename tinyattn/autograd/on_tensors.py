"""An operation in PyTorch's form: static methods `forward(ctx, *inputs)` and
`backward(ctx, *grads)`, which take and give tensors.

A subclass of Function that has them gets a node class whose two halves are `forward` and
`backward` of this file. Inside them nothing is recorded: gradients are of the first order only.
"""

from typing import Any

import numpy as np

from tinyattn.autograd.modes import no_grad
from tinyattn.autograd.storage import Tensor, TensorBase, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import copied


class Context:
    """What the two halves of such an operation share, `ctx`. It takes attributes of any name."""

    needs_input_grad: tuple[bool, ...] = ()  # for each input

    def __init__(self) -> None:
        self._saved: tuple[Tensor | None, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._with_zeros = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward, which finds them in `saved_tensors`. A tensor that is changed
        in place meanwhile is an error there."""
        for i, tensor in enumerate(tensors):
            if tensor is not None and not isinstance(tensor, TensorBase):
                raise TypeError(
                    f"save_for_backward: expected tensors or None, got {type(tensor).__name__} as "
                    f"number {i}; keep other values as attributes of ctx"
                )
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        return self._saved

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs need no gradient."""
        self._constant = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, and not zeros, for an output that no gradient reached."""
        self._with_zeros = value

    def mark_dirty(self, *inputs: Tensor) -> None:
        raise NotImplementedError("mark_dirty: forward can't change an input; give a new tensor")


def apply(node: Any, *inputs: Any) -> Any:
    """Run the operation whose node class is given. Gives a tensor, or a tuple of tensors."""
    out = node.apply(*inputs, tensors=[isinstance(x, TensorBase) for x in inputs])
    for tensor in out if isinstance(out, tuple) else (out,):
        if tensor._edge is not None and tensor._edge[1] in tensor._edge[0].constant:
            tensor._edge = None
    return out


def forward(self: Any, *inputs: Any, tensors: list[bool]) -> Any:
    of, ctx = self.of, Context()
    given = [results.wrap(x) if is_one else x for x, is_one in zip(inputs, tensors, strict=True)]
    ctx.needs_input_grad = tuple([edge is not None for edge in self.edges])
    with no_grad():
        if hasattr(of, "setup_context"):  # the newer form, where forward gets no ctx
            out = of.forward(*given)
            of.setup_context(ctx, tuple(given), out)
        else:
            out = of.forward(ctx, *given)
    outputs = out if isinstance(out, tuple) else (out,)
    for tensor in outputs:
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"{of.__name__}.forward: expected tensors, got {type(tensor).__name__}")
    saved = {str(i): x._array for i, x in enumerate(ctx._saved) if x is not None}
    self.save(**saved)
    self.count, ctx._saved = len(ctx._saved), ()
    self.constant = [i for i, x in enumerate(outputs) if any(x is y for y in ctx._constant)]
    self.sizes = [(x._array.shape, x._array.dtype) for x in outputs]
    self.ctx = ctx
    # what shares the memory of an input would change with it
    old = {id(x._storage) for x in given if isinstance(x, TensorBase)}
    arrays = [copied(x._array) if id(x._storage) in old else x._array for x in outputs]
    return tuple(arrays) if isinstance(out, tuple) else arrays[0]


def backward(self: Any, *grads: Array | None) -> tuple[Array | None, ...]:
    of, ctx = self.of, self.ctx
    given = []
    for grad, (shape, dtype) in zip(grads, self.sizes, strict=True):
        if grad is None and ctx._with_zeros:
            grad = np.zeros(shape, dtype)
        given.append(None if grad is None else results.wrap(copied(grad)))
    arrays = [self.saved.get(str(i)) for i in range(self.count)]
    ctx._saved = tuple([None if x is None else results.wrap(x) for x in arrays])
    try:
        with no_grad():
            found = of.backward(ctx, *given)
    finally:
        ctx._saved = ()
    found = found if isinstance(found, (tuple, list)) else (found,)
    for i, grad in enumerate(found):
        if grad is not None and not isinstance(grad, TensorBase):
            raise TypeError(
                f"{of.__name__}.backward: expected tensors or None, got {type(grad).__name__} as "
                f"number {i}"
            )
    while len(found) > len(self.edges) and found[-1] is None:
        found = found[:-1]
    return tuple([None if grad is None else grad._array for grad in found])
