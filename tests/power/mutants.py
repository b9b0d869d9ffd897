"""All faults: those of gradients (gradients.py, c_kernels.py), of forwards (forwards.py) and of the
table of elementwise operations (formulas.py)."""

from pathlib import Path

from tests.power.c_kernels import c_kernel_faults
from tests.power.formulas import formula_faults, kernel_faults
from tests.power.forwards import forward_faults
from tests.power.gradients import (
    ENGINE,
    engine_faults,
    kernels,
    operation_faults,
    python_kernel_faults,
)
from tests.power.operations import operations
from tests.power.source import Mutant, Python


def mutants(root: Path) -> list[Mutant]:
    """All faults of the tree at `root`, each once; RuntimeError for an operation that has none."""
    found: list[Mutant] = []
    for path, names in operations(root).items():
        file = Python(root, path)
        found += [m for name in names for m in operation_faults(file, name)]
    for folder in ("reference", "jit"):
        for stem, names in kernels(root).items():
            file = Python(root, f"tinyattn/kernels/{folder}/{stem}.py")
            found += python_kernel_faults(file, names)
    found += c_kernel_faults(root)
    for path in ENGINE:
        found += engine_faults(Python(root, path))
    found += forward_faults(root)
    found += [*formula_faults(root), *kernel_faults(root)]
    found.reverse()  # of two equal ones the first counts
    once = {(m.path, m.start, m.end, m.new): m for m in found if m.new != m.old}
    return sorted(once.values(), key=lambda m: (m.path, m.start, m.end, m.new))
