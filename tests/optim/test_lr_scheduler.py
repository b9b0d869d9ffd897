"""Schedules of the learning rate: PyTorch's rates over many steps, going on, what is refused."""

import inspect
import json
import math
import warnings

import pytest

import tinyattn as ta
from tinyattn import optim

MINE = optim.lr_scheduler


class Triangle:
    """A function with a state."""

    def __init__(self, period):
        self.period = period

    def __call__(self, epoch):
        return abs(epoch % self.period - self.period / 2)


SCHEDULES = [
    ("LambdaLR", lambda: {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", lambda: {"lr_lambda": [Triangle(7), lambda epoch: 1 / (1 + epoch)]}),
    ("StepLR", lambda: {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", lambda: {"milestones": [9, 2, 2, 5], "gamma": 0.3}),
    ("ExponentialLR", lambda: {"gamma": 0.9}),
    ("LinearLR", lambda: {}),
    ("LinearLR", lambda: {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 13}),
    ("CosineAnnealingLR", lambda: {"T_max": 6, "eta_min": 0.01}),
    ("OneCycleLR", lambda: {"max_lr": [1.0, 0.2], "total_steps": 40}),
    (
        "OneCycleLR",
        lambda: {
            "max_lr": 0.3,
            "epochs": 5,
            "steps_per_epoch": 8,
            "pct_start": 0.4,
            "anneal_strategy": "linear",
            "three_phase": True,
            "base_momentum": [0.5, 0.6],
        },
    ),
]
IDS = [f"{name} {i}" for i, (name, _) in enumerate(SCHEDULES)]


def groups(library, optimizer="SGD", **options):
    params = [library.ones(2, requires_grad=True) for _ in range(2)]
    return getattr(library.optim, optimizer)(
        [{"params": params[:1]}, {"params": params[1:], "lr": 0.05}], lr=0.4, **options
    )


def course(scheduler, steps):
    """Rates, and what OneCycleLR moves beside them, over some steps."""
    seen = []
    for _ in range(steps):
        scheduler.optimizer.step()
        scheduler.step()
        for group, last in zip(
            scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True
        ):
            assert last == group["lr"]
            momentum = group["betas"][0] if "betas" in group else group["momentum"]
            seen += [scheduler.last_epoch, group["lr"], momentum]
    return seen


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_the_rates_are_pytorchs(torch, name, options, optimizer):
    momentum = {"momentum": 0.9} if optimizer == "SGD" else {}
    mine, other = (
        getattr(library.optim.lr_scheduler, name)(
            groups(library, optimizer, **momentum), **options()
        )
        for library in (ta, torch)
    )
    assert mine.base_lrs == pytest.approx(other.base_lrs, rel=1e-15)
    assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-15)
    assert course(mine, 40) == pytest.approx(course(other, 40), rel=1e-12)
    assert mine.state_dict().keys() <= other.state_dict().keys()


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_a_schedule_goes_on_from_its_state(name, options):
    make = getattr(MINE, name)
    first = make(groups(ta, momentum=0.9), **options())
    course(first, 10)
    saved = first.state_dict(), first.optimizer.state_dict()["param_groups"]
    kept = json.loads(json.dumps(saved))
    again = make(groups(ta, momentum=0.9), **options())
    again.load_state_dict(kept[0])
    again.optimizer.load_state_dict({"state": {}, "param_groups": kept[1]})
    assert course(first, 20) == course(again, 20)


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_a_state_of_pytorchs_is_continued(torch, name, options):
    other = getattr(torch.optim.lr_scheduler, name)(groups(torch, momentum=0.9), **options())
    course(other, 10)
    mine = getattr(MINE, name)(groups(ta, momentum=0.9), **options())
    mine.load_state_dict(other.state_dict())
    mine.optimizer.load_state_dict(other.optimizer.state_dict())
    assert course(mine, 20) == pytest.approx(course(other, 20), rel=1e-12)


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_pytorch_continues_a_state_of_ours(torch, name, options):
    mine = getattr(MINE, name)(groups(ta, momentum=0.9), **options())
    course(mine, 10)
    other = getattr(torch.optim.lr_scheduler, name)(groups(torch, momentum=0.9), **options())
    state = mine.state_dict()
    if name == "MultiStepLR":
        state["milestones"] = type(other.milestones)(state["milestones"])
    other.load_state_dict(state)
    for group, ours in zip(other.optimizer.param_groups, mine.optimizer.param_groups, strict=True):
        group.update({key: ours[key] for key in ours if key != "params"})
    assert course(mine, 20) == pytest.approx(course(other, 20), rel=1e-12)


@pytest.mark.parametrize(("name", "options"), SCHEDULES[:8], ids=IDS[:8])
def test_a_schedule_starts_at_a_later_epoch_as_pytorchs(torch, name, options):
    def build(library):
        optimizer = groups(library, momentum=0.9)
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.7
        return getattr(library.optim.lr_scheduler, name)(optimizer, **options(), last_epoch=4)

    mine, other = build(ta), build(torch)
    assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-15)
    assert course(mine, 20) == pytest.approx(course(other, 20), rel=1e-12)


def test_schedules_over_one_optimizer_multiply_as_pytorchs(torch):
    def rates(library):
        schedules, optimizer = library.optim.lr_scheduler, groups(library)
        both = [
            schedules.LinearLR(optimizer, 0.25, total_iters=4),
            schedules.ExponentialLR(optimizer, 0.9),
            schedules.MultiStepLR(optimizer, [3, 7]),
        ]
        seen = []
        for step in range(15):
            optimizer.step()
            for schedule in both:
                schedule.step()
            if step == 5:
                optimizer.param_groups[0]["lr"] = 1.0  # set by hand: the schedule continues from it
            seen += both[-1].get_last_lr()
        return seen

    assert rates(ta) == pytest.approx(rates(torch), rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"mode": "max", "factor": 0.5, "patience": 0, "cooldown": 2},
        {"threshold": 0.3, "patience": 1, "min_lr": [0.1, 0.0]},
        {"threshold": 0.3, "threshold_mode": "abs", "patience": 1, "eps": 0.05},
        {"threshold": 0.3, "threshold_mode": "abs", "mode": "max", "patience": 1, "min_lr": 0.01},
    ],
)
def test_plateaus_are_pytorchs(torch, options):
    metrics = [3.0, 2.0, 2.5, 2.1, math.nan, 1.9999, 1.0, 1.2, 1.1, -0.5, -0.6, 4.0, 5.0, 5.1] * 2
    mine, other = (
        library.optim.lr_scheduler.ReduceLROnPlateau(groups(library), **options)
        for library in (ta, torch)
    )
    assert mine.get_last_lr() == other.get_last_lr()
    for step, metric in enumerate(metrics):
        mine.step(ta.tensor(metric))
        other.step(metric)
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-15)
        assert mine.last_epoch == other.last_epoch
        if step == 9:
            saved = json.loads(json.dumps(mine.state_dict()))
            assert saved.keys() <= other.state_dict().keys()
            mine = MINE.ReduceLROnPlateau(mine.optimizer)
            mine.load_state_dict(saved)


