"""LBFGS: its iterations on functions whose minimum is known, its ends, its state."""

import io

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.optim import LBFGS

A = np.array([[3.0, 1.0], [1.0, 2.0]])


def minimised(lib, steps=1, state=None, start=(3.0, -1.0), dtype="float64", **options):
    """x, the losses and the optimiser after that many steps on x^T A x / 2 + the sum of x^4."""
    x = lib.nn.Parameter(lib.tensor(start, dtype=getattr(lib, dtype)))
    a, losses = lib.tensor(A, dtype=getattr(lib, dtype)), []
    optimizer = lib.optim.LBFGS([x], **options)
    if state is not None:
        optimizer.load_state_dict(state)

    def closure():
        optimizer.zero_grad()
        loss = (x @ a @ x) / 2 + (x**4).sum()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return x.detach().numpy(), losses, optimizer


def parabola(x0, **options):
    """x after one step on x^2 from x0, and how often the closure was called."""
    x, calls = nn.Parameter(ta.tensor([x0], dtype=ta.float64)), []
    optimizer = LBFGS([x], **options)

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        calls.append(loss.item())
        return loss

    assert optimizer.step(closure).item() == x0**2
    return x.item(), calls


def test_the_first_iteration_is_short_and_the_second_knows_the_curvature():
    assert parabola(3.0, max_iter=1) == (2.0, [9.0])  # 3 - 6 / 6
    assert parabola(3.0, max_iter=2, max_eval=9) == (0.0, [9.0, 4.0])  # 2 - 4 / 2
    assert parabola(0.25, max_iter=1) == (-0.25, [0.0625])  # |g| < 1: the whole of -g
    assert parabola(3.0, max_iter=1, lr=0.5) == (2.5, [9.0])
    assert parabola(3.0, max_iter=2, max_eval=9, lr=0.5)[0] == 1.25  # 2.5 - 0.5 * 5 / 2


def test_it_ends_where_nothing_changes():
    assert parabola(0.0) == (0.0, [0.0])
    assert parabola(3.0) == (0.0, [9.0, 4.0, 0.0])
    assert parabola(3.0, max_eval=2) == (2.0, [9.0, 4.0])
    assert parabola(3.0, max_iter=2) == (2.0, [9.0, 4.0])  # so that max_eval is 2
    assert parabola(3.0, tolerance_grad=5.0) == (2.0, [9.0, 4.0])
    assert parabola(3.0, tolerance_change=5.5) == (2.0, [9.0, 4.0])
    assert parabola(3.0, tolerance_change=1e3) == (3.0, [9.0])


def test_two_dimensions_and_a_short_history():
    for size in (100, 2, 1):
        x, losses, optimizer = minimised(ta, steps=4, history_size=size)
        np.testing.assert_allclose(x, [0, 0], atol=1e-4)
        assert losses[-1] < 1e-8
        (state,) = optimizer.state.values()
        assert len(state["old_dirs"]) == len(state["ro"]) <= size
        assert state["func_evals"] == len(losses)


def test_a_parameter_without_a_gradient_stays():
    x, y = nn.Parameter(ta.tensor([3.0])), nn.Parameter(ta.tensor([[7.0, 8.0]]))
    optimizer = LBFGS([y, x])

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert (x.item(), y.tolist()) == (0.0, [[7.0, 8.0]])


def test_it_goes_on_from_its_state():
    whole = minimised(ta, steps=4, max_iter=2)
    _, _, optimizer = minimised(ta, steps=2, max_iter=2)
    file = io.BytesIO()
    ta.save(optimizer.state_dict(), file)
    file.seek(0)
    start = minimised(ta, steps=2, max_iter=2)[0].tolist()
    x, losses, _ = minimised(ta, 2, ta.load(file), start, max_iter=2)
    np.testing.assert_array_equal(x, whole[0])
    assert losses == whole[1][-len(losses) :]


def test_what_is_refused():
    x = nn.Parameter(ta.ones(1))
    with pytest.raises(NotImplementedError, match="line_search_fn: expected None, got 'strong_wol"):
        LBFGS([x], line_search_fn="strong_wolfe")
    with pytest.raises(ValueError, match="groups"):
        LBFGS([{"params": [x]}, {"params": [nn.Parameter(ta.ones(1))]}])
    for name in ("lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change"):
        with pytest.raises(ValueError, match=rf"{name}: expected a number .* got -1"):
            LBFGS([x], **{name: -1})


@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.5}, {"history_size": 2}, {"max_iter": 3, "max_eval": 2}]
)
def test_as_in_pytorch(options):
    torch = pytest.importorskip("torch")
    x, losses, _ = minimised(ta, 5, **options)
    expected, theirs, _ = minimised(torch, 5, **options)
    assert len(losses) == len(theirs)
    np.testing.assert_allclose(losses, theirs, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(x, expected, atol=1e-8)
