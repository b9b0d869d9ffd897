"""Peak memory of a training step, ours and PyTorch's: `python -m benchmarks.memory`.

The peak of the resident set beyond what it is after the import, each side in a process of its own,
over a few steps of the Seq2Seq of seq2seq_model.py with B64 T12 H256 V4000.
"""

import importlib
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.workers import HERE, cores, environment, installed

STEPS = 5
SIZES = {"B": 64, "T": 12, "H": 256, "V": 4000}


def resident(peak: bool) -> float:
    """MB of the resident set, now or at its peak."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent had, too
        wanted = "VmHWM:" if peak else "VmRSS:"
        for line in status.read_text().splitlines():
            if line.startswith(wanted):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(side: str) -> float:
    """MB beyond the import, in this process."""
    from benchmarks.seq2seq_model import training_step

    lib = importlib.import_module(side)
    lib.set_num_threads(cores())
    before = resident(peak=False)
    step = training_step(lib, **SIZES)
    for _ in range(STEPS):
        step()
    return resident(peak=True) - before


def main() -> None:
    if sys.argv[1:]:
        print(measure(sys.argv[1]))
        return
    sizes = " ".join(f"{name}{size}" for name, size in SIZES.items())
    print(f"peak memory beyond the import, {STEPS} Seq2Seq steps, {sizes}:")
    for side in filter(installed, ("tinyattn", "torch")):
        command = [sys.executable, "-m", "benchmarks.memory", side]
        out = subprocess.run(
            command, cwd=HERE.parent, env=environment(side), stdout=subprocess.PIPE, check=True
        )
        print(f"{side}: {float(out.stdout):.0f} MB")


if __name__ == "__main__":
    main()
