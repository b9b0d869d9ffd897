"""Random numbers: one seed, one sequence, whatever the backend and the threads; their moments."""

import math
import os
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyattn as ta
from tinyattn.nn import functional as F

from .parity import same_as_torch

DRAWS = {
    "rand": lambda: ta.rand(4, 3),
    "rand double": lambda: ta.rand(4, dtype=ta.float64),
    "randn": lambda: ta.randn(4, 3),
    "rand_like": lambda: ta.rand_like(ta.ones(2, 2)),
    "randn_like": lambda: ta.randn_like(ta.ones(2, 2)),
    "randint": lambda: ta.randint(0, 1000, (5,)),
    "randperm": lambda: ta.randperm(20),
    "uniform_": lambda: ta.empty(5).uniform_(),
    "normal_": lambda: ta.empty(5).normal_(),
    "dropout": lambda: F.dropout(ta.ones(40), 0.5),
}
# Shapes, dtypes and errors are PyTorch's; values can't be.
FORMS = {
    "rand": lambda t: t.rand(2, 3),
    "rand of a tuple": lambda t: t.rand((2, 0)),
    "rand without axes": lambda t: t.rand(()),
    "rand negative": lambda t: t.rand(-1),
    "rand int": lambda t: t.rand(2, dtype=t.int64),
    "randn int": lambda t: t.randn(2, dtype=t.int32),
    "rand_like int": lambda t: t.rand_like(t.arange(3)),
    "randn_like with a dtype": lambda t: t.randn_like(t.arange(3), dtype=t.float64),
    "randint": lambda t: t.randint(5, (2, 3)),
    "randint from": lambda t: t.randint(2, 5, (2,)),
    "randint size": lambda t: t.randint(5, size=(2,)),
    "randint high": lambda t: t.randint(high=5, size=(2,)),
    "randint float": lambda t: t.randint(0, 5, (2,), dtype=t.float32),
    "randint of nothing": lambda t: t.randint(5, 5, (2,)),
    "randint without size": lambda t: t.randint(5),
    "randint int32": lambda t: t.randint(2**31 - 2, 2**31, (2,), dtype=t.int32),
    "randint beyond int32": lambda t: t.randint(0, 2**40, (2,), dtype=t.int32),
    "randint one beyond int32": lambda t: t.randint(0, 2**31 + 1, (2,), dtype=t.int32),
    "randint below int32": lambda t: t.randint(-(2**40), 5, (2,), dtype=t.int32),
    "randint bool": lambda t: t.randint(0, 2, (2,), dtype=t.bool),
    "randint beyond bool": lambda t: t.randint(0, 3, (2,), dtype=t.bool),
    "randint to a float": lambda t: t.randint(0, 5.5, (2,)),
    "randint from a float": lambda t: t.randint(0.0, 5, (2,)),
    "randint of numpy ints": lambda t: t.randint(np.int64(1), np.int64(5), (2,)),
    "randperm": lambda t: t.randperm(4),
    "randperm of a float": lambda t: t.randperm(2.0),
    "uniform_ of text": lambda t: t.zeros(2).uniform_("a", 2),
    "dropout of text": lambda t: (F if t is ta else t.nn.functional).dropout(t.ones(3), "a"),
    "randperm of none": lambda t: t.randperm(0),
    "randperm int32": lambda t: t.randperm(3, dtype=t.int32),
    "randperm negative": lambda t: t.randperm(-1),
    "uniform_": lambda t: t.zeros(2, 2, dtype=t.float64).uniform_(1, 2),
    "uniform_ int": lambda t: t.arange(3).uniform_(),
    "uniform_ downward": lambda t: t.zeros(2).uniform_(2, 1),
    "normal_ int": lambda t: t.arange(3).normal_(),
    "normal_ negative": lambda t: t.zeros(2).normal_(0, -1),
    "uniform_ of a leaf": lambda t: t.zeros(2, requires_grad=True).uniform_(),
    "dropout int": lambda t: (F if t is ta else t.nn.functional).dropout(t.arange(3), 0.5),
    "dropout of too much": lambda t: (F if t is ta else t.nn.functional).dropout(t.ones(3), 1.5),
    "dropout of less": lambda t: (F if t is ta else t.nn.functional).dropout(t.ones(3), -0.1),
}


@pytest.mark.parametrize("name", FORMS)
def test_shapes_dtypes_and_errors_as_in_torch(torch, name):
    same_as_torch(torch, lambda t: FORMS[name](t) * 0)


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_the_same_numbers_again(name):
    ta.manual_seed(7)
    first = [DRAWS[name]().tolist() for _ in range(3)]
    assert first[0] != first[1]
    ta.manual_seed(7)
    assert [DRAWS[name]().tolist() for _ in range(3)] == first
    ta.manual_seed(8)
    assert DRAWS[name]().tolist() != first[0]


