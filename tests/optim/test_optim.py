"""Optimisers: what a step does, groups, saving, and what is refused."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.kernels import available_backends, use_backend
from tinyattn.optim import SGD, Adagrad, Adam, AdamW, RMSprop

MAKERS = {
    "SGD": lambda params: SGD(params, lr=0.1),
    "SGD, momentum": lambda params: SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: Adam(params, lr=0.1),
    "AdamW": lambda params: AdamW(params, lr=0.1),
    "Adam, amsgrad": lambda params: Adam(params, lr=0.1, amsgrad=True),
    "Adagrad": lambda params: Adagrad(params, lr=1.0),
    "RMSprop": lambda params: RMSprop(params, lr=0.001, alpha=0.9, momentum=0.9, centered=True),
}


@pytest.fixture(params=["numpy", "numba", "native"])
def backend(request):
    if request.param not in available_backends():
        pytest.skip(f"backend {request.param} is not installed")
    with use_backend(request.param):
        yield request.param


def parameter(*values, grad=None):
    param = nn.Parameter(ta.tensor(values, dtype=ta.float64))
    if grad is not None:
        param.grad = ta.tensor(grad, dtype=ta.float64)
    return param


def test_the_first_step_of_each_is_its_formula(backend):
    for make, expected in (
        (lambda p: SGD(p, 0.1), 2 - 0.1 * 4),
        (lambda p: SGD(p, 0.1, weight_decay=0.5), 2 - 0.1 * (4 + 0.5 * 2)),
        (lambda p: SGD(p, 0.1, momentum=0.9), 2 - 0.1 * 4),
        (lambda p: SGD(p, 0.1, momentum=0.9, nesterov=True), 2 - 0.1 * (4 + 0.9 * 4)),
        (lambda p: SGD(p, 0.1, maximize=True), 2 + 0.1 * 4),
        (lambda p: Adam(p, 0.1, eps=1), 2 - 0.1 * 4 / (4 + 1)),
        (lambda p: AdamW(p, 0.1, eps=1, weight_decay=0.5), 2 * (1 - 0.05) - 0.1 * 4 / 5),
        (lambda p: Adam(p, 0.1, eps=1, maximize=True), 2 + 0.1 * 4 / 5),
        (lambda p: Adam(p, 0.1, eps=1, amsgrad=True), 2 - 0.1 * 4 / 5),
        (lambda p: AdamW(p, 0.1, (0, 0), 1, 0.5, True), 2 * (1 - 0.05) - 0.1 * 4 / 5),
        (lambda p: Adagrad(p, 0.1, 0.0, 0.5, 11, 1), 2 - 0.1 * 5 / (6 + 1)),
        (lambda p: RMSprop(p, 0.1, 0.75, 1), 2 - 0.1 * 4 / (2 + 1)),
        (lambda p: RMSprop(p, 0.1, 0.75, 1, 0.5, maximize=True), 2 + 0.1 * 3 / (1.5 + 1)),
    ):
        param = parameter(2.0, grad=[4.0])
        make([param]).step()
        assert param.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", MAKERS)
def test_a_bowl_is_descended(name, backend):
    param = parameter(1.0, -2.0)
    optimizer = MAKERS[name]([param])
    for _ in range(300):
        optimizer.zero_grad()
        (param * param).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(param.detach(), 0, atol=1e-3)


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_without_a_gradient_stay(name):
    still, moved = parameter(1.0), parameter(1.0, grad=[1.0])
    optimizer = MAKERS[name]([still, moved])
    optimizer.step()
    assert still.item() == 1
    assert moved.item() != 1
    assert optimizer.state[still].get("step", 0) == 0
    assert not optimizer.zero_grad()
    assert moved.grad is None


def test_counts_are_kept_for_each_parameter():
    late, early = parameter(1.0), parameter(1.0)
    optimizer = Adam([late, early], lr=0.1)
    for step in range(3):
        early.grad = ta.tensor([1.0], dtype=ta.float64)
        if step == 2:
            late.grad = ta.tensor([1.0], dtype=ta.float64)
        optimizer.step()
    assert optimizer.state[early]["step"].item() == 3
    assert optimizer.state[late]["step"].item() == 1
    assert late.item() == pytest.approx(0.9)


def test_groups_keep_the_names_of_their_parameters():
    optimizer, other = (Adam(nn.Linear(2, 1).named_parameters()) for _ in range(2))
    optimizer.add_param_group({"params": [("scale", parameter(1.0))]})
    other.add_param_group({"params": [("factor", parameter(1.0))]})
    other.load_state_dict(optimizer.state_dict())
    for group, names in zip(other.param_groups, (["weight", "bias"], ["scale"]), strict=True):
        assert group["param_names"] == names
        assert len(group["params"]) == len(names)


def test_groups_have_options_of_their_own():
    a, b, c = (parameter(1.0, grad=[1.0]) for _ in range(3))
    optimizer = SGD([{"params": a}, {"params": [b], "lr": 0.5, "name": "fast"}], lr=0.1)
    optimizer.add_param_group({"params": [c], "weight_decay": 1.0})
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [0.9, 0.5, 0.8]
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert a.item() == 0.9


def test_float32_and_float64_parameters_train_together(backend):
    single = nn.Parameter(ta.ones(2))
    double = parameter(1.0)
    single.grad, double.grad = ta.ones(2), ta.ones(1, dtype=ta.float64)
    Adam([single, double], lr=0.1).step()
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.detach(), 0.9, rtol=1e-6)
    assert double.item() == pytest.approx(0.9)


@pytest.mark.parametrize("name", MAKERS)
def test_a_graph_over_weights_that_a_step_changed_is_refused(name):
    model = nn.Linear(2, 1)
    optimizer = MAKERS[name](model.parameters())
    loss = model(ta.ones(1, 2, requires_grad=True)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"(SGD|AdamW?|Adagrad|RMSprop)\.step"):
        loss.backward()


@pytest.mark.parametrize("name", MAKERS)
def test_a_closure_is_called_with_gradients_and_its_loss_returned(name):
    param = parameter(1.0)
    optimizer = MAKERS[name]([param])

    def closure():
        optimizer.zero_grad()
        loss = (param * param).sum()
        loss.backward()
        return loss

    with ta.no_grad():
        assert optimizer.step(closure).item() == 1
    assert param.item() != 1
    assert optimizer.step() is None


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_state_goes_on_where_it_was(name):
    def run(optimizer, param, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            (param * param * param).sum().backward()
            optimizer.step()

    one = parameter(1.0, 2.0)
    optimizer = MAKERS[name]([one])
    run(optimizer, one, 3)
    other = nn.Parameter(one.detach().clone())
    again = MAKERS[name]([other])
    again.param_groups[0]["lr"] = 7.0
    again.load_state_dict(optimizer.state_dict())
    run(optimizer, one, 3)
    run(again, other, 3)
    np.testing.assert_array_equal(one.detach(), other.detach())


def test_a_state_dict_has_pytorchs_layout():
    a, b = parameter(1.0, grad=[1.0]), parameter(1.0, 2.0, grad=[1.0, 1.0])
    optimizer = Adam([{"params": [a]}, {"params": [b], "lr": 0.5}])
    assert optimizer.state_dict()["state"] == {}
    optimizer.step()
    saved = optimizer.state_dict()
    assert [group["params"] for group in saved["param_groups"]] == [[0], [1]]
    assert saved["param_groups"][1]["lr"] == 0.5
    assert list(saved["state"][1]) == ["step", "exp_avg", "exp_avg_sq"]
    assert saved["state"][1]["exp_avg"].shape == (2,)
    assert saved["state"][0]["step"].shape == ()


def test_a_state_that_does_not_fit_is_refused_and_nothing_changes():
    a = parameter(1.0, grad=[1.0])
    optimizer = Adam([a])
    optimizer.step()
    before = optimizer.state_dict()
    other = Adam([parameter(1.0, 2.0, grad=[1.0, 1.0])])
    other.step()
    for state, message in (
        (other.state_dict(), r"exp_avg of parameter 0: expected shape \[1\], got \[2\]"),
        (Adam([a, parameter(1.0)]).state_dict(), r"expected groups of \[1\], got groups of \[2\]"),
        (SGD([a], momentum=0.9).state_dict(), "momentum: no option of Adam"),
        ({**before, "state": {5: {}}}, "parameter 5, which is in no group"),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(state)
        assert optimizer.state[a]["exp_avg"] is before["state"][0]["exp_avg"]


P = parameter(1.0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD([P], lr=-1), ValueError, r"lr: expected a number in \[0, inf\), got -1"),
        (lambda: SGD([P], lr=math.nan), ValueError, "lr"),
        (lambda: SGD([P], momentum=-0.1), ValueError, "momentum"),
        (lambda: SGD([P], weight_decay="x"), ValueError, "weight_decay"),
        (lambda: SGD([P], nesterov=True), ValueError, "nesterov.*got momentum 0.0"),
        (lambda: SGD([P], momentum=0.9, dampening=0.1, nesterov=True), ValueError, "dampening"),
        (lambda: Adam([P], betas=(0.9, 1.0)), ValueError, r"betas: expected two numbers"),
        (lambda: Adam([P], eps=-1), ValueError, "eps"),
        (lambda: Adam([P], maximize=1), ValueError, "maximize: expected True or False, got 1"),
        (lambda: AdamW([P], weight_decay=-1), ValueError, "weight_decay"),
        (lambda: Adam([]), ValueError, "empty parameter list"),
        (lambda: Adam(P), TypeError, "got one Tensor"),
        (lambda: Adam([3.0]), TypeError, r"params\[0\]: expected a Tensor, got float"),
        (lambda: Adam([P * 2]), ValueError, "non-leaf"),
        (lambda: Adam([P, P]), ValueError, "more than once"),
        (lambda: Adam([{"params": P}, {"params": P}]), ValueError, "two groups"),
        (lambda: Adam([("p", P), P * 1]), ValueError, "either all parameters have names, or none"),
        (lambda: Adam([{"params": [("p", P)]}, {"params": [parameter(2.0)]}]), ValueError, "names"),
        (lambda: Adam([("p", P, 1)]), TypeError, r"params\[0\]: expected a Tensor, got tuple"),
        (lambda: Adam([{"params": {P}}]), TypeError, "a set has no order"),
        (lambda: Adam([{"params": P, "momentum": 1}]), ValueError, "momentum: no option of Adam"),
        (lambda: Adam([{"params": P, "lr": -1}]), ValueError, "lr"),
        (lambda: Adam([P]).add_param_group([P]), TypeError, "must be a dict, but got list"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["foreach", "fused", "capturable", "differentiable"])
def test_a_saved_option_that_only_says_how_to_compute_is_passed_over(name):
    """PyTorch saves such options; they never change a result."""
    first, second = parameter(1.0, grad=[2.0]), parameter(1.0, grad=[2.0])
    optimizer = Adam([first], lr=0.1)
    optimizer.step()
    state = optimizer.state_dict()
    state["param_groups"][0] |= {name: True, "betas": [0.9, 0.999]}
    other = Adam([second], lr=0.5)
    other.load_state_dict(state)
    assert other.param_groups[0]["betas"] == (0.9, 0.999)
    assert name not in other.param_groups[0]
    second.data = first.detach().clone()
    for each in (optimizer, other):
        each.step()
    assert second.tolist() == first.tolist()


def test_a_saved_option_that_changes_results_is_refused():
    optimizer = SGD([parameter(1.0)], lr=0.1)
    state = optimizer.state_dict()
    state["param_groups"][0]["momentum_decay"] = 0.5
    with pytest.raises(ValueError, match="momentum_decay: no option of SGD"):
        optimizer.load_state_dict(state)
