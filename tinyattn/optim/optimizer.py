"""What all optimisers share: groups of parameters with options, a state per parameter, saving.

An optimiser is a subclass with `checks` on its options and an `_update`. Read rmsprop.py for one.
A program's own optimiser is a subclass with a `step`, as in PyTorch, and options of any kind.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any, ClassVar, TypeVar, overload

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.modes import enable_grad
from tinyattn.autograd.storage import results
from tinyattn.kernels.recording import repeated
from tinyattn.nn.module import as_numpy, clear_gradients

Loss = TypeVar("Loss")  # what the closure of a step gives
Group = dict[str, Any]
Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Group]
# What PyTorch's options say of how a step is computed. They never change its result.
_HOW = ("foreach", "fused", "capturable", "differentiable")
# What a group may hold besides options: names, and the values that schedules of the rate keep.
_LABELS = ("name", "param_names", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")


def number(low: float, below: float = float("inf")) -> Callable[[Any], str]:
    """A check that a value is a number in [low, below): it gives what is expected, or ""."""

    def check(value: Any) -> str:
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        good = isinstance(value, (int, float, np.number)) and low <= value < below
        return "" if good else f"a number in [{low}, {below})"

    return check


def flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "True or False"


def descent(group: Group, param: Tensor) -> np.ndarray:
    """The gradient of the step: -g to maximize, plus weight_decay p."""
    assert param.grad is not None
    g = -param.grad._array if group["maximize"] else param.grad._array
    return g + group["weight_decay"] * param._array if group["weight_decay"] else g


class Optimizer:
    """Changes parameters in place, by their gradients.

    params: an iterable of tensors; or of pairs (name, tensor), as `model.named_parameters()` gives
        them; or of groups, dicts {"params": tensors, option: value} whose other options are those
        of the optimiser. A group keeps names as "param_names".

    The learning rate may be a tensor of one element, whose value at each step counts. foreach and
    fused, by which programs choose how PyTorch computes a step, change nothing.

    TypeError for parameters that are no tensors; ValueError for an option out of its range, a
    parameter that is not a leaf, or one in two groups. A parameter twice in one group gets two
    changes at each step, with a warning, as in PyTorch.
    """

    checks: ClassVar[dict[str, Callable[[Any], str]]] = {}  # none: options of any kind
    _stepped = False  # read by the schedules of the learning rate

    def __init__(self, params: Params, defaults: Group) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._check_options(defaults)
        if isinstance(params, Tensor):
            raise TypeError("params: expected an iterable of Tensors or dicts, got one Tensor")
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("params: optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __repr__(self) -> str:
        """The name of the class, and the options of each group."""
        groups = "".join(
            f"\nParameter Group {i}\n"
            + "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
            for i, group in enumerate(self.param_groups)
        )
        return f"{type(self).__name__} ({groups})"

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...
    @repeated
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient.

        closure: called first, with gradients enabled; what it gives, the loss, is returned.
        """
        self._stepped = True
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        by = f"{type(self).__name__}.step"
        for group, params in self._work():
            if isinstance(group["lr"], Tensor):
                group = {**group, "lr": group["lr"].item()}
            self._update(group, params)
            for param in params:
                param._storage.changed(by)
        return loss

    def _update(self, group: Group, params: list[Tensor]) -> None:
        """Change these parameters in place. Each has a gradient, and all have one dtype."""
        raise NotImplementedError(f"{type(self).__name__}.step")

    def _state(self, param: Tensor, *names: str) -> dict[str, Any]:
        """The state of a parameter, its count of steps raised by 1. It starts with zeros."""
        state = self.state[param]
        if not state:
            state["step"] = results.wrap(np.zeros((), np.float32))
            for name in names:
                state[name] = results.wrap(np.zeros_like(param._array))
        state["step"]._array += 1
        return state

    def add_param_group(self, param_group: Group) -> None:
        """Optimise these parameters, too, with the options that the dict gives."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group: must be a dict, but got {type(param_group).__name__}")
        group = {**self.defaults, **param_group}
        params = group.pop("params")
        if isinstance(params, set):
            raise TypeError("params: a set has no order; give a list, so that runs can be repeated")
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple) and len(p) == 2]
        if names:
            if len(names) < len(params):
                raise ValueError(
                    "params: either all parameters have names, or none: "
                    f"got {len(names)} with and {len(params) - len(names)} without"
                )
            group["param_names"], params = names, [param for _, param in params]
        for i, param in enumerate(params):
            if not isinstance(param, Tensor):
                raise TypeError(f"params[{i}]: expected a Tensor, got {type(param).__name__}")
            if not param.is_leaf:
                raise ValueError(f"params[{i}]: can't optimize a non-leaf Tensor")
        if self.param_groups and ("param_names" in self.param_groups[0]) != bool(names):
            with_names, without = ("this", "the first") if names else ("the first", "this")
            raise ValueError(
                "params: either the parameters of all groups have names, or of none; those of "
                f"{with_names} group have, those of {without} group don't"
            )
        known = {id(param) for other in self.param_groups for param in other["params"]}
        if any(id(param) in known for param in params):
            raise ValueError("params: some parameters appear in two groups")
        if len(set(map(id, params))) < len(params):
            warnings.warn(
                "params: some parameters appear more than once in a group: a step changes them as "
                "often",
                stacklevel=3,
            )
        self._check_options(group)
        self.param_groups.append({"params": params, **group})

    def _check_options(self, options: Group) -> None:
        for name, value in options.items() if self.checks else ():
            if name not in self.checks and name not in _LABELS:
                known = ", ".join(self.checks)
                raise ValueError(f"{name}: no option of {type(self).__name__}: it has {known}")
            expected = self.checks[name](value) if name in self.checks else ""
            if expected:
                raise ValueError(f"{name}: expected {expected}, got {value!r}")

    @repeated
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: None or, with set_to_none=False, zeros."""
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    def _work(self) -> Iterator[tuple[Group, list[Tensor]]]:
        """The parameters that have gradients: a list for each group and dtype, so one call each;
        and another for those that appear again."""
        for group in self.param_groups:
            found: dict[tuple[np.dtype, int], list[Tensor]] = {}
            times: Counter[int] = Counter()
            for param in group["params"]:
                if param.grad is not None:
                    found.setdefault((param._array.dtype, times[id(param)]), []).append(param)
                    times[id(param)] += 1
            for params in found.values():
                yield group, params

    # Saving and loading, in PyTorch's layout

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: tensor}}, "param_groups": [{..., "params": [number, ...]}]}."""
        numbers: dict[int, int] = {}
        groups, first = [], 0
        for group in self.param_groups:
            for i, param in enumerate(group["params"], first):
                numbers.setdefault(id(param), i)
            first += len(group["params"])
            own = [numbers[id(param)] for param in group["params"]]
            options = {name: value for name, value in group.items() if name != "params"}
            groups.append({**options, "params": own})
        state = {numbers[id(param)]: dict(entry) for param, entry in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state_dict of this library or of PyTorch. Its values are copied.

        ValueError if groups, sizes, shapes or options don't fit; then nothing has changed.
        """
        saved = state_dict["param_groups"]
        ours = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in saved]
        if ours != theirs:
            raise ValueError(
                "state_dict: a different number of parameter groups or of parameters in a group: "
                f"expected groups of {ours}, got groups of {theirs}"
            )
        groups = []
        params: dict[Any, Tensor] = {}
        for group, loaded in zip(self.param_groups, saved, strict=True):
            params.update(zip(loaded["params"], group["params"], strict=True))
            options = {
                name: tuple(value) if name == "betas" and isinstance(value, list) else value
                for name, value in loaded.items()
                if name in self.checks
                or (name != "params" and not self.checks)
                or (name not in ("params", *_HOW) and value not in (None, False))
            }
            self._check_options(options)
            groups.append({**group, **options})
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, entry in state_dict["state"].items():
            if number not in params:
                raise ValueError(f"state_dict: state of parameter {number}, which is in no group")
            param = params[number]
            for name, value in entry.items():
                if not self.checks:
                    state[param][name] = _own(name, value, param)
                elif value is not None:
                    state[param][name] = _copied(f"{name} of parameter {number}", value, param)
        self.__setstate__({"param_groups": groups, "state": state})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What copying and loading call; a subclass may add options that older states lack."""
        self.__dict__.update(state)


def _copied(what: str, value: Any, param: Tensor) -> Tensor:
    """A value of the state as a tensor: a count (), or a moment of the parameter's shape."""
    array = as_numpy(value)
    if what.startswith("step"):
        return results.wrap(np.array(array, np.float32).reshape(()))
    if array.shape != param.shape:
        raise ValueError(
            f"state_dict: {what}: expected shape {list(param.shape)}, got {list(array.shape)}"
        )
    return results.wrap(np.array(array, param.dtype))


def _own(name: str, value: Any, param: Tensor) -> Any:
    """A value of the state of a program's own optimiser: of any kind. A floating-point tensor gets
    the dtype of the parameter, except for the count of steps."""
    if isinstance(value, Tensor) or not hasattr(value, "__array__"):
        value = deepcopy(value)
    else:
        value = results.wrap(np.array(as_numpy(value)))  # PyTorch's tensor
    if isinstance(value, Tensor) and value.is_floating_point() and name != "step":
        return value.to(param.dtype)
    return value
