"""Optimisers: what a step does, groups, saving, and what is refused."""

import copy
import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
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
        (lambda: Adam([{"params": P}, {"params": P}]), ValueError, "two groups"),
        (lambda: Adam([("p", P), P * 1]), ValueError, "either all parameters have names, or none"),
        (
            lambda: Adam([{"params": [("p", P)]}, {"params": [parameter(2.0)]}]),
            ValueError,
            "those of the first group have, those of this group don't",
        ),
        (
            lambda: Adam([{"params": [parameter(2.0)]}, {"params": [("p", P)]}]),
            ValueError,
            "those of this group have, those of the first group don't",
        ),
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


# What several steps do, written out in NumPy: from weights p and the gradients of the steps.


def sgd(p, gradients, lr, momentum, dampening, weight_decay, nesterov, maximize):
    buffer = None
    for g in gradients:
        g = (-g if maximize else g) + weight_decay * p
        buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
        p = p - lr * (g + momentum * buffer if nesterov else buffer if momentum else g)
    return p


def adam(p, gradients, lr, betas, eps, weight_decay, amsgrad, decoupled, maximize):
    m = v = top = np.zeros_like(p)
    for t, g in enumerate(gradients, start=1):
        g = -g if maximize else g
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
        top = np.maximum(top, v)
        mean_square = (top if amsgrad else v) / (1 - betas[1] ** t)
        p = p - lr * m / (1 - betas[0] ** t) / (np.sqrt(mean_square) + eps)
    return p


def adagrad(p, gradients, lr, lr_decay, weight_decay, start, eps, maximize):
    total = np.full_like(p, start)
    for t, g in enumerate(gradients, start=1):
        g = (-g if maximize else g) + weight_decay * p
        total = total + g * g
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)
    return p


def rmsprop(p, gradients, lr, alpha, eps, weight_decay, momentum, centered, maximize):
    v = mean = buffer = np.zeros_like(p)
    for g in gradients:
        g = (-g if maximize else g) + weight_decay * p
        v, mean = alpha * v + (1 - alpha) * g * g, alpha * mean + (1 - alpha) * g
        change = g / (np.sqrt(v - mean * mean if centered else v) + eps)
        buffer = momentum * buffer + change
        p = p - lr * buffer
    return p


DEFINITIONS = [
    (SGD, sgd, {"lr": 0.1, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}),
    (SGD, sgd, {"lr": 0.2, "momentum": 0, "dampening": 0, "weight_decay": 0.3, "nesterov": False}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1,
                "nesterov": False}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.8, "dampening": 0, "weight_decay": 0.1,
                "nesterov": True}),
    (Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0, "weight_decay": 0, "start": 0, "eps": 0.01}),
    (Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.3, "start": 2, "eps": 0.1}),
    (RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.9, "eps": 0.1, "weight_decay": 0, "momentum": 0,
                        "centered": False}),
    (RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.7, "eps": 0.2, "weight_decay": 0.3, "momentum": 0.5,
                        "centered": True}),
    *[
        (kind, adam, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 0.1, "weight_decay": 0.3,
                      "amsgrad": amsgrad, "decoupled": kind is AdamW})
        for kind in (Adam, AdamW)
        for amsgrad in (False, True)
    ],
]  # fmt: skip


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(("kind", "definition", "options"), DEFINITIONS)
def test_five_steps_are_the_definition(kind, definition, options, maximize, backend):
    draw = np.random.default_rng(5)
    start, gradients = draw.normal(size=4), draw.normal(size=(5, 4)) * [[3], [1], [0.1], [2], [0]]
    param = parameter(*start)
    names = {"start": "initial_accumulator_value", "decoupled": "decoupled_weight_decay"}
    own = {names.get(name, name): value for name, value in options.items()}
    if kind is AdamW:
        del own["decoupled_weight_decay"]
    optimizer = kind([param], **own, maximize=maximize)
    for g in gradients:
        param.grad = ta.tensor(g)
        optimizer.step()
    expected = definition(start, gradients, **options, maximize=maximize)
    np.testing.assert_allclose(param.detach(), expected, rtol=1e-12)