@pytest.mark.parametrize("name", DRAWS)
def test_a_state_saved_in_the_middle_goes_on_from_there(name):
    ta.manual_seed(1)
    ta.randint(0, 9, (3,), dtype=ta.int32)  # leaves half a word behind
    ta.rand(3)
    state = ta.get_rng_state()
    expected = DRAWS[name]().tolist()
    ta.randn(5)
    ta.set_rng_state(state)
    assert DRAWS[name]().tolist() == expected


@pytest.mark.parametrize("name", DRAWS)
def test_numbers_do_not_depend_on_backend_or_threads(backend, name):
    ta.manual_seed(3)
    with ta.use_backend("numpy"):
        expected = DRAWS[name]().tolist()
    threads = ta.get_num_threads()
    try:
        for n in (1, 2):
            ta.set_num_threads(n)
            ta.manual_seed(3)
            assert DRAWS[name]().tolist() == expected
    finally:
        ta.set_num_threads(threads)


def test_wrong_seeds_and_states_are_refused():
    for seed in ("a", True, None):
        with pytest.raises(TypeError, match="seed: expected an int, got"):
            ta.manual_seed(seed)
    ta.manual_seed(-1)
    ta.manual_seed(2**64 + 5)
    assert ta.manual_seed(1.7).initial_seed() == 1
    with pytest.raises(RuntimeError, match=r"state: expected an int64 tensor of shape \[13\]"):
        ta.set_rng_state(ta.zeros(13))
    with pytest.raises(TypeError, match="state: expected a Tensor, got list"):
        ta.set_rng_state([1])


def test_bounds_outside_the_range_of_the_dtype_are_named():
    for low, high, dtype, text in (
        (0, 2**31 + 1, ta.int32, f"high - 1: expected .* the range of int32, got {2**31}"),
        (-(2**31) - 1, 0, ta.int32, f"low: expected .* the range of int32, got {-(2**31) - 1}"),
        (0, 2**63 + 1, None, f"high - 1: expected .* the range of int64, got {2**63}"),
        (-(2**70), 0, None, f"low: expected .* the range of int64, got {-(2**70)}"),
        (0, 2**70, ta.float32, f"high - 1: expected .* got {2**70 - 1}"),
        (0, 5, ta.bool, "high - 1: expected 0 or 1 for bool, got 4"),
    ):
        with pytest.raises(RuntimeError, match=text):
            ta.randint(low, high, (2,), dtype=dtype)
    drawn = ta.randint(2**63 - 1, 2**63, (2,))
    assert drawn.tolist() == [2**63 - 1] * 2


N = 40_000
CLOSE = 5 / math.sqrt(N)  # five standard errors of a variable with variance 1


@pytest.mark.parametrize("dtype", [ta.float32, ta.float64])
def test_uniform_numbers_have_their_moments(dtype):
    ta.manual_seed(0)
    for x in (ta.rand(N, dtype=dtype), ta.zeros(N, dtype=dtype).uniform_()):
        x = x.numpy()
        assert x.min() >= 0
        assert x.max() < 1
        assert abs(x.mean() - 0.5) < CLOSE
        assert abs(x.var() - 1 / 12) < CLOSE
    y = ta.zeros(N, dtype=dtype).uniform_(-3, 5)
    assert -3 <= y.min().item() < y.max().item() <= 5
    assert abs(y.mean().item() - 1) < 8 * CLOSE


@pytest.mark.parametrize("dtype", [ta.float32, ta.float64])
def test_normal_numbers_have_their_moments(dtype):
    ta.manual_seed(0)
    for x in (ta.randn(N, dtype=dtype), ta.zeros(N, dtype=dtype).normal_(0, 1)):
        x = x.numpy()
        assert abs(x.mean()) < CLOSE
        assert abs(x.var() - 1) < 2 * CLOSE
        assert abs((x**3).mean()) < 4 * CLOSE
        assert abs((np.abs(x) > 1.96).mean() - 0.05) < CLOSE
    y = ta.zeros(N, dtype=dtype).normal_(3, 0.1).numpy()
    assert abs(y.mean() - 3) < CLOSE
    assert abs(y.std() - 0.1) < CLOSE
    assert ta.ones(3).normal_(2, 0).tolist() == [2, 2, 2]


@given(low=st.integers(-5, 5), width=st.integers(1, 6))
@settings(max_examples=20)
def test_integers_reach_every_number_of_their_range(low, width):
    drawn = set(ta.randint(low, low + width, (200,)).tolist())
    assert drawn == set(range(low, low + width))


