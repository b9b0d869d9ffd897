"""Every optimiser and schedule against torch: parameters, states and rates after every step."""

import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason="parity with torch: torch is not installed")

import torch

import tinyattn as ta

from .draw import Draw
from .harness import CASES, COUNTS, Call, Entry, Mismatch, mismatches, same_value, seeded
from .optimisers import COMMON, OPTIONS, SCHEDULES, WRONG, WRONG_SCHEDULES, optimiser

STEPS = 15


def made(lib, name, arrays, options):
    """Two groups, the second with a rate of its own."""
    params = [lib.tensor(array, requires_grad=True) for array in arrays]
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.05}]
    return params, getattr(lib.optim, name)(groups, **options)


def moved(lib, params, optimizer, grads):
    for param, grad in zip(params, grads, strict=True):
        param.grad = None if grad is None else lib.tensor(grad)
    optimizer.step()


def gradients(d, arrays):
    return [None if d.chance(0.1) else d.standard_normal(a.shape).astype(a.dtype) for a in arrays]


def compare(name, i, options):
    d = Draw(seeded(name, "run", i))
    arrays = [d.array(d.shape(), values="positive") for _ in range(3)]
    sides = {lib: made(lib, name, arrays, options) for lib in (ta, torch)}
    tolerance = 1e3
    for step in range(STEPS):
        grads = gradients(d, arrays)
        for lib, side in sides.items():
            moved(lib, *side, grads)
        for a, b in zip(*(params for params, _ in sides.values()), strict=True):
            same_value(f"parameter after step {step}", a, b, tolerance)
    ours, theirs = (optimizer.state_dict() for _, optimizer in sides.values())
    for number, entry in theirs["state"].items():
        kept = {key: value for key, value in entry.items() if value is not None}
        mine = ours["state"].get(number, {})
        if list(kept) != list(mine):
            raise Mismatch(f"state of parameter {number}", list(mine), list(kept))
        for key, value in kept.items():
            same_value(f"{key} of parameter {number}", mine[key], value, tolerance)
    for mine, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        if {**other, **mine} != other:
            raise Mismatch("param_groups", mine, other)


def differences(title, cases, check):
    found = []
    for i in range(cases):
        options = check.draw(Draw(seeded(title, i), i))
        try:
            check(i, options)
        except Mismatch as mismatch:
            mismatch.where = f"{title}({options})"
            found.append(mismatch)
        COUNTS[title] += 1
    return found


class Check:
    def __init__(self, draw, run):
        self.draw, self.run = draw, run

    def __call__(self, i, options):
        self.run(i, options)


def wrong(title, calls):
    entry = Entry(lambda d: Call(), tuple(calls), {"": None}, cases=0)
    return mismatches(title, entry)


def report(found):
    assert not found, f"{len(found)} differences, among them\n" + "\n".join(map(str, found[:4]))


@pytest.mark.parametrize("name", OPTIONS)
def test_an_optimiser_does_what_torchs_does(name):
    title = f"optim.{name}"
    check = Check(optimiser(name), lambda i, options: compare(name, i, options))
    report(
        differences(title, CASES // 3, check)
        + wrong(
            title,
            [lambda t, f=f: f(getattr(t.optim, name), t) for f in (*COMMON, *WRONG[name])],
        )
    )


def course(lib, name, optimizer, options, metrics):
    """The rates, and the momentum beside them, after every step."""
    kind = {"momentum": 0.9} if optimizer == "SGD" else {}
    _, optimizer = made(lib, optimizer, [np.ones(2), np.ones(1)], kind)
    known = lib.optim.lr_scheduler
    if "schedulers" in options:
        parts = [getattr(known, part)(optimizer, **given) for part, given in options["schedulers"]]
        options = {**options, "schedulers": parts, "optimizer": optimizer}
        schedule = getattr(known, name)(**options)
    else:
        schedule = getattr(known, name)(optimizer, **options)
    seen = [schedule.get_last_lr()]
    for metric in metrics:
        optimizer.step()
        schedule.step(*([metric] if name == "ReduceLROnPlateau" else []))
        seen.append([*schedule.get_last_lr(), getattr(schedule, "last_epoch", 0)])
        for group in optimizer.param_groups:
            seen[-1] += [group["lr"], group["betas"][0] if "betas" in group else group["momentum"]]
    return [number for step in seen for number in step], schedule.state_dict()


# Lists here, a Counter and other states there; restarts of torch don't count their steps.
DIFFERENT = {"milestones", "_schedulers", "_step_count"}


def compare_rates(name, i, options):
    d = Draw(seeded(name, "metrics", i))
    metrics = np.round(d.standard_normal(25), 2).tolist()
    optimizer = d.pick("SGD", "Adam")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (ours, mine), (theirs, other) = (
            course(lib, name, optimizer, options, metrics) for lib in (ta, torch)
        )
    if not np.allclose(ours, theirs, 1e-9, 0):
        raise Mismatch("rates", ours, theirs)
    for key in mine.keys() & other.keys() - DIFFERENT:
        same = np.allclose if isinstance(mine[key], float) else lambda a, b: a == b
        if key == "_last_lr":
            same = np.allclose
        if not same(mine[key], other[key]):
            raise Mismatch(f"state_dict: {key}", mine[key], other[key])


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_does_what_torchs_does(name):
    title = f"lr_scheduler.{name}"

    def on(f):
        return lambda t: f(
            getattr(t.optim.lr_scheduler, name),
            t.optim.SGD([{"params": t.ones(1)}, {"params": t.ones(1)}], lr=0.1, momentum=0.9),
        )

    check = Check(SCHEDULES[name], lambda i, options: compare_rates(name, i, options))
    report(differences(title, CASES // 3, check) + wrong(title, map(on, WRONG_SCHEDULES[name])))