def test_the_warm_up_with_inverse_square_root_is_vaswanis():
    D, W = 512, 40
    optimizer = optim.Adam([ta.ones(1, requires_grad=True)], lr=(D * W) ** -0.5)
    schedule = MINE.InverseSquareRootLR(optimizer, W)
    for step in range(1, 200):
        expected = D**-0.5 * min(step**-0.5, step * W**-1.5)
        assert schedule.get_last_lr() == pytest.approx([expected])
        optimizer.step()
        schedule.step()
    again = MINE.InverseSquareRootLR(optim.Adam(optimizer.param_groups[0]["params"]), 7)
    again.load_state_dict(schedule.state_dict())
    again.step()
    assert again.get_last_lr() == pytest.approx([D**-0.5 * 201**-0.5])


def test_a_schedule_of_ones_own_overrides_get_lr():
    class Halves(MINE.LRScheduler):
        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    schedule = Halves(groups(ta))
    assert course(schedule, 2)[1::3] == [0.2, 0.025, 0.1, 0.0125]


def test_a_step_before_the_optimizers_first_warns_once():
    schedule = MINE.ExponentialLR(groups(ta), 0.9)
    with pytest.warns(UserWarning, match=r"before optimizer\.step\(\)"):
        schedule.step()
    schedule.step()


