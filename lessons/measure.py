"""The figures of lesson 12, measured anew: `python -m lessons.measure` prints what a training step
of attention needs at its peak. It takes a minute. The lesson holds the figures as text, since a
page must not change with the machine that builds it.
"""

import subprocess
import sys

import tinyattn as ta
import tinyattn.nn.functional as F
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


def main() -> None:
    """MB at the peak of a step, each in a process of its own."""
    print("T", *LENGTHS)
    for kind in ("matrix", "linear"):
        command = [sys.executable, "-m", "lessons.measure", kind]
        peaks = [
            subprocess.run([*command, str(T)], capture_output=True, text=True, check=True).stdout
            for T in LENGTHS
        ]
        print(kind, *(peak.strip() for peak in peaks))


if __name__ == "__main__":
    if sys.argv[1:]:
        attend(int(sys.argv[2]), sys.argv[1] == "linear")
    else:
        main()
