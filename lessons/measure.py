"""The figures of lessons 12 and 13, measured anew: `python -m lessons.measure memory` prints what
attention needs at its peak, `roofline` the speed of some kernels. It takes a minute each. The
lessons hold the figures as text, since a page must not change with the machine that builds it.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import tinyattn as ta
import tinyattn.nn.functional as F
from benchmarks.compare.workers import peak
from benchmarks.memory import resident

LENGTHS = [512, 1024, 2048, 4096, 8192]
HEADS, D = 4, 64


def attend(T: int, linear: bool) -> None:
    """One training step of attention, forward and backward; linear: without the T x T matrix."""
    q, k, v = (ta.randn(1, HEADS, T, D, requires_grad=True) for _ in range(3))
    before = resident(peak=False)
    if linear:
        out = F.scaled_dot_product_attention(q, k, v)
    else:
        out = (q @ k.transpose(-2, -1) * D**-0.5).softmax(-1) @ v
    out.sum().backward()
    print(round(resident(peak=True) - before))


def memory() -> None:
    """MB at the peak of a step, each in a process of its own."""
    print("T", *LENGTHS)
    for kind in ("matrix", "linear"):
        command = [sys.executable, "-m", "lessons.measure", kind]
        peaks = [
            subprocess.run([*command, str(T)], capture_output=True, text=True, check=True).stdout
            for T in LENGTHS
        ]
        print(kind, *(peak.strip() for peak in peaks))


def speed(work: Callable[[], object], seconds: float = 2.0) -> float:
    """Calls a second: the best of many, after one that warms up."""
    work()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return 1 / best


def roofline() -> None:
    """Of each kernel the operations for a byte of memory, and the GFLOP/s on one thread."""
    ta.set_num_threads(1)
    n = 4096
    x, y, vector = ta.randn(n, n), ta.randn(n, n), ta.randn(n, 1)
    kernels = {
        "add": (lambda: x + y, 1 / 12, n * n),
        "sum": (lambda: x.sum(), 1 / 4, n * n),
        "matrix times vector": (lambda: x @ vector, 1 / 2, 2 * n * n),
        "layer norm": (lambda: F.layer_norm(x, (n,)), 7 / 8, 7 * n * n),
    }
    for m in (64, 256, 1024):
        a, b = ta.randn(m, m), ta.randn(m, m)
        kernels[f"matrix product {m}"] = (partial(ta.matmul, a, b), m / 6, 2 * m**3)
    print("peak of multiply-adds", peak(threads=1), "GFLOP/s")
    with ta.no_grad():
        print("read from memory", 4 * n * n * speed(x.sum) / 1e9, "GB/s")
        for name, (work, intensity, operations) in kernels.items():
            print(f"{name:20} {intensity:8.3f} {operations * speed(work) / 1e9:8.2f}")


if __name__ == "__main__":
    if sys.argv[1] in ("matrix", "linear"):
        attend(int(sys.argv[2]), sys.argv[1] == "linear")
    else:
        {"memory": memory, "roofline": roofline}[sys.argv[1]]()
