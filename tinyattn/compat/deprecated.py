"""Old orders and old names of arguments, which programs of earlier years use. Each function here
turns one kind of them into today's, with the warning that PyTorch gives. Look first at
`reduction_of`."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def reduction_of(size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction that the old arguments `size_average` and `reduce` ask for, with a warning;
    `reduction` where both are None, "mean" for its old name "elementwise_mean"."""
    if size_average is None and reduce is None:
        if reduction == "elementwise_mean":
            warnings.warn(
                "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.",
                stacklevel=3,
            )
            return "mean"
        return reduction
    found = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{found}' instead.",
        stacklevel=3,
    )
    return found


def old_epoch(stacklevel: int) -> None:
    """Warn of an epoch that is given to the `step()` of a schedule, which counts epochs itself."""
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
        "possible. Please use `scheduler.step()` to step the scheduler.",
        stacklevel=stacklevel,
    )


def numpy_names(dim: Any, axis: Any, keepdim: bool, keepdims: bool) -> tuple[Any, bool]:
    """(dim, keepdim) of a call that uses NumPy's names for them, axis and keepdims."""
    if dim is not None and axis is not None:
        raise TypeError(f"axis: it is another name of dim, which is given too: {dim}")
    return dim if axis is None else axis, keepdim or keepdims


def old_order(name: str, other: Any, tensor: Any, alpha: Any) -> tuple[Any, Any]:
    """(other, alpha) of a call `add_(alpha, other)`, which PyTorch's first versions had."""
    if tensor is None:
        return other, alpha
    warnings.warn(
        f"This overload of {name} is deprecated:\n\t{name}(Number alpha, Tensor other)\n"
        f"Consider using one of the following signatures instead:\n\t{name}(Tensor other, *, "
        "Number alpha)",
        stacklevel=3,
    )
    return tensor, other


def old_value(name: str, one: Any, two: Any, three: Any, value: Any) -> tuple[Any, Any, Any]:
    """(tensor1, tensor2, value) of a call `addcmul_(value, tensor1, tensor2)`, in the old order."""
    if three is None:
        return one, two, value
    warnings.warn(
        f"This overload of {name} is deprecated:\n\t{name}(Number value, Tensor tensor1, Tensor "
        f"tensor2)\nConsider using one of the following signatures instead:\n\t{name}(Tensor "
        "tensor1, Tensor tensor2, *, Number value)",
        stacklevel=3,
    )
    return two, three, one


def renamed(old: str, function: Function, place: str) -> Function:
    """`function` under an older name, with a warning at each call."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        warnings.warn(
            f"`{place}.{old}` is now deprecated in favor of `{place}.{function.__name__}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **options)

    call.__name__ = old
    return call  # type: ignore[return-value]


def implicit_dim(name: str, ndim: int) -> int:
    """The dimension that softmax without `dim` takes, with a warning: 0 for 0, 1 or 3 dimensions,
    else 1, as in PyTorch."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1
