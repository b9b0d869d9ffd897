"""How near kernels come to what one core can do: `python -m benchmarks.roofline`, in half a minute.

It measures the two limits of the machine, multiply-adds in registers and numbers read from memory,
and then a few kernels, of which it counts the operations and the bytes that must be moved. Arrays
are larger than the caches. Lesson 13 draws what it prints. Look first at `rows`.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tinyattn as ta
import tinyattn.nn.functional as F
from benchmarks.compare.workers import measured, peak
from tinyattn import nn

ROUNDS = 15
D = 8192  # features of the weights: 256 MB
N = 16 * 1024 * 1024  # elements of an elementwise operation: 64 MB an array


class Row(NamedTuple):
    """A kernel: a function to time, its operations, and the bytes that it must read and write."""

    name: str
    call: Callable[[], Any]
    operations: float
    bytes: float


def rows() -> Iterator[Row]:
    """The kernels, one after the other, so that only one has its arrays."""
    x, y = ta.randn(N), ta.randn(N)
    yield Row("x + y", lambda: ta.add(x, y), N, 12 * N)
    x = ta.randn(N // D, D)
    yield Row("layer norm", lambda: F.layer_norm(x, (D,)), 8 * N, 8 * N)
    w = nn.Parameter(ta.randn(D, D))
    for B in (1, 2, 4, 8, 16, 32, 64, 128, 512):
        x = ta.randn(B, D)
        moved = 4 * (D * D + 2 * B * D)
        yield Row(f"x W^T, B = {B}", lambda x=x: F.linear(x, w), 2.0 * B * D * D, moved)


def seconds(call: Callable[[], Any]) -> float:
    """The least time of a call: what else the machine does only adds to it."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    ta.set_num_threads(1)
    rate, read = peak(1), measured("read.c")
    if rate is None or read is None:
        sys.exit("roofline: needs a C compiler; set CC, or install cc")
    print(f"one core: {rate:.0f} GFLOP/s, memory {read:.1f} GB/s; {ta.backend().name}")
    with ta.no_grad():
        for row in rows():
            took = seconds(row.call)
            print(
                f"{row.name:16} {row.operations / row.bytes:8.3f} operations a byte "
                f"{row.operations / took / 1e9:8.2f} GFLOP/s {row.bytes / took / 1e9:8.1f} GB/s"
            )


if __name__ == "__main__":
    main()
