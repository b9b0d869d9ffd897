"""Schedules of the learning rate, with PyTorch's names. Each is one formula, `_next`.

Read LRScheduler first. `_next` is PyTorch's recursion: it computes the new rate from the one that
the group has. So several schedules over one optimiser multiply, and a schedule continues from a
rate that was set by hand.
"""

import math
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

from tinyattn._tensor import Tensor
from tinyattn.compat.deprecated import old_epoch
from tinyattn.compat.missing import OPTIM, refuse
from tinyattn.kernels.recording import repeated
from tinyattn.optim.optimizer import Group, Optimizer

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "InverseSquareRootLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LRScheduler:
    """Sets the "lr" of every group of the optimiser, when it is made and at each `step()`.

    Call `step()` after optimizer.step(). `last_epoch` counts the steps. To continue an earlier
    schedule, give its last_epoch and an optimiser whose groups have "initial_lr"; KeyError if they
    don't. A group that is added later joins with its own rate. A schedule of your own overrides
    `get_lr`.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = _checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _rate(group))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"initial_lr: missing in param_groups[{i}], needed to resume with last_epoch "
                    f"{last_epoch}: load the optimizer's state_dict first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """The rates of this epoch, computed from those that the groups have."""
        pairs = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        return [self._next(_rate(group), base) for group, base in pairs]

    def _next(self, lr: float, base: float) -> float:
        raise NotImplementedError(f"{type(self).__name__}.get_lr")

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set, one for each group."""
        return self._last_lr

    @repeated
    def step(self, epoch: int | None = None) -> None:
        """Go one epoch further, or one batch: the schedule counts calls. epoch: the epoch to go to,
        as older programs give it."""
        if epoch is not None:
            self._go_to(epoch)
            return
        optimizer = self.optimizer
        followed = type(optimizer).step is Optimizer.step  # not a step of the user's own
        if self._step_count == 1 and followed and not optimizer._stepped:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first value of the "
                "schedule is skipped; call optimizer.step() first",
                stacklevel=3,  # the call of the function that `repeated` makes
            )
        self._advance()

    def _advance(self) -> None:
        optimizer = self.optimizer
        self._step_count += 1
        self.last_epoch += 1
        for group in optimizer.param_groups[len(self.base_lrs) :]:  # added since the last step
            self.base_lrs.append(group.setdefault("initial_lr", _rate(group)))
        for group, lr in zip(optimizer.param_groups, self.get_lr(), strict=True):
            _set_rate(group, lr)
        self._last_lr = _rates(optimizer)

    def _restart(self) -> None:
        """Go back to the first epoch, where the rates are those of the optimiser at its start."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            _set_rate(group, base)
        self.last_epoch, self._step_count, self._is_initial = -1, 0, True
        self._advance()
        self._is_initial = False

    def _go_to(self, epoch: int) -> None:
        """Set the rates that this schedule has at an epoch, if nothing else changes them."""
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"epoch: expected an int of at least 0, got {epoch!r}")
        old_epoch(stacklevel=5)
        if epoch != self.last_epoch + 1:
            self._restart()
        while self.last_epoch < epoch:
            self._advance()

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimiser: numbers, strings and lists."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state_dict of the same schedule, of this library or of PyTorch."""
        missing = self.state_dict().keys() - state_dict.keys()
        if missing:
            raise ValueError(f"state_dict: no state of {type(self).__name__}: no {sorted(missing)}")
        self.__dict__.update(state_dict)


_LRScheduler = LRScheduler  # its name before PyTorch 2.0, from which programs derive schedules


def _checked(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def _rate(group: Group) -> Any:
    """The rate of a group: a number, also where the group has a tensor."""
    return group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]


def _set_rate(group: Group, lr: float) -> None:
    """Give a group a new rate; a tensor is written to, as in PyTorch."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(float(lr))
    else:
        group["lr"] = lr


def _rates(optimizer: Optimizer) -> list[float]:
    return [_rate(group) for group in optimizer.param_groups]


def _each(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value for each group: `value` itself if it is a list, else `value` for all."""
    n = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * n
    if len(values) != n:
        raise ValueError(f"{name}: expected {n} values, one a parameter group, got {len(values)}")
    return values


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")
    return value