def test_an_optimizer_with_a_step_of_its_own_is_not_warned_about():
    class Still(optim.SGD):
        def step(self, closure=None):
            return None

    schedule = MINE.ExponentialLR(Still([ta.ones(1, requires_grad=True)]), 0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s, o: s.StepLR(3, 2), TypeError, "optimizer"),
        (lambda s, o: s.StepLR(o, 2, last_epoch=3), KeyError, r"param_groups\[0\]"),
        (lambda s, o: s.StepLR(o, 0), ValueError, "step_size: expected a positive number, got 0"),
        (lambda s, o: s.LambdaLR(o, [abs]), ValueError, "lr_lambda: expected 2 values"),
        (lambda s, o: s.LinearLR(o, 0.0), ValueError, "start_factor"),
        (lambda s, o: s.LinearLR(o, 1.5), ValueError, "start_factor"),
        (lambda s, o: s.LinearLR(o, 0.5, 2.0), ValueError, "end_factor"),
        (lambda s, o: s.LinearLR(o, 0.5, -0.5), ValueError, "end_factor"),
        (lambda s, o: s.CosineAnnealingLR(o, 0), ValueError, "T_max"),
        (lambda s, o: s.InverseSquareRootLR(o, -1), ValueError, "warmup_steps"),
        (lambda s, o: s.ReduceLROnPlateau(o, "best"), ValueError, "mode"),
        (lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode"),
        (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor"),
        (lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lr: expected 2"),
        (lambda s, o: s.OneCycleLR(o, 1.0), ValueError, "total_steps"),
        (lambda s, o: s.OneCycleLR(o, 1.0, 0), ValueError, "total_steps"),
        (lambda s, o: s.OneCycleLR(o, 1.0, epochs=3), ValueError, "both epochs and steps"),
        (lambda s, o: s.OneCycleLR(o, 1.0, epochs=1.5, steps_per_epoch=2), ValueError, "epochs"),
        (lambda s, o: s.OneCycleLR(o, 1.0, 10, pct_start=2.0), ValueError, "pct_start"),
        (lambda s, o: s.OneCycleLR(o, 1.0, 10, anneal_strategy="x"), ValueError, "anneal"),
        (lambda s, o: s.OneCycleLR(o, [1.0], 10), ValueError, "max_lr: expected 2"),
        (lambda s, o: s.LRScheduler(o), NotImplementedError, "get_lr"),
        (
            lambda s, o: s.StepLR(o, 2).load_state_dict(s.ExponentialLR(o, 2.0).state_dict()),
            ValueError,
            r"no \['step_size'\]",
        ),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make(MINE, groups(ta))


def test_one_cycle_ends_and_needs_a_momentum():
    schedule = MINE.OneCycleLR(groups(ta, momentum=0.9), 1.0, 3, pct_start=0.5)
    course(schedule, 3)
    with pytest.raises(ValueError, match="total_steps is 3"):
        schedule.step()
    with pytest.raises(ValueError, match="neither momentum nor betas"):
        MINE.OneCycleLR(groups(ta, "Adagrad"), 1.0, 3)


GROWING = {
    "LambdaLR": (
        lambda o: MINE.LambdaLR(o, lambda epoch: 1 / (epoch + 1)),
        [0.5 / 3, 0.5 / 4],
    ),
    "StepLR": (lambda o: MINE.StepLR(o, 2), [0.05, 0.05]),
    "MultiStepLR": (lambda o: MINE.MultiStepLR(o, [2, 3]), [0.05, 0.005]),
    "ExponentialLR": (lambda o: MINE.ExponentialLR(o, 0.5), [0.25, 0.125]),
    "LinearLR": (lambda o: MINE.LinearLR(o), [0.5 * 0.6 / (7 / 15), 0.5 * 11 / 7]),
    "InverseSquareRootLR": (
        lambda o: MINE.InverseSquareRootLR(o, 4),
        [0.5 * 3 / 4, 0.5],
    ),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_group_that_is_added_later_joins_the_schedule(name):
    make, rates = GROWING[name]
    optimizer = optim.SGD([ta.nn.Parameter(ta.ones(1))], lr=1.0)
    schedule = make(optimizer)
    optimizer.step()
    schedule.step()
    optimizer.add_param_group({"params": [ta.nn.Parameter(ta.ones(1))], "lr": 0.5})
    seen = []
    for _ in range(2):
        optimizer.step()
        schedule.step()
        seen.append(schedule.get_last_lr()[1])
    assert seen == pytest.approx(rates)
    assert schedule.base_lrs == [1.0, 0.5]


def test_what_a_later_group_lacks_is_named():
    def grown(make):
        optimizer = optim.SGD(
            [{"params": [ta.nn.Parameter(ta.ones(1))]} for _ in range(2)], 1.0, 0.9
        )
        schedule = make(optimizer)
        optimizer.step()
        optimizer.add_param_group({"params": [ta.nn.Parameter(ta.ones(1))]})
        schedule.step()

    with pytest.raises(ValueError, match=r"param_groups\[2\]: expected max_lr and min_lr"):
        grown(lambda o: MINE.OneCycleLR(o, 1.0, total_steps=10))
    with pytest.raises(ValueError, match="lr_lambda: expected 3 functions"):
        grown(lambda o: MINE.LambdaLR(o, [lambda e: 1.0, lambda e: 0.5]))


# The rates as their definitions say, without torch: the rate of a group, from its base, the epoch
# and its number.


def cosine(low, high, part):
    return low + (high - low) * (1 + math.cos(math.pi * part)) / 2


def line(start, end, part):
    return start + (end - start) * part


def one_cycle(base, epoch, i):
    top = [1.0, 0.2][i]
    if epoch <= 11:  # 0.3 of 40, less one
        return cosine(top, top / 25, epoch / 11)
    return cosine(top / 25 / 1e4, top, (epoch - 11) / 28)


def one_cycle_in_three(base, epoch, i):
    if epoch <= 15:  # 0.4 of 5 times 8, less one
        return line(0.3 / 25, 0.3, epoch / 15)
    if epoch <= 30:
        return line(0.3, 0.3 / 25, (epoch - 15) / 15)
    return line(0.3 / 25, 0.3 / 25 / 1e4, (epoch - 30) / 9)


DEFINITIONS = [
    lambda base, epoch, i: base * 0.95**epoch,
    lambda base, epoch, i: base * (1 / (1 + epoch) if i else abs(epoch % 7 - 3.5)),
    lambda base, epoch, i: base * 0.5 ** (epoch // 3),
    lambda base, epoch, i: base * 0.3 ** sum(epoch >= at for at in (2, 2, 5, 9)),
    lambda base, epoch, i: base * 0.9**epoch,
    lambda base, epoch, i: base * line(1 / 3, 1, min(epoch / 5, 1)),
    lambda base, epoch, i: base * line(1, 0.1, min(epoch / 13, 1)),
    lambda base, epoch, i: cosine(0.01, base, epoch / 6),
    one_cycle,
    one_cycle_in_three,
]
CASES = [(*schedule, rate) for schedule, rate in zip(SCHEDULES, DEFINITIONS, strict=True)]


@pytest.mark.parametrize(("name", "options", "rate"), CASES, ids=IDS)
def test_the_rates_are_their_definition(name, options, rate):
    schedule = getattr(MINE, name)(groups(ta, momentum=0.9), **options())
    assert schedule.base_lrs == ([0.4, 0.05] if name != "OneCycleLR" else schedule.get_last_lr())
    for epoch in range(40):
        expected = [rate(base, epoch, i) for i, base in enumerate([0.4, 0.05])]
        assert schedule.last_epoch == epoch
        assert schedule.get_last_lr() == pytest.approx(expected, rel=1e-12)
        assert [g["lr"] for g in schedule.optimizer.param_groups] == schedule.get_last_lr()
        schedule.optimizer.step()
        schedule.step()


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_one_cycle_moves_momentum_the_other_way(optimizer):
    def momenta(**options):
        momentum = {"momentum": 0.9} if optimizer == "SGD" else {}
        schedule = MINE.OneCycleLR(groups(ta, optimizer, **momentum), 1.0, 40, **options)
        for _ in range(40):
            every = schedule.optimizer.param_groups
            yield [group["betas"][0] if "betas" in group else group["momentum"] for group in every]
            assert all(group.get("betas", (0, 0.999))[1] == 0.999 for group in every)
            schedule.optimizer.step()
            schedule.step()

    for epoch, seen in enumerate(momenta()):
        up = cosine(0.85, 0.95, epoch / 11), cosine(0.95, 0.85, (epoch - 11) / 28)
        assert seen == pytest.approx([up[epoch > 11]] * 2)
    for epoch, seen in enumerate(momenta(three_phase=True, max_momentum=[0.8, 0.9])):
        for high, one in zip([0.8, 0.9], seen, strict=True):
            falls, rises = cosine(0.85, high, epoch / 11), cosine(high, 0.85, (epoch - 11) / 11)
            assert one == pytest.approx([falls, rises, high][(epoch > 11) + (epoch > 22)])
    assert [*momenta(cycle_momentum=False)] == [[0.9, 0.9]] * 40


@pytest.mark.parametrize(("name", "options"), SCHEDULES[:8], ids=IDS[:8])
def test_a_schedule_that_starts_later_goes_on_as_if_it_had_started_there(name, options):
    first = getattr(MINE, name)(groups(ta, momentum=0.9), **options())
    course(first, 4)
    optimizer = groups(ta, momentum=0.9)
    for group, other in zip(optimizer.param_groups, first.optimizer.param_groups, strict=True):
        group.update(lr=other["lr"], initial_lr=other["initial_lr"])
    later = getattr(MINE, name)(optimizer, **options(), last_epoch=3)
    assert later.get_last_lr() == pytest.approx(first.get_last_lr())
    assert course(later, 20) == pytest.approx(course(first, 20))


def test_every_group_must_say_its_first_rate_to_start_later():
    optimizer = groups(ta)
    optimizer.param_groups[0]["initial_lr"] = 0.4
    with pytest.raises(KeyError, match=r"param_groups\[1\]"):
        MINE.StepLR(optimizer, 2, last_epoch=3)


def test_the_smallest_periods_are_allowed():
    assert course(MINE.StepLR(groups(ta, momentum=0.9), 1), 2)[1::3] == pytest.approx(
        [0.04, 0.005, 0.004, 0.0005]
    )
    schedule = MINE.CosineAnnealingLR(groups(ta, momentum=0.9), 1)
    assert schedule.eta_min == 0
    assert course(schedule, 2)[1::3] == pytest.approx([0, 0, 0.4, 0.05])
    assert MINE.LinearLR(groups(ta), 1.0, 0.0).get_last_lr() == [0.4, 0.05]


def test_a_state_holds_everything_but_the_optimizer():
    schedule = MINE.LambdaLR(groups(ta), [Triangle(7), lambda epoch: 0.5**epoch])
    course_of = schedule.get_last_lr()
    state = schedule.state_dict()
    assert state.keys() == vars(schedule).keys() - {"optimizer"}
    assert state["lr_lambdas"] == [{"period": 7}, None]
    again = MINE.LambdaLR(groups(ta), [Triangle(1), Triangle(2)])
    again.load_state_dict({**state, "lr_lambdas": [None, {"period": 9}]})
    assert [function.period for function in again.lr_lambdas] == [1, 9]
    assert again.get_last_lr() == course_of


def test_one_function_serves_groups_that_are_added_later():
    optimizer = groups(ta)
    schedule = MINE.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    optimizer.add_param_group({"params": [ta.ones(1, requires_grad=True)], "lr": 0.6})
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.2, 0.025, 0.3]


def test_the_warning_about_the_order_of_steps_names_the_line_of_the_call():
    schedule = MINE.ExponentialLR(groups(ta), 0.9)
    with pytest.warns(UserWarning, match="before optimizer") as caught:
        schedule.step()
    assert caught[0].filename == __file__


DEFAULTS = {
    "StepLR": {"gamma": 0.1, "last_epoch": -1},
    "MultiStepLR": {"gamma": 0.1, "last_epoch": -1},
    "LinearLR": {"start_factor": 1 / 3, "end_factor": 1.0, "total_iters": 5, "last_epoch": -1},
    "CosineAnnealingLR": {"eta_min": 0.0, "last_epoch": -1},
    "OneCycleLR": {
        "total_steps": None,
        "epochs": None,
        "steps_per_epoch": None,
        "pct_start": 0.3,
        "anneal_strategy": "cos",
        "cycle_momentum": True,
        "base_momentum": 0.85,
        "max_momentum": 0.95,
        "div_factor": 25.0,
        "final_div_factor": 1e4,
        "three_phase": False,
        "last_epoch": -1,
    },
    "ReduceLROnPlateau": {
        "mode": "min",
        "factor": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "cooldown": 0,
        "min_lr": 0.0,
        "eps": 1e-8,
    },
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_pytorchs(name):
    parameters = inspect.signature(getattr(MINE, name)).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert given == DEFAULTS[name]
    needed = {"StepLR": [2], "MultiStepLR": [[2]], "CosineAnnealingLR": [3], "OneCycleLR": [1.0, 9]}
    assert getattr(MINE, name)(groups(ta, momentum=0.9), *needed.get(name, []))


def plateau(metrics, **options):
    """The rates after each metric, of two groups that start at 0.4 and 0.05."""
    schedule = MINE.ReduceLROnPlateau(groups(ta), **options)
    seen = []
    for epoch, metric in enumerate(metrics, start=1):
        schedule.step(metric)
        assert schedule.last_epoch == epoch
        assert schedule.get_last_lr() == [g["lr"] for g in schedule.optimizer.param_groups]
        seen.append(schedule.get_last_lr()[0])
    return seen


def test_a_plateau_lasts_longer_than_patience():
    assert plateau([1.0] * 4, patience=2) == pytest.approx([0.4, 0.4, 0.4, 0.04])
    assert plateau([1.0, 1.0, math.nan, 0.5, 1.0, 1.0, 1.0], patience=2, factor=0.5) == (
        pytest.approx([0.4] * 6 + [0.2])  # the better epoch begins anew
    )
    assert plateau([3.0, 2.0, 1.0], patience=0) == [0.4] * 3
    assert plateau([1.0, 1.0, 1.0], patience=0) == pytest.approx([0.4, 0.04, 0.004])
    assert plateau([1.0] * 6, patience=1) == pytest.approx([0.4, 0.4, 0.04, 0.04, 0.004, 0.004])


def test_a_larger_metric_is_better_for_max():
    assert plateau([1.0, 2.0, 3.0], mode="max", patience=0) == [0.4] * 3
    assert plateau([-3.0, -2.0, -2.5], mode="max", patience=0) == pytest.approx([0.4, 0.4, 0.04])


@pytest.mark.parametrize(
    ("mode", "kind", "on", "over"),
    [  # from 2.0, with the threshold 0.25
        ("min", "rel", 1.5, 1.4),
        ("max", "rel", 2.5, 2.6),
        ("min", "abs", 1.75, 1.7),
        ("max", "abs", 2.25, 2.3),
    ],
)
def test_better_is_better_by_more_than_the_threshold(mode, kind, on, over):
    options = {"mode": mode, "threshold_mode": kind, "threshold": 0.25, "patience": 0}
    assert plateau([2.0, on], **options) == pytest.approx([0.4, 0.04])
    assert plateau([2.0, over], **options) == [0.4, 0.4]


def test_nothing_counts_while_a_plateau_cools_down():
    seen = plateau([1.0] * 9, patience=0, cooldown=2, factor=0.5)
    assert seen == pytest.approx([0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    seen = plateau([1.0] * 8, patience=1, cooldown=1, factor=0.5)
    assert seen == pytest.approx([0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1])


def test_rates_have_a_floor_for_each_group():
    schedule = MINE.ReduceLROnPlateau(groups(ta), patience=0, factor=0.5, min_lr=[0.3, 0.01])
    for expected in ([0.4, 0.05], [0.3, 0.025], [0.3, 0.0125], [0.3, 0.01]):
        schedule.step(1.0)
        assert schedule.get_last_lr() == pytest.approx(expected)
    schedule = MINE.ReduceLROnPlateau(groups(ta), patience=0, factor=0.5, min_lr=0.03)
    schedule.optimizer.add_param_group({"params": [ta.ones(1, requires_grad=True)], "lr": 0.04})
    for expected in ([0.4, 0.05, 0.04], [0.2, 0.03, 0.03]):
        schedule.step(1.0)
        assert schedule.get_last_lr() == pytest.approx(expected)


def test_a_change_up_to_eps_is_not_made():
    options = {"patience": 0, "factor": 0.5}
    assert plateau([1.0, 1.0], **options, eps=0.2) == [0.4, 0.4]
    assert plateau([1.0, 1.0], **options, eps=0.19) == [0.4, 0.2]


def test_a_plateau_goes_on_from_its_state():
    options = {"mode": "max", "patience": 2, "cooldown": 3, "factor": 0.5, "threshold": 0.5}
    metrics = [1.0, 1.0, 1.0, 1.0, 1.4, 1.6, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]
    whole = plateau(metrics, **options)
    for cut in (2, 5, 9):
        first = MINE.ReduceLROnPlateau(groups(ta), **options)
        for metric in metrics[:cut]:
            first.step(metric)
        again = MINE.ReduceLROnPlateau(first.optimizer)
        again.load_state_dict(json.loads(json.dumps(first.state_dict())))
        rates = []
        for metric in metrics[cut:]:
            again.step(ta.tensor(metric))
            rates.append(again.get_last_lr()[0])
        assert rates == whole[cut:]


def test_a_program_derives_a_schedule_from_the_old_name():
    class Noam(MINE._LRScheduler):
        def __init__(self, optimizer, warmup):
            self.warmup = warmup
            super().__init__(optimizer)

        def get_lr(self):
            n = self._step_count
            return [base * min(n**-0.5, n * self.warmup**-1.5) for base in self.base_lrs]

    schedule = Noam(ta.optim.SGD([ta.ones(1, requires_grad=True)], lr=8.0), 4)
    rates = [schedule.get_last_lr()[0]]
    for _ in range(4):
        schedule.optimizer.step()
        schedule.step()
        rates.append(schedule.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1.0, 2.0, 3.0, 4.0, 8 / 5**0.5])


MADE = {
    "StepLR": {"step_size": 2, "gamma": 0.5},
    "MultiStepLR": {"milestones": [1, 4], "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.5},
    "LambdaLR": {"lr_lambda": lambda epoch: 1 / (epoch + 1)},
    "LinearLR": {"total_iters": 4},
    "ConstantLR": {"total_iters": 3},
    "CosineAnnealingLR": {"T_max": 4},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 10, "cycle_momentum": False},
}


@pytest.mark.parametrize("name", MADE)
def test_an_epoch_may_be_named_as_in_older_programs(name):
    def made():
        optimizer = ta.optim.SGD([ta.nn.Parameter(ta.ones(1))], lr=1.0)
        optimizer.step()
        return getattr(ta.optim.lr_scheduler, name)(optimizer, **MADE[name])

    counted, named = made(), made()
    rates = counted.get_last_lr()
    for _ in range(6):
        counted.step()
        rates += counted.get_last_lr()
    for epoch in (0, 1, 2, 2, 6, 3, 4):
        with pytest.warns(
            UserWarning, match=r"The epoch parameter in `scheduler.step\(\)`"
        ) as seen:
            named.step(epoch)
        assert seen[0].filename == __file__
        assert named.last_epoch == epoch
        assert named.get_last_lr() == pytest.approx([rates[epoch]])
    for wrong in (-1, 0.5):
        with pytest.raises(ValueError, match="epoch: expected an int of at least 0, got"):
            named.step(wrong)


def test_a_plateau_takes_the_number_of_its_epoch():
    optimizer = ta.optim.SGD([ta.nn.Parameter(ta.ones(1))], lr=1.0)
    schedule = ta.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    with pytest.warns(UserWarning, match="The epoch parameter") as seen:
        schedule.step(1.0, 7)
    assert seen[0].filename == __file__
    schedule.step(1.0)
    assert (schedule.last_epoch, optimizer.param_groups[0]["lr"]) == (8, pytest.approx(0.1))


def test_a_sequence_has_made_one_step_of_its_first_schedule():
    optimiser = optim.SGD([ta.ones(1, requires_grad=True)], lr=1.0)
    first, second = (MINE.ExponentialLR(optimiser, gamma) for gamma in (0.5, 0.1))
    schedule = MINE.SequentialLR(optimiser, [first, second], milestones=[2])
    counts, rates = [], []
    for _ in range(4):
        optimiser.step()
        counts.append([state["_step_count"] for state in schedule.state_dict()["_schedulers"]])
        rates.append(optimiser.param_groups[0]["lr"])
        schedule.step()
    assert counts == [[1, 1], [2, 1], [2, 1], [2, 2]]
    assert rates == pytest.approx([1, 0.5, 1, 0.1])