DEFAULTS = {
    SGD: {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False,
          "maximize": False},
    Adam: {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
           "maximize": False, "decoupled_weight_decay": False},
    AdamW: {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2,
            "amsgrad": False, "maximize": False, "decoupled_weight_decay": True},
    Adagrad: {"lr": 1e-2, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0,
              "eps": 1e-10, "maximize": False},
    RMSprop: {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0,
              "centered": False, "maximize": False},
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_are_pytorchs(kind):
    optimizer = kind([parameter(1.0)])
    assert optimizer.defaults == DEFAULTS[kind]
    assert optimizer.param_groups[0].items() >= DEFAULTS[kind].items()


def test_a_state_dict_numbers_parameters_in_order():
    params = [parameter(1.0), parameter(1.0, 2.0, grad=[1.0, 1.0])]
    optimizer = SGD([*params], momentum=0.9)
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["params"] == [0, 1]
    assert saved["state"].keys() == {1}


def test_states_hold_what_their_names_say():
    param = parameter(1.0, grad=[2.0])
    optimizer = Adam([param], betas=(0.9, 0.99), amsgrad=True)
    for g in (2.0, 0.0):
        param.grad = ta.tensor([g], dtype=ta.float64)
        optimizer.step()
    state = {name: value.item() for name, value in optimizer.state[param].items()}
    mean_square = 0.01 * 4 * 0.99
    assert state == pytest.approx(
        {"step": 2, "exp_avg": 0.18, "exp_avg_sq": mean_square, "max_exp_avg_sq": 0.04}
    )
    for options, names in (
        ({}, {"step", "square_avg"}),
        ({"momentum": 0.5}, {"step", "square_avg", "momentum_buffer"}),
        ({"centered": True}, {"step", "square_avg", "grad_avg"}),
    ):
        optimizer = RMSprop([param], **options)
        optimizer.step()
        assert optimizer.state[param].keys() == names


def test_every_parameter_of_a_step_counts_as_changed():
    first, last, factor = (parameter(1.0, grad=[1.0]) for _ in range(3))
    product = (factor * last).sum()
    SGD([first, last], lr=0.1).step()
    with pytest.raises(RuntimeError, match=r"SGD\.step"):
        product.backward()


def test_a_state_may_hold_arrays_and_options_that_are_off():
    first, second = parameter(1.0, grad=[2.0]), parameter(1.0, grad=[2.0])
    optimizer, other = Adam([first], lr=0.1), Adam([second], lr=0.1)
    optimizer.step()
    state = optimizer.state_dict()
    entry = {name: np.array(value.tolist()) for name, value in state["state"][0].items()}
    groups = [{**state["param_groups"][0], "nadam": False, "other": None}]
    other.load_state_dict({"state": {0: entry}, "param_groups": groups})
    second.data = first.detach().clone()
    for each in (optimizer, other):
        each.step()
    assert second.tolist() == first.tolist()
    for on in (True, 1):
        with pytest.raises(ValueError, match="nadam: no option of Adam"):
            other.load_state_dict({"state": {}, "param_groups": [{**groups[0], "nadam": on}]})


class Signs(ta.optim.Optimizer):
    """A program's own optimiser: p = p - lr sign(m), m = beta m + g."""

    def __init__(self, params, lr=0.5, beta=0.5, rule="sign"):
        super().__init__(params, {"lr": lr, "beta": beta, "rule": rule})

    @ta.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    m = ta.zeros_like(p, memory_format=ta.preserve_format)
                    state.update(step=0, m=m, seen=[])
                state["step"] += 1
                assert not p.grad.is_sparse
                state["seen"].append(state["step"])
                state["m"].mul_(group["beta"]).add_(p.grad)
                p.add_(state["m"].sign(), alpha=-group["lr"])


def test_a_program_writes_an_optimiser_of_its_own():
    weight = parameter(1.0, -2.0, 3.0, grad=[4.0, -1.0, 0.0])
    optimizer = Signs([{"params": [weight], "lr": 0.25, "layer": 3}])
    optimizer.step()
    assert weight.tolist() == [0.75, -1.75, 3.0]
    assert optimizer.param_groups[0]["layer"] == 3
    schedule = ta.optim.lr_scheduler.StepLR(optimizer, 1, gamma=2)
    schedule.step()
    optimizer.zero_grad()
    weight.grad = ta.tensor([-2.5, 0.0, 0.0], dtype=ta.float64)
    optimizer.step()
    assert weight.tolist() == [1.25, -1.25, 3.0]


def test_the_state_of_a_programs_own_optimiser_is_of_any_kind():
    weight = parameter(1.0, 2.0, grad=[1.0, 1.0])
    optimizer = Signs([weight], rule="other")
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["m"] = saved["state"][0]["m"].float()
    again = Signs([parameter(1.0, 2.0, grad=[1.0, 1.0])])
    again.load_state_dict(saved)
    (state,) = again.state.values()
    assert (state["step"], state["seen"]) == (1, [1])
    assert state["m"].dtype == ta.float64
    assert state["m"].tolist() == [1.0, 1.0]
    assert again.param_groups[0]["rule"] == "other"
    again.step()
    assert optimizer.state[weight]["seen"] == [1]


def test_a_programs_own_optimiser_completes_states_that_lack_an_option():
    class Newer(Signs):
        def __setstate__(self, state):
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("maximize", False)

    again = copy.deepcopy(Newer([parameter(1.0)]))
    assert again.param_groups[0]["maximize"] is False


def test_how_pytorch_computes_a_step_may_be_said_and_changes_nothing():
    w = parameter(1.0, grad=[2.0])
    for make in (Adam, AdamW, SGD, Adagrad, RMSprop):
        plain, said = make([w]), make([w], foreach=False)
        assert said.param_groups == plain.param_groups
    for make in (Adam, AdamW, SGD, Adagrad):
        assert make([w], fused=True).defaults == make([w]).defaults


def test_an_optimiser_is_printed_with_the_options_of_its_groups():
    a, b = parameter(1.0), parameter(2.0)
    optimizer = Signs([{"params": [a]}, {"params": [b], "lr": 0.25, "name": "b"}])
    assert repr(optimizer) == (
        "Signs (\nParameter Group 0\n    beta: 0.5\n    lr: 0.5\n    rule: sign\n"
        "\nParameter Group 1\n    beta: 0.5\n    lr: 0.25\n    name: b\n    rule: sign\n)"
    )
    assert list(optimizer.state_dict()["param_groups"][1])[-1] == "params"


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_a_parameter_twice_in_a_group_is_changed_twice_with_a_warning(kind):
    twice, once = parameter(2.0), parameter(2.0)
    other = parameter(1.0)
    with pytest.warns(UserWarning, match="appear more than once in a group"):
        optimizer = kind([twice, other, twice], lr=0.1)
    single = kind([once], lr=0.1)
    for x in (twice, once, other):
        x.grad = ta.full_like(x.detach(), 3.0)
    optimizer.step()
    single.step()
    single.step()
    assert twice.item() == once.item()
    assert optimizer.state_dict()["param_groups"][0]["params"] == [0, 1, 0]
    assert set(optimizer.state_dict()["state"]) <= {0, 1}
    copy = kind([other, parameter(1.0)], lr=0.1)
    copy.load_state_dict(copy.state_dict())


def test_a_warning_names_the_line_of_a_programs_own_optimiser():
    class Own(ta.optim.Optimizer):
        pass

    x = parameter(1.0)
    with pytest.warns(UserWarning, match="appear more than once in a group") as warned:
        Own([x, x], {})
    assert warned[0].filename == __file__