class LambdaLR(LRScheduler):
    """lr = base lr_lambda(epoch), with one function for all groups or one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = _each("lr_lambda", lr_lambda, _checked(optimizer))
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        functions = self.lr_lambdas
        if len(functions) < len(self.base_lrs):
            if len({id(function) for function in functions}) != 1:
                raise ValueError(
                    f"lr_lambda: expected {len(self.base_lrs)} functions, one a parameter group, "
                    f"got {len(functions)}: a group was added later"
                )
            functions += functions[:1] * (len(self.base_lrs) - len(functions))
        pairs = zip(self.base_lrs, functions, strict=True)
        return [base * function(self.last_epoch) for base, function in pairs]

    def state_dict(self) -> dict[str, Any]:
        """As in PyTorch: the attributes of an object that is called; None for a function."""
        kept = [
            None if isinstance(function, FunctionType) else dict(function.__dict__)
            for function in self.lr_lambdas
        ]
        return {**super().state_dict(), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        for function, kept in zip(functions, state_dict["lr_lambdas"], strict=True):
            function.__dict__.update(kept or {})
        self.lr_lambdas = functions


class StepLR(LRScheduler):
    """lr is multiplied by gamma every step_size epochs.

    >>> import tinyattn as ta
    >>> optimizer = ta.optim.SGD([ta.nn.Parameter(ta.ones(1))], lr=1.0)
    >>> schedule = ta.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(4):
    ...     rates.append(schedule.get_last_lr()[0])
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: float, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if not isinstance(step_size, (int, float)) or step_size <= 0:
            raise ValueError(f"step_size: expected a positive number, got {step_size!r}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        return lr * self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else lr


class MultiStepLR(LRScheduler):
    """lr is multiplied by gamma at each milestone, a number of epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        return lr * self.gamma ** self.milestones.count(self.last_epoch)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.milestones = sorted(Counter(self.milestones).elements())  # PyTorch keeps a Counter


class ExponentialLR(LRScheduler):
    """lr is multiplied by gamma at every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        return lr if self._is_initial else lr * self.gamma


class LinearLR(LRScheduler):
    """lr = base times a factor that goes from start_factor to end_factor in total_iters epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor: expected a number in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor: expected a number in [0, 1], got {end_factor}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        slope = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * slope
        return lr * (1 + slope / before)


class ConstantLR(LRScheduler):
    """lr = base factor for total_iters epochs, then base."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"factor: expected a number in [0, 1], got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        if self.last_epoch == 0:
            return lr * self.factor
        return lr / self.factor if self.last_epoch == self.total_iters else lr


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base - eta_min) (1 + cos(pi epoch / T_max)) / 2 (Loshchilov, Hutter 2017)."""

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max <= 0:
            raise ValueError(f"T_max: expected a positive number, got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        if self._is_initial:
            return lr
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # up again, from eta_min
            return lr + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        height = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return height / before * (lr - self.eta_min) + self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (base - eta_min) (1 + cos(pi t / T)) / 2, where t counts the epochs since the
    last restart, and T is T_0 at first and T_mult times as long after each restart (Loshchilov,
    Hutter 2017).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = self.T_i = _positive("T_0", T_0)
        self.T_mult, self.eta_min = _positive("T_mult", T_mult), eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    @repeated
    def step(self, epoch: float | None = None) -> None:
        """Go one epoch further, or to `epoch`, which may be a fraction."""
        if epoch is None:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        elif epoch < 0:
            raise ValueError(f"epoch: expected a number >= 0, got {epoch}")
        else:
            self.T_cur, self.T_i = epoch, self.T_0
            while self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
            self.last_epoch = math.floor(epoch) - 1
        super().step()


class InverseSquareRootLR(LRScheduler):
    """lr = base min(n / warmup_steps, sqrt(warmup_steps / n)) with n = epoch + 1.

    It rises to base in warmup_steps, and then falls. Vaswani et al. 2017 use
    base = 1 / sqrt(d_model warmup_steps) and call step() after each batch.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int, last_epoch: int = -1) -> None:
        self.warmup_steps = _positive("warmup_steps", warmup_steps)
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        n = self.last_epoch + 1
        return base * min(n / self.warmup_steps, math.sqrt(self.warmup_steps / n))


