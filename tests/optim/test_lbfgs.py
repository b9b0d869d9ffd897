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


def by_matrices(x, function, steps, lr=1.0, max_iter=20, max_eval=25, history=100):
    """x, all losses, the state: the same, with H as a matrix. function gives loss and gradient."""
    losses, pairs, state = [], [], {"n_iter": 0, "H_diag": 1.0}

    def evaluated():
        loss, g = function(x)
        losses.append(loss)
        return loss, g

    for _ in range(steps):
        already = len(losses)
        loss, g = evaluated()
        for i in range(max_iter):
            if max(abs(g)) <= 1e-7:
                break
            if state["n_iter"] == 0:
                d, t = -g, lr * min(1, 1 / sum(abs(g)))
            else:
                s, y = state["t"] * state["d"], g - state["prev_flat_grad"]
                if s @ y > 1e-10:
                    pairs, state["H_diag"] = [*pairs, (s, y)][-history:], s @ y / (y @ y)
                H = state["H_diag"] * np.eye(len(x))
                for s, y in pairs:
                    turn = np.eye(len(x)) - np.outer(s, y) / (s @ y)
                    H = turn @ H @ turn.T + np.outer(s, s) / (s @ y)
                d, t = -H @ g, lr
            state |= {"n_iter": state["n_iter"] + 1, "d": d, "t": t, "prev_flat_grad": g}
            state["prev_loss"] = before = loss
            if g @ d > -1e-9:
                break
            x = x + t * d
            if i == max_iter - 1:
                break
            loss, g = evaluated()
            ended = len(losses) - already >= max_eval
            if ended or max(abs(t * d)) <= 1e-9 or abs(loss - before) < 1e-9:
                break
    state["func_evals"], state["ro"] = len(losses), [1 / (s @ y) for s, y in pairs]
    state["old_stps"], state["old_dirs"] = zip(*pairs, strict=True) if pairs else ((), ())
    return x, losses, state


@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.5}, {"history_size": 2}, {"max_iter": 7, "max_eval": 4, "history_size": 3}],
)
def test_an_iteration_is_that_of_the_matrix_H(options):
    x = nn.Parameter(ta.tensor([[0.1, 1.5], [-2.0, 0.3]], dtype=ta.float64))
    z = nn.Parameter(ta.tensor([0.7], dtype=ta.float64))
    start, losses = np.append(x.detach().numpy(), z.item()), []
    weights = np.array([1.0, 2.0, 0.5, 3.0, 1.0])

    def by_hand(v):  # two minima in each direction, between them a hill, whose curvature is below 0
        g = weights * (4 * v**3 - 4 * v)
        loss = (weights * (v**4 - 2 * v**2)).sum()
        return loss + v[0] * v[4], g + v[4] * np.eye(5)[0] + v[0] * np.eye(5)[4]

    optimizer = LBFGS([x, z], **options)

    def closure():
        loss, g = by_hand(np.append(x.detach().numpy(), z.item()))
        losses.append(loss)
        x.grad, z.grad = ta.tensor(g[:4].reshape(2, 2)), ta.tensor(g[4:])
        return loss

    firsts = [optimizer.step(closure) for _ in range(3)]
    options = {("history" if name == "history_size" else name): v for name, v in options.items()}
    end, expected, state = by_matrices(start, by_hand, 3, **options)
    np.testing.assert_allclose(np.append(x.detach().numpy(), z.item()), end, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-7)
    assert firsts[0] == by_hand(start)[0]
    assert set(firsts) <= set(losses)
    ((owner, found),) = optimizer.state.items()
    assert owner is x
    assert found.keys() == state.keys()
    assert (found["n_iter"], found["func_evals"]) == (state["n_iter"], state["func_evals"])
    for name in state:
        np.testing.assert_allclose(found[name], state[name], rtol=1e-5, atol=1e-8, err_msg=name)


def test_what_it_is_made_with():
    x = nn.Parameter(ta.ones(1))
    (group,) = LBFGS([x]).param_groups
    del group["params"]
    assert group == {
        "lr": 1,
        "max_iter": 20,
        "max_eval": 25,
        "tolerance_grad": 1e-7,
        "tolerance_change": 1e-9,
        "history_size": 100,
        "line_search_fn": None,
    }
    assert LBFGS([x], max_iter=7).param_groups[0]["max_eval"] == 8
    assert LBFGS([x], max_iter=7, max_eval=2).param_groups[0]["max_eval"] == 2


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
    assert parabola(3.0, max_iter=0) == (3.0, [9.0])
    assert parabola(3.0, tolerance_grad=6.0) == (3.0, [9.0])  # |g| is just 6
    assert parabola(3.0, tolerance_change=36.0) == (2.0, [9.0, 4.0])  # g d is just -36
    assert parabola(3.0, tolerance_change=1.0) == (2.0, [9.0, 4.0])  # x changes by 1


def slope(*gradients, **options):
    """x from 0, and the optimiser, where each call of the closure meets the next gradient."""
    x, left = nn.Parameter(ta.zeros(1, dtype=ta.float64)), list(gradients)
    optimizer = LBFGS([x], tolerance_grad=0.0, **options)

    def closure():
        g, loss = left.pop(0)
        x.grad = ta.tensor([g], dtype=ta.float64)
        return loss

    optimizer.step(closure)
    assert not left
    return x.item(), optimizer


def test_it_ends_where_the_loss_hardly_changes():
    options = {"tolerance_change": 0.125}
    assert slope((-0.5, 5.0), (-0.5, 5.0625), **options)[0] == 0.5
    assert slope((-0.5, 5.0), (-0.5, 4.875), (-0.5, 4.875), **options)[0] == 1.0  # just 0.125


@pytest.mark.parametrize(("y", "kept"), [(1.0, 0), (1.05, 1), (-1.0, 0)])
def test_a_pair_is_kept_where_s_y_is_above_1e_10(y, kept):
    g = -1e-10  # the first step is -g, so that s = 1e-10
    options = {"tolerance_change": 0.0, "max_iter": 2, "max_eval": 9}
    x, optimizer = slope((g, 5.0), (y + g, 4.0), **options)
    (state,) = optimizer.state.values()
    assert len(state["old_dirs"]) == len(state["old_stps"]) == len(state["ro"]) == kept
    assert x == pytest.approx(1e-10 - (y + g) * (1e-10 / y if kept else 1.0))


def test_without_a_history_the_direction_is_that_of_the_gradient():
    optimizer = minimised(ta, history_size=0, max_iter=3)[2]
    (state,) = optimizer.state.values()
    assert (state["old_dirs"], state["old_stps"], state["ro"]) == ([], [], [])
    g = state["prev_flat_grad"].numpy()
    np.testing.assert_allclose(state["d"].numpy(), -state["H_diag"] * g)


def test_a_step_is_a_change_and_its_closure_records():
    x = nn.Parameter(ta.tensor([3.0]))
    optimizer = LBFGS([x], max_iter=1)
    y = x * x

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with ta.no_grad():
        optimizer.step(closure)
    with pytest.raises(RuntimeError, match=r"LBFGS\.step"):
        y.sum().backward()


def test_parameters_without_numbers_stay():
    assert LBFGS([nn.Parameter(ta.zeros(0))]).step(lambda: 5.0) == 5.0


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
    for name in (
        "lr",
        "max_iter",
        "max_eval",
        "tolerance_grad",
        "tolerance_change",
        "history_size",
    ):
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
