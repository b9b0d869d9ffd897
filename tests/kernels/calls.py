"""Every call of every kernel that cases.py knows, the backwards included: what tests of threads,
accuracy, hostile input and the C driver walk through. Look first at `calls`.

A new kernel needs its generator in cases.py and, if it has a backward, a line in OUTPUTS; a test in
test_threads.py fails until then.
"""

import importlib.util
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tinyattn.kernels import Backend

from . import cases

# What a forward returns, in order. A backward's arguments are those of the forward, these results
# and the gradients: "grad" of the first result, "d" + name of any.
OUTPUTS = {
    "softmax": ["y"],
    "log_softmax": ["y"],
    "gru": ["y", "h_n", "saved"],
    "lstm": ["y", "h_n", "c_n", "saved"],
    "layer_norm": ["y", "mean", "rstd"],
    "rms_norm": ["y", "rstd"],
    "additive": ["s"],
    "normalize": ["y", "size"],
    "cosine": ["c"],
    "pairwise": ["d", "size"],
    "prod": ["y"],
    "cumprod": ["y"],
    "glu": ["y"],
    "max_pool": ["y"],
    "mean_pool": ["y"],
    "attention": ["out", "lse"],
}
# The reductions, whose cases they share, with what else each takes.
REDUCTIONS: dict[str, list[dict[str, Any]]] = {
    "sum": [{}, {"divisor": 7.0, "wide": True}],
    "moments": [{}],
    "norm": [{}],
    "magnitudes": [{}],
    "logsumexp": [{}],
    "cumsum": [{"reverse": False}, {"reverse": True}],
}
LARGE = 1_000_000  # bytes of float64 arguments of a call


class Call(NamedTuple):
    kernel: str
    case: str
    args: dict[str, Any]  # floats in float64


def kernels() -> list[str]:
    """The names of all kernels: the public methods of Backend, except for the one that every
    backend computes in NumPy."""
    methods = inspect.getmembers(Backend, inspect.isfunction)
    return [name for name, _ in methods if name[0] != "_" and name != "attention_mask_gradient"]


def arrays(values: Any) -> list[np.ndarray]:
    """The arrays among arguments or results, also inside lists, tuples and dicts."""
    if isinstance(values, np.ndarray):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (list, tuple)):
        return [x for value in values for x in arrays(value)]
    return []


def outputs(backend: Backend, kernel: str, args: dict[str, Any]) -> list[np.ndarray]:
    """Run the kernel: the arrays it returns (a float becomes one) or, in place, has changed."""
    result = getattr(backend, kernel)(**args)
    if isinstance(result, float):
        return [np.array(result)]
    if kernel == "moments":
        mean, rest, squares = result
        return [mean + rest, squares]  # the first two are one number
    if kernel == "pairwise":
        return [result[0]]  # the second is the same number, with the rounding of x - y
    return arrays(args) if result is None else arrays(result)


def _forward(kernel: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if kernel in ("global_norm", "scale"):
        for name, items in cases.norms():
            yield name, {"arrays": items} | ({"factor": 0.3} if kernel == "scale" else {})
        return
    for options in REDUCTIONS.get(kernel, ()):
        for name, x in cases.middles():
            yield f"{name} {options}", {"x": x} | options
    own = f"{__package__}.test_{kernel}"
    module = cases if hasattr(cases, kernel) else None
    if module is None and importlib.util.find_spec(own):
        module = importlib.import_module(own)  # a kernel whose cases stand with its tests
    wanted = inspect.signature(getattr(Backend, kernel)).parameters
    for name, args in getattr(module, kernel)() if module else ():
        yield name, {key: value for key, value in args.items() if key in wanted}


def _backward(kernel: str) -> Iterator[tuple[str, dict[str, Any]]]:
    forward = kernel.removesuffix("_backward")
    reference, r = Backend("numpy"), cases.rng(60)
    wanted = inspect.signature(getattr(Backend, kernel)).parameters
    for name, args in _forward(forward) if forward in OUTPUTS else ():
        results = getattr(reference, forward)(**args)
        results = results if isinstance(results, tuple) else (results,)
        known = args | dict(zip(OUTPUTS[forward], results, strict=True))
        for result, value in zip(OUTPUTS[forward], results, strict=True):
            known["d" + result] = r.normal(size=value.shape)
        known["grad"] = r.normal(size=results[0].shape)
        known = {key: value for key, value in known.items() if key in wanted}
        missing = [
            key
            for key, parameter in wanted.items()
            if key not in known and key != "self" and parameter.default is parameter.empty
        ]
        assert not missing, f"calls.py can't tell {missing} of {kernel}: see OUTPUTS"
        yield name, known


@cache
def calls(*names: str) -> tuple[Call, ...]:
    """All calls, or those of some kernels; not those of more than LARGE bytes."""
    out = []
    for kernel in names or kernels():
        derived = kernel.endswith("_backward") and not hasattr(cases, kernel)
        for case, args in _backward(kernel) if derived else _forward(kernel):
            if sum(x.nbytes for x in arrays(args)) <= LARGE:
                out.append(Call(kernel, case, args))
    return tuple(out)
