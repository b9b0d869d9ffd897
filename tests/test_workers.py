"""The workers of `pytest -n auto` compile a file's kernels one after another."""

import pytest

from tests.workers import by_turns

fcntl = pytest.importorskip("fcntl")


def is_free(path):
    with open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_while_a_worker_compiles_the_others_wait(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text("")
    compile = by_turns(lambda kernel, dtype: (kernel, dtype, is_free(path)), lambda kernel: path)
    assert compile("softmax", "float32") == ("softmax", "float32", False)
    assert is_free(path)
