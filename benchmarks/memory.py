"""The memory of this process. `python -m benchmarks.compare --group memory` compares its peaks in
training steps with PyTorch's; memory_over_time.py watches it for long."""

import resource
import sys
from pathlib import Path


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
