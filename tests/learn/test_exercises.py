"""Every exercise: its stub fails, its solution passes in every backend, each wrong answer gets its
own message, every seeded fault of the solution is caught, and no solution is handed out."""

import ast
import inspect
import textwrap
import time

import numpy as np
import pytest

from tests.learn.faults import gone, unnoticed
from tinyattn.learn._exercises.e13_softmax_in_c import compiler
from tinyattn.learn.checking import arrays_of, examine
from tinyattn.learn.exercise import Exercise, load, names
from tinyattn.learn.folder import answer_in, start, stub
from tinyattn.learn.measuring import measured

# How many checks an exercise has: none is left out unnoticed.
MANIFEST = {
    "01_derivative": 8,
    "02_backward": 6,
    "03a_unbroadcast": 9,
    "03b_matmul_backward": 9,
    "04_softmax_backward": 11,
    "05a_embedding_backward": 10,
    "05b_cross_entropy_backward": 11,
    "06a_gru_step": 9,
    "06b_gru_step_backward": 8,
    "07_backward_through_time": 9,
    "08a_additive_scores": 10,
    "08b_context": 13,
    "09a_shift_targets": 7,
    "09b_greedy_step": 7,
    "10a_attention": 12,
    "10b_split_heads": 9,
    "10c_attention_backward": 9,
    "11a_transformer_block": 6,
    "11b_is_causal": 6,
    "11c_layer_norm_backward": 9,
    "12a_online_softmax": 9,
    "12b_attention_tile": 8,
    "13_softmax_in_c": 12,
    "14a_catch_faults": 4,
    "14b_diagnose": 4,
}


@pytest.fixture(params=names())
def exercise(request: pytest.FixtureRequest) -> Exercise:
    exercise = load(request.param)
    if exercise.c and compiler() is None:
        pytest.skip("no C compiler: apt-get install gcc libc6-dev")
    return exercise


def test_the_number_of_checks_is_fixed():
    assert list(MANIFEST) == names()


def test_the_solution_passes_in_every_backend(exercise, backend):
    examine(exercise, exercise.solution)  # Numba may have to compile a kernel first
    start = time.process_time()
    report = examine(exercise, exercise.solution)
    assert time.process_time() - start < 3
    assert report.right, str(report)
    assert len(report.passed) == report.total == MANIFEST[exercise.name]
    assert not report.mistake


def test_gradients_are_measured_to_eight_digits(exercise):
    """An error estimate that is too large would let any gradient pass."""
    plain = arrays_of(exercise, exercise.solution)
    for _, _, function, x in (exercise.gradients or no_gradients)(plain, np.random.default_rng(2)):
        assert measured(function, x)[1].max() < 1e-8


def no_gradients(answer, rng):
    return []


def test_the_solution_in_float32_passes(exercise):
    def single(*inputs):
        return exercise.solution(*map(_single, inputs))

    single.__signature__ = inspect.signature(exercise.ask)
    report = examine(exercise, single)
    assert report.right, str(report)


def _single(value):
    floats = isinstance(value, np.ndarray) and value.dtype == np.float64
    return value.astype(np.float32) if floats else value


def test_a_wrong_answer_gets_its_own_message(exercise):
    assert len(exercise.wrong) >= 6
    for wrong in exercise.wrong:
        report = examine(exercise, wrong)
        assert report.mistake == wrong.__name__, f"{wrong.__name__}: {report}"
        assert " ".join(inspect.getdoc(wrong).split()) in " ".join(report.words.split())


def test_every_seeded_fault_is_caught_and_no_fault_gets_a_wrong_name(exercise):
    count, found = unnoticed(exercise)
    assert count >= 3
    assert not found


def test_every_entry_of_the_equivalent_faults_is_a_fault(exercise):
    assert not gone(exercise)


def test_the_stub_is_not_written_yet(exercise, tmp_path):
    start(tmp_path)
    report = examine(exercise, answer_in(tmp_path / exercise.file, exercise))
    assert not report.right
    assert not report.written
    assert "not written yet" in report.words


def test_the_file_of_a_student_holds_no_text_of_a_solution(exercise):
    given = " ".join(stub(exercise).split())
    for line in _lines(exercise):
        assert " ".join(line.split()) not in given
    for hidden in (*exercise.wrong, *exercise.hints):
        text = hidden if isinstance(hidden, str) else hidden.__doc__
        assert " ".join(text.split()) not in given


def _lines(exercise):
    if exercise.c:
        return [line for line in exercise.solution.source.splitlines()[3:] if "=" in line]
    tree = ast.parse(textwrap.dedent(inspect.getsource(exercise.solution)))
    return [ast.unparse(statement) for statement in tree.body[0].body]


def test_the_hints_are_three_and_the_names_fit(exercise):
    assert len(set(exercise.hints)) == 3
    assert exercise.name == f"{exercise.number}_{exercise.ask.__name__}"
    for sentence in exercise.properties:
        assert inspect.getdoc(sentence).endswith(".")
