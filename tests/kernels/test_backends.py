"""How a backend is chosen: by name, by context, by environment variable, or the best installed."""

import importlib.util
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tinyattn.kernels import (
    available_backends,
    backend,
    get_num_threads,
    instruction_set,
    set_num_threads,
    use_backend,
)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python, where nothing is chosen yet."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TINYATTN_")}
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env=clean | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_numpy_is_always_there_and_last() -> None:
    assert available_backends()[-1] == "numpy"


def test_use_backend_sets_it_for_good_and_as_a_context_puts_it_back() -> None:
    with use_backend("numpy") as outer:
        assert backend() is outer
        with use_backend(available_backends()[0]) as inner:
            assert backend() is inner
        assert backend() is outer
        with pytest.raises(KeyError), use_backend(available_backends()[0]):
            raise KeyError
        assert backend() is outer


def test_a_backend_is_the_same_object_each_time() -> None:
    with use_backend("numpy") as one, use_backend("numpy") as two:
        assert one is two


def test_the_choice_holds_in_every_thread() -> None:
    seen: list[str] = []
    with use_backend("numpy"):
        thread = threading.Thread(target=lambda: seen.append(backend().name))
        thread.start()
        thread.join()
    assert seen == ["numpy"]


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"unknown backend 'cuda': .* native, numba, numpy"):
        use_backend("cuda")


def test_the_environment_variable_chooses() -> None:
    code = "from tinyattn.kernels import backend; print(backend().name)"
    for name in available_backends():
        done = run(code, TINYATTN_BACKEND=name)
        assert (done.stdout.strip(), done.stderr) == (name, "")


def test_an_unknown_name_in_the_environment_is_refused() -> None:
    done = run("from tinyattn.kernels import backend; backend()", TINYATTN_BACKEND="blas")
    assert done.returncode
    assert "TINYATTN_BACKEND: unknown backend 'blas': choose one of" in done.stderr


BLOCK = "import sys; sys.modules[{!r}] = None; from tinyattn.kernels import *; "


@pytest.mark.parametrize(
    ("name", "module"), [("native", "tinyattn.kernels.native._core"), ("numba", "numba")]
)
def test_asking_for_what_is_not_installed_raises(name: str, module: str) -> None:
    done = run(BLOCK.format(module) + f"use_backend({name!r})")
    assert f"RuntimeError: backend {name!r} is not installed" in done.stderr
    assert "install" in done.stderr
    done = run(BLOCK.format(module) + "print(backend())", TINYATTN_BACKEND=name)
    assert f"RuntimeError: TINYATTN_BACKEND: backend {name!r} is not installed" in done.stderr


def test_without_the_extension_the_default_is_the_next_best_with_one_warning() -> None:
    done = run(
        BLOCK.format("tinyattn.kernels.native._core")
        + "print(available_backends()[0]); print(backend().name); print(backend().name)"
    )
    best = "numba" if importlib.util.find_spec("numba") else "numpy"
    assert done.stdout.split() == [best] * 3
    assert done.stderr.count("RuntimeWarning: the native kernels of tinyattn are not built") == 1


def test_importing_the_kernels_does_not_import_numba() -> None:
    done = run(
        "import sys, tinyattn.kernels as k; k.use_backend('numpy'); k.available_backends(); "
        "print('numba' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr


def test_number_of_threads_is_checked() -> None:
    for wrong in (2.0, "2", True, None):
        with pytest.raises(TypeError, match="n must be an int"):
            set_num_threads(wrong)  # type: ignore[arg-type]
    for few in (0, -3):
        with pytest.raises(ValueError, match="n must be at least 1"):
            set_num_threads(few)


def test_number_of_threads_is_kept_for_backends_loaded_later() -> None:
    for name in available_backends():
        done = run(
            "from tinyattn.kernels import *; set_num_threads(1); "
            f"use_backend({name!r}); print(get_num_threads())"
        )
        assert done.stdout.strip() == "1", done.stderr


def test_number_of_threads_from_the_environment() -> None:
    for name in available_backends():
        done = run(
            f"from tinyattn.kernels import *; use_backend({name!r}); print(get_num_threads())",
            TINYATTN_NUM_THREADS="1",
        )
        assert done.stdout.strip() == "1", done.stderr


def test_every_backend_says_what_it_runs_on() -> None:
    for name in available_backends():
        with use_backend(name):
            assert instruction_set()
            assert get_num_threads() >= 1


def test_numba_says_once_that_it_compiles_and_caches(tmp_path: object) -> None:
    if "numba" not in available_backends():
        pytest.skip("Numba is not installed")
    code = (
        "import numpy as np; from tinyattn.kernels import *; "
        "k = use_backend('numba').__enter__(); print(k.softmax(np.ones((2, 2)))[0, 0])"
    )
    line = "compiling the Numba kernels"
    first = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert (first.stdout.strip(), first.stderr.count(line)) == ("0.5", 1)
    second = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert (second.stdout.strip(), second.stderr) == ("0.5", "")


def test_numba_works_where_it_can_not_write_what_it_compiles() -> None:
    if "numba" not in available_backends():
        pytest.skip("Numba is not installed")
    code = (
        "from numba.core import caching\n"
        "def refuse(self): raise PermissionError\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"  # as folders do that can't be written
        "import tinyattn as ta\n"
        "ta.use_backend('numba')\n"
        "print(ta.ones(2).softmax(0)[0].exp().item())"
    )
    done = run(code)
    assert done.stdout.startswith("1.648721"), done.stderr
    assert "so does every run, as no folder can be written" in done.stderr


def test_native_uses_the_instruction_set_asked_for() -> None:
    if "native" not in available_backends():
        pytest.skip("the native extension is not built")
    code = "from tinyattn.kernels import *; use_backend('native'); print(instruction_set())"
    assert run(code, TINYATTN_ISA="baseline").stdout.strip() == "baseline"
    done = run(code, TINYATTN_ISA="sse9")
    assert done.returncode
    assert "sse9" in done.stderr


def test_backends_agree_after_a_switch_between_forward_and_backward() -> None:
    """An operation keeps the backend of its forward; what one saved, another can still read."""
    x, g = np.random.default_rng(0).normal(size=(2, 4, 5))
    with use_backend("numpy") as first:
        y = first.softmax(x)
        want = first.softmax_backward(y, g)
        for name in available_backends():
            with use_backend(name) as other:
                np.testing.assert_allclose(other.softmax_backward(y, g), want, atol=1e-15)
