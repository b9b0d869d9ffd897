"""The figures of lesson 12 can be measured anew. The lesson holds them as text."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lessons.cells import FOLDER, cells


def peak(kind, T):
    """MB of a step in a process of its own, on the backend whose memory is NumPy's alone."""
    done = subprocess.run(
        [sys.executable, "-m", "lessons.measure", kind, str(T)],
        cwd=FOLDER.parent,
        env={**os.environ, "TINYATTN_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_step_without_the_matrix_needs_less_memory():
    assert peak("linear", 1024) < peak("matrix", 1024) / 2


def test_the_figures_in_the_lesson_grow_as_it_says():
    code = next(cell.content for cell in cells("en", "12_long_sequences") if "MB" in cell.content)
    names = {"np": np, "plt": pytest.importorskip("matplotlib.pyplot")}
    exec(code, names)
    names["plt"].close("all")
    doubled = np.diff(np.log2([names["matrix"], names["linear"]]))  # (2, 4)
    assert (doubled[0] > 1.5).all()
    assert (doubled[0] < 2.1).all()
    assert (doubled[1] > 0.7).all()
    assert (doubled[1] < 1.1).all()
