"""Which tests run for a fault, and in which order."""

import re
from pathlib import Path

from tests.power.gradients import kernels
from tests.power.source import Mutant

ROOT = Path(__file__).parents[2]
OPS = [f"tests/ops/test_{name}.py" for name in ("elementwise", "indexing", "products", "shape")]
# What runs in other processes, which the tests of this function start.
ELSEWHERE = {"tinyattn/utils/data/worker.py": "Workers.__init__"}
BACKENDS = ("backend", "kernels")  # the parameters of tests that are backends
ENOUGH = 20.0  # processor seconds of tests for one fault
# What runs besides the tests of the same name, by the beginning of the path.
ALSO = {
    "tinyattn/_gradcheck": ["tests/learn/test_*.py"],
    "tinyattn/_explain/": ["tests/test_explain.py"],
    "tinyattn/autograd/": ["tests/autograd/test_*.py", "tests/test_replay.py", *OPS],
    "tinyattn/datasets/": ["tests/datasets/test_*.py"],
    "tinyattn/learn/": ["tests/learn/test_*.py"],
    "tinyattn/parallel/": ["tests/parallel/test_*.py"],
    "tinyattn/viz/": ["tests/viz/test_*.py", "tests/test_explain.py"],
    "tinyattn/compat/": ["tests/*/test_programs.py", "tests/test_missing.py"],
    "tinyattn/nn/": ["tests/nn/test_*.py", "tests/test_invariances.py"],
    "tinyattn/nn/module": ["tests/test_quantization.py"],
    "tinyattn/ops/": ["tests/ops/test_*.py", "tests/nn/test_p*.py", "tests/test_doctor.py"],
    "tinyattn/ops/_in_place": ["tests/autograd/test_in_place*.py", "tests/test_replay.py"],
    "tinyattn/ops/rounding": ["tests/test_replay.py"],
    "tinyattn/ops/in_place": ["tests/autograd/test_in_place*.py"],
    "tinyattn/ops/attention": ["tests/nn/test_attention.py"],
    "tinyattn/_serialization": ["tests/test_torch_files.py"],
    "tinyattn/optim/": ["tests/optim/test_*.py"],
    "tinyattn/text/": ["tests/text/test_*.py"],
    "tinyattn/utils/checkpoint": ["tests/utils/test_recomputing.py"],
}


def test_files(mutant: Mutant) -> list[str]:
    """The files whose tests may notice a fault of Python."""
    path = Path(mutant.path)
    if mutant.entries:
        return kernel_tests(mutant, path.parent.name == "reference")
    folder = ROOT.joinpath("tests", *path.parent.parts[1:])
    stem = path.stem.lstrip("_")
    found = {*folder.glob(f"test_{stem}.py"), *folder.glob(f"test_{stem}_*.py")}
    found |= {*folder.parent.glob(f"test_{folder.name}.py")}
    for beginning, patterns in ALSO.items():
        if mutant.path.startswith(beginning):
            found |= {p for pattern in patterns for p in ROOT.glob(pattern)}
    return names(found)


# The tests of what calls a kernel without naming it, by the file of the kernel.
CALLING = {
    "optim": ["tests/optim/test_*.py"],
    "norm": ["tests/ops/test_sums.py", "tests/nn/test_packing.py"],
    "reductions": ["tests/ops/test_sums.py", "tests/ops/test_reductions.py"],
}


def kernel_tests(mutant: Mutant, definition: bool) -> list[str]:
    """Those that call the kernel, and those of the operations that call it."""
    calls = re.compile(rf"\.({'|'.join(mutant.entries)})\b")
    files = {stem for stem, names in kernels(ROOT).items() if {*names} & {*mutant.entries}}
    found = {p for p in ROOT.glob("tests/kernels/test_*.py") if calls.search(p.read_text())}
    for stem in files & CALLING.keys() if definition else ():
        found |= {p for pattern in CALLING[stem] for p in ROOT.glob(pattern)}
    for p in ROOT.glob("tinyattn/ops/*.py"):
        if calls.search(p.read_text()):
            found |= {*ROOT.glob(f"tests/ops/test_{p.stem}.py")}
            found |= {*ROOT.glob(f"tests/ops/test_{p.stem}_*.py")}
    return names(found)


def names(files: set[Path]) -> list[str]:
    """Without those that need torch."""
    return sorted(str(p.relative_to(ROOT)) for p in files if "torch_parity" not in p.stem)


def load_profile() -> None:
    """Hypothesis tries ten examples, the same ones every time."""
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "faults",
        database=None,
        derandomize=True,
        deadline=None,
        max_examples=10,
        phases=(Phase.explicit, Phase.generate),  # no shrinking
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("faults")


def prepare_hypothesis() -> None:
    """Make the tables of characters, which take seconds, once for all forks."""
    from hypothesis import given, settings, strategies

    settings(database=None, max_examples=1)(given(strategies.text())(lambda text: None))()


Winners = dict[str, list[tuple[str, str]]]  # by file: a function and the test that caught a fault


def in_order(mutant: Mutant, times: dict[str, float], winners: Winners) -> list[str]:
    """Tests with their times, the likeliest to notice the fault first, ENOUGH seconds of them."""
    of_file = winners.get(mutant.path, [])
    recent = {name: i for i, (_, name) in enumerate(of_file)}
    of_function = {name: i for i, (where, name) in enumerate(of_file) if where == mutant.where}
    about = re.sub(r"\W|_", "", mutant.where.split(".")[0]).lower()
    path = Path(mutant.path)
    stem = path.stem.lstrip("_")
    gradients = path.parts[0] == "native" or path.parts[1] in ("ops", "kernels", "autograd")
    words = ("gradient", "difference", "backward") if gradients else ("definition", stem)

    def key(name: str) -> tuple:
        return (
            -of_function.get(name, -1),
            about not in name.lower().replace("_", ""),
            -recent.get(name, -1),
            f"test_{stem}" not in name,
            not any(word in name for word in words),
            times[name],
        )

    chosen, total = [], 0.0
    for name in sorted(times, key=key):
        total += times[name]
        if total < ENOUGH:
            chosen.append(name)
    return chosen
