"""What programs bring: rates that are tensors, float step sizes, schedules in sequence."""

import math

import pytest

import tinyattn as ta
from tinyattn.optim import lr_scheduler as schedules


def sgd(lr=1.0):
    return ta.optim.SGD([ta.nn.Parameter(ta.ones(1))], lr=lr)


def rates(schedule, steps):
    seen = [schedule.get_last_lr()[0]]
    for _ in range(steps):
        schedule.optimizer.step()
        schedule.step()
        seen.append(schedule.get_last_lr()[0])
    return seen


def test_the_rate_may_be_a_tensor():
    lr = ta.tensor(0.5)
    optimizer = sgd(lr)
    w = optimizer.param_groups[0]["params"][0]
    for expected in (0.5, 0.25):
        w.sum().backward()
        optimizer.step()
        assert w.item() == expected
        w.grad = None
        lr.fill_(0.25)
    assert rates(schedules.ExponentialLR(optimizer, 0.5), 2) == [0.25, 0.125, 0.0625]
    assert lr.item() == 0.0625
    for wrong in (ta.tensor([1.0, 2.0]), ta.tensor(-1.0)):
        with pytest.raises(ValueError, match="lr"):
            sgd(wrong)


def test_a_step_size_may_be_a_float():
    assert rates(schedules.StepLR(sgd(), 2.0, 0.5), 4) == [1, 1, 0.5, 0.5, 0.25]
    for wrong in (0, -1.0, "2"):
        with pytest.raises(ValueError, match="step_size"):
            schedules.StepLR(sgd(), wrong)


def test_constant():
    assert rates(schedules.ConstantLR(sgd(), 0.5, 2), 3) == [0.5, 0.5, 1, 1]
    with pytest.raises(ValueError, match="factor"):
        schedules.ConstantLR(sgd(), 1.5)


def test_warm_restarts():
    schedule = schedules.CosineAnnealingWarmRestarts(sgd(), 2, T_mult=2, eta_min=0.0)
    half = [1, 0.5, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 1]
    assert rates(schedule, 6) == pytest.approx(half)
    for epoch, expected in ((0, 1), (0.5, half[3]), (3, half[3]), (7, half[3] * 0 + 0.9619397)):
        schedule.step(epoch)
        assert schedule.get_last_lr()[0] == pytest.approx(expected)
    assert schedule.last_epoch == 7
    with pytest.raises(ValueError, match="epoch"):
        schedule.step(-1)


def test_what_is_not_given_has_its_usual_value():
    assert rates(schedules.ConstantLR(sgd(), 0.5), 5) == [0.5] * 5 + [1]
    found = rates(schedules.CosineAnnealingWarmRestarts(sgd(), 2), 4)
    assert found == pytest.approx([1, 0.5, 1, 0.5, 1])


def test_warm_restarts_end_above_the_lowest_rate_and_begin_at_whole_periods():
    schedule = schedules.CosineAnnealingWarmRestarts(sgd(), 2, eta_min=0.2)
    assert rates(schedule, 2) == pytest.approx([1, 0.6, 1])
    for epoch, expected in ((2, 1), (3, 0.6), (4, 1)):
        schedule.step(epoch)
        assert schedule.get_last_lr()[0] == pytest.approx(expected)
    assert rates(schedules.CosineAnnealingWarmRestarts(sgd(), 1), 2) == [1, 1, 1]


def test_one_schedule_after_the_other():
    optimizer = sgd()
    parts = [schedules.LinearLR(optimizer, 0.25, 1.0, 3), schedules.ExponentialLR(optimizer, 0.5)]
    schedule = schedules.SequentialLR(optimizer, parts, milestones=[3])
    assert rates(schedule, 5) == pytest.approx([0.25, 0.5, 0.75, 1, 0.5, 0.25])
    state = schedule.state_dict()
    other = sgd()
    parts = [schedules.LinearLR(other, 0.25, 1.0, 3), schedules.ExponentialLR(other, 0.5)]
    again = schedules.SequentialLR(other, parts, milestones=[3])
    again.load_state_dict(state)
    other.load_state_dict(optimizer.state_dict())
    assert rates(again, 1)[1] == pytest.approx(0.125)
    with pytest.raises(ValueError, match="milestones"):
        schedules.SequentialLR(optimizer, [schedules.StepLR(optimizer, 1)], [2])
    with pytest.raises(TypeError, match="schedulers"):
        schedules.SequentialLR(optimizer, [schedules.ReduceLROnPlateau(optimizer)], [])
    with pytest.raises(ValueError, match="another optimizer"):
        schedules.SequentialLR(optimizer, [schedules.StepLR(sgd(), 1)], [])


def test_each_of_three_schedules_begins_with_the_first_rate():
    optimizer = sgd()
    parts = [schedules.ExponentialLR(optimizer, factor) for factor in (0.5, 0.1, 0.25)]
    schedule = schedules.SequentialLR(optimizer, parts, milestones=[2, 4])
    assert rates(schedule, 5) == pytest.approx([1, 0.5, 1, 0.1, 1, 0.25])


def test_a_sequence_begins_with_its_first_schedule():
    optimizer = sgd()
    last = schedules.LinearLR(optimizer, 0.25, 1.0, 3)
    first = schedules.ExponentialLR(optimizer, 0.5)
    third = schedules.StepLR(optimizer, 2)
    schedule = schedules.SequentialLR(optimizer, [first, last, third], milestones=[2, 9])
    assert [part.last_epoch for part in (first, last, third)] == [0, -1, -1]
    assert rates(schedule, 5) == pytest.approx([1, 0.5, 0.25, 0.5, 0.75, 1])


def test_a_sequence_goes_on_from_its_state():
    def made():
        optimizer = sgd()
        parts = [schedules.ExponentialLR(optimizer, 0.5), schedules.StepLR(optimizer, 2, 0.1)]
        return schedules.SequentialLR(optimizer, parts, milestones=[1])

    schedule, again = made(), made()
    assert rates(schedule, 2) == [1, 1, 1]
    again.load_state_dict(schedule.state_dict())
    again.optimizer.load_state_dict(schedule.optimizer.state_dict())
    assert rates(again, 1)[1] == pytest.approx(0.1)


def test_one_schedule_may_stand_alone():
    optimizer = sgd()
    parts = [schedules.ExponentialLR(optimizer, 0.5)]
    assert rates(schedules.ChainedScheduler(parts), 2) == [1, 0.5, 0.25]


def test_schedules_at_once():
    optimizer = sgd()
    parts = [schedules.ConstantLR(optimizer, 0.1, 2), schedules.ExponentialLR(optimizer, 0.5)]
    assert rates(schedules.ChainedScheduler(parts), 3) == pytest.approx([0.1, 0.05, 0.25, 0.125])
    with pytest.raises(ValueError, match="at least one"):
        schedules.ChainedScheduler([])


def test_the_count_of_steps_is_loaded():
    weight = ta.nn.Parameter(ta.ones(2))
    optimizer = ta.optim.Adam([weight])
    for _ in range(3):
        weight.sum().backward()
        optimizer.step()
    other = ta.optim.Adam([ta.nn.Parameter(ta.ones(2))])
    other.load_state_dict(optimizer.state_dict())
    (state,) = other.state.values()
    assert state["step"].item() == 3
