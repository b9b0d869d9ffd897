"""`backward` and `grad`: what people call; the pass itself is engine.run.

Look first at `backward`; `_roots` checks what both of them are given.
"""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from tinyattn.autograd.engine import run
from tinyattn.autograd.storage import Edge, Tensor, TensorBase, accumulate, edge_of, results
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import full


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of `tensors` to the `.grad` of the leaves they were computed from.

    grad_tensors: the gradient at each of the tensors, in its shape; one may be left out for a
        tensor of one element, which gets 1.
    retain_graph: keep what operations saved, so that a second pass is possible.
    inputs: the only tensors whose `.grad` changes.

    Raises RuntimeError if a tensor has no graph, if a gradient has another shape, if the graph was
    freed by an earlier pass, or if a saved tensor has been changed in place since.
    """
    if create_graph:
        raise _not_first_order()
    tensors = _tuple(tensors)
    weights = (None,) * len(tensors) if grad_tensors is None else _tuple(grad_tensors)
    if len(weights) != len(tensors):
        raise RuntimeError(
            f"grad_tensors: expected one for each of {len(tensors)} tensors, got {len(weights)}"
        )
    roots = roots_of(tensors, weights)
    if inputs is None:
        run(roots, bool(retain_graph))
        return
    wanted = {edge_of(t, "inputs")[:2]: t for t in _some(inputs)}
    for place, found in run(roots, bool(retain_graph), wanted).items():
        if wanted[place]._retained is not place[0]:
            accumulate(wanted[place], found)


@overload
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: Literal[False] | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]: ...
@overload
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    allow_unused: bool,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]: ...
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` with respect to each of `inputs`. No `.grad` changes.

    grad_outputs: the gradient at each of the outputs, as in `backward`.
    allow_unused: give None for an input that the outputs don't depend on, instead of raising
        RuntimeError.
    materialize_grads: give zeros for such an input. ValueError with allow_unused=False.
    """
    if create_graph:
        raise _not_first_order()
    if materialize_grads and allow_unused is False:
        raise ValueError("allow_unused: expected True or None with materialize_grads, got False")
    outputs, inputs = _tuple(outputs), _some(inputs)
    weights = (None,) * len(outputs) if grad_outputs is None else _tuple(grad_outputs)
    places = [edge_of(t, "inputs")[:2] for t in inputs]
    found = run(roots_of(outputs, weights), bool(retain_graph), set(places))
    missing = [i for i, place in enumerate(places) if place not in found]
    if missing and materialize_grads:
        found |= {places[i]: np.zeros_like(inputs[i]._array) for i in missing}
    elif missing and not allow_unused:
        raise RuntimeError(
            f"inputs: tensor {missing[0]} appears to not have been used in the graph; pass "
            "allow_unused=True if None is wanted there"
        )
    return tuple(results.wrap(np.array(found[p])) if p in found else None for p in places)


def _tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, TensorBase):
        return (value,)
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _some(inputs: Any) -> tuple[Any, ...]:
    """What gradients are wanted for: one tensor or several."""
    if not _tuple(inputs):
        raise RuntimeError("inputs: expected at least one tensor, got none")
    return _tuple(inputs)


def _not_first_order() -> NotImplementedError:
    return NotImplementedError(
        "create_graph: gradients of gradients are not supported; tinyattn is first order only"
    )


def roots_of(
    tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> list[tuple[Edge, Array]]:
    """Where the pass begins, and the gradient there."""
    roots = []
    for tensor, gradient in zip(tensors, gradients, strict=True):
        edge = edge_of(tensor, "backward")
        shape = edge[2]
        if gradient is None:
            if tensor._array.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(shape)}: pass gradient="
                )
            weight = full(shape, 1, tensor._array.dtype)
        else:
            if not isinstance(gradient, TensorBase):
                raise TypeError(f"gradient: expected a Tensor, got {type(gradient).__name__}")
            weight = gradient._array
            if weight.shape != shape:
                raise RuntimeError(
                    f"gradient: expected the shape of the tensor {list(shape)}, got "
                    f"{list(weight.shape)}"
                )
        roots.append((edge, weight))
    return roots
