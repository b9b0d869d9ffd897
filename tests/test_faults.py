"""The faults of `python -m benchmarks.faults`: every gradient has some, each is a program."""

import ast
from pathlib import Path

import pytest

from benchmarks.mutants import Mutant, mutants

ROOT = Path(__file__).parent.parent
FAULTS = mutants(ROOT)


def test_every_operation_and_every_backward_kernel_has_faults():
    faulty = {(m.path, m.where.split(".")[0]) for m in FAULTS}
    for operation in ("Mul", "Softmax", "GRULayer", "CrossEntropy", "Embedding", "Tril"):
        assert any(where == operation for _, where in faulty), operation
    for stem in ("softmax", "cross_entropy", "embedding", "gru", "layer_norm"):
        for path in (f"tinyattn/kernels/reference/{stem}.py", f"tinyattn/kernels/jit/{stem}.py"):
            assert any(p == path for p, _ in faulty), path
        assert any(p == f"native/{stem}.c" for p, _ in faulty), stem


def test_every_fault_changes_its_file_and_is_python_where_that_is():
    sources: dict[str, bytes] = {}
    for m in FAULTS[::7]:
        source = sources.setdefault(m.path, (ROOT / m.path).read_bytes())
        patched = m.apply(source)
        assert patched != source
        assert source[m.start : m.end].decode() == m.old
        if m.path.endswith(".py"):
            ast.parse(patched)


def test_names_tell_faults_apart():
    names = {(str(m), m.start) for m in FAULTS}
    assert len(names) == len(FAULTS)


@pytest.mark.parametrize(
    ("fault", "new"), [("flipped sign", "((1) + (y * y))"), ("dropped term", "(1)")]
)
def test_faults_are_made_from_the_source(fault, new):
    def tanh(m: Mutant) -> bool:
        return m.where == "Tanh.backward" and m.fault == fault

    assert new in [m.new for m in FAULTS if tanh(m)]