@given(n=st.integers(0, 30))
@settings(max_examples=20)
def test_permutations_hold_every_number_once(n):
    assert sorted(ta.randperm(n).tolist()) == list(range(n))


def test_changes_in_place_reach_every_view():
    x = ta.zeros(4, 3)
    x.T[1:].uniform_(1, 2)
    assert (x[:, 1:] >= 1).all()
    assert (x[:, 0] == 0).all()


def test_dropout_keeps_the_mean():
    ta.manual_seed(0)
    for p in (0.1, 0.5, 0.9):
        y = F.dropout(ta.ones(N), p).numpy()
        assert set(np.unique(y)) == {0, np.float32(1 / (1 - p))}
        assert abs((y == 0).mean() - p) < CLOSE
        assert abs(y.mean() - 1) < CLOSE * math.sqrt(p / (1 - p))


@pytest.mark.parametrize("dtype", [ta.float32, ta.float64])
def test_the_gradient_of_dropout_passes_where_the_value_did(dtype):
    x = ta.ones(50, dtype=dtype, requires_grad=True)
    y = F.dropout(x, 0.3)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    assert x.grad.dtype == dtype


def test_gradients_of_dropout_match_differences():
    def case(x):
        ta.manual_seed(2)
        return F.dropout(x, 0.4)

    assert ta.gradcheck(case, (ta.randn(3, 4, dtype=ta.float64, requires_grad=True),))


def test_dropout_of_nothing_of_all_and_in_evaluation():
    x = ta.randn(20, requires_grad=True)
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.5, training=False) is x
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0] * 20
    assert F.dropout(ta.zeros(0, 3), 0.5).shape == (0, 3)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_a_wrong_probability_is_named(p):
    with pytest.raises(ValueError, match="p: expected a probability between 0 and 1"):
        F.dropout(ta.ones(2), p)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_are_those_of_numpy_however_many_are_drawn_at_once(dtype):
    ta.manual_seed(5)
    bits = np.random.Philox(5)
    numbers = np.random.Generator(bits)
    for size in (3, 600, 1, 5000, 0, 70_001, 2):
        want = numbers.standard_normal(size, np.dtype(dtype))
        np.testing.assert_array_equal(ta.randn(size, dtype=dtype), want)
        np.testing.assert_array_equal(ta.rand(5), numbers.random(5, np.float32))
    g = ta.Generator().manual_seed(9)
    x = ta.empty(40, 50).normal_(1.0, 2.0, generator=g)
    want = np.random.Generator(np.random.Philox(9)).standard_normal((40, 50), np.float32) * 2 + 1
    np.testing.assert_array_equal(x, want)


def test_a_generator_stands_where_numpys_does_after_each_draw(backend):
    ours, theirs = ta.Generator().manual_seed(5), np.random.Generator(np.random.Philox(5))
    for size in range(513, 713):  # a half that is left over may be the last number of a draw
        drawn = ta.randn(size, generator=ours).numpy()
        np.testing.assert_array_equal(drawn, theirs.standard_normal(size, np.float32))
        state = theirs.bit_generator.state
        place = [*state["state"]["counter"], *state["state"]["key"], *state["buffer"]]
        place += [state["buffer_pos"], state["has_uint32"]]
        assert ours.get_state().numpy().view(np.uint64)[:12].tolist() == place


def test_normal_numbers_are_drawn_anew_in_each_replay():
    def step(x):
        return x + ta.randn(30, 30)

    x = ta.zeros(30, 30)
    ta.manual_seed(3)
    want = [step(x).numpy() for _ in range(4)]
    ta.manual_seed(3)
    replayed = ta.replay(step)
    got = [replayed(x).numpy().copy() for _ in range(4)]
    for one, two in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("size", [70_000, 400])
def test_a_child_draws_though_a_thread_of_its_parent_was_drawing(size):
    stop, own = threading.Event(), ta.Generator()

    def others():
        while not stop.is_set():
            ta.randn(size)
            ta.rand(size, generator=own)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(8):
            child = os.fork()
            if not child:
                code = 1
                try:
                    signal.alarm(10)  # a child that waits for ever ends by itself
                    ta.randn(size)
                    ta.rand(size, generator=own)
                    first = ta.manual_seed(3) and ta.rand(2).tolist()
                    code = 0 if first == ta.rand(2, generator=own.manual_seed(3)).tolist() else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join(10)


def test_normal_numbers_whose_means_and_deviations_do_not_broadcast_are_refused():
    with pytest.raises(RuntimeError, match=r"The size of tensor a \(2\) must match"):
        ta.normal(ta.zeros(2), ta.ones(3))