class OneCycleLR(LRScheduler):
    """lr rises from max_lr / div_factor to max_lr, then falls by final_div_factor below its start
    (Smith and Topin 2018). Call step() after each batch.

    total_steps, or epochs and steps_per_epoch: the length of the cycle.
    pct_start: the share of the cycle in which lr rises.
    anneal_strategy: "cos" or "linear".
    cycle_momentum: momentum, or the first of betas, goes from max_momentum to base_momentum while
        lr rises, and back.
    three_phase: the fall to the start takes as long as the rise; the rest of the cycle goes below.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("total_steps: expected it, or both epochs and steps_per_epoch")
            total_steps = _positive("epochs", epochs) * _positive(
                "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = _positive("total_steps", total_steps)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start: expected a float in [0, 1], got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy: expected "cos" or "linear", got {anneal_strategy}')
        options = _checked(optimizer).defaults
        if cycle_momentum and not {"momentum", "betas"} & options.keys():
            raise ValueError("cycle_momentum: the optimizer has neither momentum nor betas")
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum, self.use_beta1 = cycle_momentum, "betas" in options
        end = pct_start * total_steps - 1.0
        last = total_steps - 1
        phases: list[tuple[Any, ...]] = [(end, *_RISE), (last, *_FALL)]
        if three_phase:
            phases = [(end, *_RISE), (2 * end, *_BACK), (last, *_CALM)]
        self._schedule_phases: list[dict[str, Any]] = [
            dict(zip(_PHASE, phase, strict=True)) for phase in phases
        ]
        tops = _each("max_lr", max_lr, optimizer)
        lows = _each("base_momentum", base_momentum, optimizer)
        highs = _each("max_momentum", max_momentum, optimizer)
        if last_epoch == -1:
            for group, top, low, high in zip(
                optimizer.param_groups, tops, lows, highs, strict=True
            ):
                first = top / div_factor
                group.update(initial_lr=first, max_lr=top, min_lr=first / final_div_factor)
                if cycle_momentum:
                    group.update(base_momentum=low, max_momentum=high)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step, phases = self.last_epoch, self._schedule_phases
        if step > self.total_steps:
            raise ValueError(f"step: called {step} times, and total_steps is {self.total_steps}")
        i = sum(step > phase["end_step"] for phase in phases[:-1])
        start = phases[i - 1]["end_step"] if i else 0.0
        share = (step - start) / (phases[i]["end_step"] - start)
        if self._anneal_func_type == "cos":
            share = (1 - math.cos(math.pi * share)) / 2

        for number, group in enumerate(self.optimizer.param_groups):
            missing = [name for name in ("max_lr", "min_lr") if name not in group]
            if missing:
                raise ValueError(
                    f"param_groups[{number}]: expected {' and '.join(missing)} in a group that is "
                    "added after OneCycleLR, as it has no peak of its own"
                )

        def at(group: Group, what: str) -> float:
            first, last = (group[phases[i][f"{side}_{what}"]] for side in ("start", "end"))
            return first + (last - first) * share

        for group in self.optimizer.param_groups if self.cycle_momentum else ():
            if self.use_beta1:
                group["betas"] = (at(group, "momentum"), *group["betas"][1:])
            else:
                group["momentum"] = at(group, "momentum")
        return [at(group, "lr") for group in self.optimizer.param_groups]


_PHASE = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
_RISE = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
_FALL = ("max_lr", "min_lr", "base_momentum", "max_momentum")
_BACK = ("max_lr", "initial_lr", "base_momentum", "max_momentum")
_CALM = ("initial_lr", "min_lr", "max_momentum", "max_momentum")


class ReduceLROnPlateau(LRScheduler):
    """lr is multiplied by factor after more than `patience` epochs without improvement.

    mode: "min" if a lower metric is better, "max" if a higher one is.
    threshold, threshold_mode: an improvement is a fraction ("rel") or a difference ("abs") of at
        least threshold.
    cooldown: the number of epochs after a change in which nothing is counted.
    min_lr: the lowest rate, one for all groups or one for each.
    eps: changes of lr up to eps are not made.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1:
            raise ValueError(f"factor: expected a number below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f'mode: expected "min" or "max", got {mode}')
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f'threshold_mode: expected "rel" or "abs", got {threshold_mode}')
        self.optimizer = _checked(optimizer)
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.eps = factor, eps
        self.patience, self.cooldown = patience, cooldown
        self.min_lrs = _each("min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = _rates(optimizer)

    @repeated
    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Go one epoch further. metrics, measured after it: a number, or a tensor of one. epoch:
        the number of this epoch, as older programs give it."""
        current = float(metrics)
        if epoch is not None:
            old_epoch(stacklevel=4)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self.num_bad_epochs += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            lows = self.min_lrs if self.default_min_lr is None else self.default_min_lr
            lows = _each("min_lr", lows, self.optimizer)
            for group, low in zip(self.optimizer.param_groups, lows, strict=True):
                lr = max(_rate(group) * self.factor, low)
                if _rate(group) - lr > self.eps:
                    _set_rate(group, lr)
        self._last_lr = _rates(self.optimizer)

    def _is_better(self, current: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * current > sign * self.best * (1 + sign * self.threshold)
        return sign * current > sign * self.best + self.threshold


class _Several(LRScheduler):
    """What SequentialLR and ChainedScheduler share: the schedules of one optimiser."""

    def __init__(self, optimizer: Any, schedulers: Sequence[LRScheduler]) -> None:
        self._schedulers = list(schedulers)
        if not self._schedulers:
            raise ValueError("schedulers: expected at least one")
        for i, scheduler in enumerate(self._schedulers):
            if isinstance(scheduler, ReduceLROnPlateau) or not isinstance(scheduler, LRScheduler):
                raise TypeError(
                    f"schedulers[{i}]: expected a schedule whose step needs no metrics, got "
                    f"{type(scheduler).__name__}"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"schedulers[{i}]: it belongs to another optimizer")
        self.optimizer = _checked(optimizer)

    def state_dict(self) -> dict[str, Any]:
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        schedulers = self._schedulers
        super().load_state_dict(state_dict)
        for scheduler, state in zip(schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        self._schedulers = schedulers


class SequentialLR(_Several):
    """One schedule after the other: at each of the milestones, numbers of epochs, the next one
    begins with its first epoch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"milestones: expected {len(schedulers) - 1}, one between two schedules, got "
                f"{len(milestones)}"
            )
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        for scheduler in self._schedulers[1:]:  # each has made its first step; it is taken back
            scheduler.last_epoch -= 1
        self._schedulers[0]._restart()
        self._last_lr = _rates(optimizer)

    @repeated
    def step(self) -> None:  # type: ignore[override]  # no epoch
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        if i and self._milestones[i - 1] == self.last_epoch:
            self._schedulers[i]._restart()
        else:
            self._schedulers[i].step()
        self._last_lr = _rates(self.optimizer)


class ChainedScheduler(_Several):
    """Several schedules at once: each step is one step of all, so that their factors multiply."""

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        if optimizer is None and schedulers:
            optimizer = schedulers[0].optimizer
        super().__init__(optimizer, schedulers)
        self._last_lr = _rates(self.optimizer)

    @repeated
    def step(self) -> None:  # type: ignore[override]  # no epoch
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = _rates(self.optimizer)


if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, OPTIM)
