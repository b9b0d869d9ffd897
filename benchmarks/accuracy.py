"""How exact every kernel is, in every backend and float type, over the kernel tests' cases.

    python -m benchmarks.accuracy

Prints, a line a kernel, the largest error in ULP: float32 against the definition in float64,
float64 against it in the machine's long double. A ULP is that of the largest number of a result,
since a sum that cancels can be as exact as its terms only; in losses and gradients, which may all
cancel, at least that of 1. Cases made to cancel or to saturate are left out.
tests/kernels/test_accuracy.py holds the figures to its table. Then what sums and products over
300,000 rows in float32, against the exact sum: tests/ops/test_sums.py.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from tests.kernels import calls
from tests.kernels.cases import cast
from tests.ops.test_sums import PRODUCTS, SUMS
from tinyattn.kernels import Backend, available_backends, contract, table, use_backend

ILL_CONDITIONED = ("1e4", "saturated", "off centre", "cancelling", "large", "constant", "tiny")
ILL_CONDITIONED += ("between steps",)  # of 8 bits: another type may round to the other step
# The numbers of these are those of a generator, for each type its own.
DRAWN = ("uniform", "normals")
MEASURED = [kernel for kernel in calls.kernels() if kernel not in DRAWN]
TYPES = (np.float32, np.float64)
FINER = {np.float32: np.float64, np.float64: np.longdouble}


@contextlib.contextmanager
def any_float() -> Iterator[None]:
    """The contract takes long doubles, which the definition can work with."""

    def any_type(kernel: str, name: str, x: np.ndarray) -> np.dtype[Any]:
        return x.dtype

    with (
        mock.patch.object(contract, "float_type", any_type),
        mock.patch.object(table, "float_type", any_type),
    ):
        yield


def ulps(got: np.ndarray, want: np.ndarray, least: float) -> float:
    """The largest error of a result, in ULP of the largest number in it or of `least`."""
    if not want.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(want.dtype) - want)
    finite = np.isfinite(want)
    if np.any(np.isfinite(got) != finite):
        return math.inf
    largest = max(least, float(np.abs(want[finite]).max(initial=0)))
    return float(error[finite].max(initial=0) / np.spacing(got.dtype.type(largest)))


@functools.cache
def exact(dtype: Any, kernel: str) -> list[tuple[dict[str, Any], list[np.ndarray]]]:
    """The kernel's calls in a float type, and their results by the definition in the next finer."""
    out = []
    for call in calls.calls(kernel):
        if not any(word in call.case for word in ILL_CONDITIONED):
            args = cast(call.args, dtype)
            with any_float(), np.errstate(all="ignore"):
                finer = cast(args, FINER[dtype])
                out.append((args, calls.outputs(Backend("numpy"), kernel, finer)))
    return out


def measure(kernel: str, dtype: Any, backends: tuple[str, ...]) -> dict[str, float]:
    """By backend, the largest error over all calls."""
    wanted = exact(dtype, kernel)
    least = 1.0 if kernel == "cross_entropy" or kernel.endswith("_backward") else 0.0
    worst = {}
    for name in backends:
        chosen = Backend(name)
        errors = [
            ulps(got, want, least)
            for args, results in wanted
            for got, want in zip(
                calls.outputs(chosen, kernel, cast(args, dtype)), results, strict=True
            )
        ]
        worst[name] = max(errors)
    return worst


def long_sums(backends: tuple[str, ...]) -> None:
    """By operation: the exact sum, what each backend gives, and its error in ULP."""
    print(
        f"\n{'sums of 300,000 in float32':28}{'exact':>14}",
        *(f"{n:>14}{'ULP':>6}" for n in backends),
    )
    for what, (compute, exact) in (SUMS | PRODUCTS).items():
        figures = []
        for name in backends:
            with use_backend(name):
                result = compute().detach().numpy().astype(np.float64).reshape(-1)
            worst = result[np.argmax(np.abs(result - exact))]
            error = abs(worst - exact) / np.spacing(np.float32(abs(exact)))
            figures.append(f"{worst:14.8g}{error:6.1f}")
        print(f"{what:28}{exact:14.8g}", *figures)


def main() -> None:
    backends = available_backends()
    print(f"{'largest error in ULP':24}", *(f"{n + ' f32':>11}{n + ' f64':>12}" for n in backends))
    for kernel in MEASURED:
        by_type = [measure(kernel, dtype, backends) for dtype in TYPES]
        figures = (f"{by_type[0][n]:11.1f}{by_type[1][n]:12.1f}" for n in backends)
        print(f"{kernel:24}", *figures)
    long_sums(backends)


if __name__ == "__main__":
    main()
