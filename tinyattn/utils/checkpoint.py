"""`checkpoint`, by which PyTorch's programs save memory: here it calls the function.

Values and gradients are PyTorch's. What the operations save is kept, so no memory is saved.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tinyattn._tensor import Tensor
from tinyattn.autograd.modes import no_grad
from tinyattn.nn.containers import Sequential

__all__ = ["checkpoint", "checkpoint_sequential"]

R = TypeVar("R")

_NOT_PASSED = (
    "use_reentrant was not passed, and is taken as True. Pass use_reentrant=False, which is "
    "recommended."
)


def checkpoint(
    function: Callable[..., R],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> R:
    """function(*args, **kwargs): nothing is computed a second time, so no memory is saved.

    use_reentrant: with True, the result has gradients only if one of args requires them, and
    there are no kwargs; with None this is so too, with a warning. The other arguments are about
    the second computation, and have no effect; context_fn raises a ValueError.

    >>> layer = nn.Linear(2, 3)
    >>> ta.utils.checkpoint.checkpoint(layer, ta.ones(4, 2), use_reentrant=False).shape
    (4, 3)
    """
    if use_reentrant is None:
        warnings.warn(_NOT_PASSED, stacklevel=2)
        use_reentrant = True
    if context_fn is not None:
        raise ValueError("context_fn: expected None: nothing is computed a second time")
    if not use_reentrant:
        return function(*args, **kwargs)
    if kwargs:
        raise ValueError(f"Unexpected keyword arguments: {', '.join(kwargs)}")
    if any(isinstance(a, Tensor) and a.requires_grad for a in args):
        return function(*args)
    warnings.warn(
        "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
    )
    with no_grad():
        return function(*args)


def checkpoint_sequential(
    functions: Sequential | Sequence[Callable[[Any], Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """The functions, one after another, on input. All but the last of so many segments go through
    `checkpoint`. ValueError unless segments is 1 to the number of functions."""
    if use_reentrant is None:
        warnings.warn(_NOT_PASSED, stacklevel=2)
        use_reentrant = True
    steps: list[Callable[[Any], Any]] = list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"segments: expected 1 to {len(steps)}, got {segments}")
    size = len(steps) // segments

    def run(start: int, end: int | None) -> Callable[[Any], Any]:
        def through(value: Any) -> Any:
            for step in steps[start:end]:
                value = step(value)
            return value

        return through

    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(run(start, start + size), input, use_reentrant=use_reentrant)
    return run(last, None)(input)
