"""Pruning: weights that are set to 0 and stay 0 while the others are trained. The names are
PyTorch's. What makes a model smaller and faster in fact is in shrink.py.

`prune.l1_unstructured(module, "weight", 0.5)` replaces the parameter weight by two tensors: the
parameter weight_orig, which is trained, and the buffer weight_mask of zeros and ones. Before every
forward a hook computes weight = weight_orig * weight_mask. Look first at BasePruningMethod.apply.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter
from tinyattn.ops.creation import ones_like
from tinyattn.ops.random import rand
from tinyattn.ops.shape import cat

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]

AnyModule = TypeVar("AnyModule", bound=Module)


class BasePruningMethod:
    """A rule that says which elements of a tensor become 0. A subclass defines `compute_mask`.

    PRUNING_TYPE says what a rule gets to see of a tensor that has been pruned before:
    "unstructured", the elements that are left, as a vector; "structured", the slices along the
    attribute `dim` of which something is left; "global", the whole tensor.

    The hook that computes the pruned tensor before each forward is the rule itself or, where there
    were several, a PruningContainer of them.
    """

    PRUNING_TYPE: ClassVar[str] = "unstructured"
    _tensor_name: str = ""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of zeros and ones, in the shape of t, the scores: a small score means that an
        element matters little. default_mask has a 0 where an element is already pruned.
        """
        raise NotImplementedError(f"{type(self).__name__}.compute_mask")

    def __call__(self, module: Module, inputs: tuple[Any, ...]) -> None:
        """The hook before forward."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Tensor:
        """The pruned tensor, mask times original."""
        name = self._tensor_name
        pruned: Tensor = getattr(module, f"{name}_mask") * getattr(module, f"{name}_orig")
        return pruned

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> "BasePruningMethod":
        """Prune module.name by this rule; args and kwargs are those of the rule's constructor.

        importance_scores: a tensor in the shape of the parameter that takes its place as the
        scores. A parameter may be pruned several times: each rule acts on what is left. If the rule
        raises an error, nothing is changed.
        """
        param = _parameter(module, name)
        scores = param if importance_scores is None else importance_scores
        if not isinstance(scores, Tensor) or scores.shape != param.shape:
            got = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(
                f"importance_scores: expected a tensor of shape {list(param.shape)}, as {name} "
                f"of {type(module).__name__} has, got {got}"
            )
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        old = _hook(module, name)
        before = ones_like(param) if old is None else getattr(module, f"{name}_mask")
        mask = _next_mask(method, scores.detach(), before.detach())
        if old is None:
            assert isinstance(param, Parameter)
            delattr(module, name)
            module.register_parameter(f"{name}_orig", param)
        else:
            method = PruningContainer(module._forward_pre_hooks.pop(old), method)
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def remove(self, module: Module) -> None:
        """Make the pruned tensor a parameter again, see the function `remove`."""
        name = self._tensor_name
        param: Parameter = getattr(module, f"{name}_orig")
        param.data = self.apply_mask(module).detach()
        for left in (name, f"{name}_orig", f"{name}_mask"):
            delattr(module, left)
        module.register_parameter(name, param)


class PruningContainer(BasePruningMethod):
    """The rules by which one parameter has been pruned, in this order: `for rule in container`. The
    mask of the module is already that of all of them."""

    def __init__(self, *methods: BasePruningMethod) -> None:
        self._tensor_name = methods[0]._tensor_name
        self._methods = [
            rule
            for method in methods
            for rule in (method if isinstance(method, PruningContainer) else [method])
        ]

    def __len__(self) -> int:
        return len(self._methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._methods)

    def __getitem__(self, idx: int) -> BasePruningMethod:
        return self._methods[idx]


class Identity(BasePruningMethod):
    """Prunes nothing."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes elements drawn at random. amount: a share from 0.0 to 1.0, or a number of elements."""

    def __init__(self, amount: float) -> None:
        self.amount = _amount(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return _without_smallest(default_mask, rand(t.numel())._array, self.amount)


class L1Unstructured(BasePruningMethod):
    """Prunes the elements of the smallest |t|. amount: a share from 0.0 to 1.0, or a number of
    elements."""

    def __init__(self, amount: float) -> None:
        self.amount = _amount(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return _without_smallest(default_mask, np.abs(t._array).ravel(), self.amount)


class RandomStructured(BasePruningMethod):
    """Prunes slices along `dim` drawn at random. amount: a share from 0.0 to 1.0, or a number of
    slices."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        self.amount, self.dim = _amount(amount), dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim = _slices(t, self.dim)
        return _without_slices(default_mask, rand(t.shape[dim])._array, self.amount, dim)


class LnStructured(BasePruningMethod):
    """Prunes the slices along `dim` of the smallest n-norm. amount: a share from 0.0 to 1.0, or a
    number of slices. n: what `norm` takes as p."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: float | str, dim: int = -1) -> None:
        self.amount, self.n, self.dim = _amount(amount), n, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim = _slices(t, self.dim)
        norms = t.detach().norm(self.n, [axis for axis in range(t.ndim) if axis != dim])
        return _without_slices(default_mask, norms._array, self.amount, dim)


class CustomFromMask(BasePruningMethod):
    """Prunes the elements where the mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if not isinstance(self.mask, Tensor) or self.mask.shape != default_mask.shape:
            got = self.mask.shape if isinstance(self.mask, Tensor) else type(self.mask).__name__
            raise ValueError(f"mask: expected a tensor of shape {default_mask.shape}, got {got}")
        if not np.isin(self.mask._array, (0, 1)).all():
            raise ValueError("mask: expected zeros and ones only")
        return default_mask * self.mask.detach()


def identity(module: AnyModule, name: str) -> AnyModule:
    """Give module.name a mask of ones. Returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: AnyModule, name: str, amount: float) -> AnyModule:
    """Set elements of module.name, drawn at random, to 0. Returns the module.

    amount: a share of the elements from 0.0 to 1.0, or their number as an int. The share is one of
    those that are not pruned yet. ValueError if there are fewer.
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: AnyModule, name: str, amount: float, importance_scores: Tensor | None = None
) -> AnyModule:
    """Set the elements of module.name with the smallest absolute values to 0 (LeCun, Denker and
    Solla 1990; Han et al. 2015, arXiv:1506.02626). Returns the module.

    amount: a share of the elements from 0.0 to 1.0, or their number as an int. The share is one of
    those that are not pruned yet. importance_scores: the values that are compared instead.

    >>> layer = nn.Linear(3, 1, bias=False)
    >>> layer.weight.data = ta.tensor([[0.5, -0.1, 2.0]])
    >>> nn.utils.prune.l1_unstructured(layer, "weight", amount=1).weight.detach()
    tensor([[ 0.5, -0. ,  2. ]])
    >>> sorted(layer.state_dict())
    ['weight_mask', 'weight_orig']
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: AnyModule, name: str, amount: float, dim: int) -> AnyModule:
    """Set slices of module.name along `dim`, drawn at random, to 0. Returns the module.

    amount: a share of the slices from 0.0 to 1.0, or their number as an int.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: AnyModule,
    name: str,
    amount: float,
    n: float | str,
    dim: int,
    importance_scores: Tensor | None = None,
) -> AnyModule:
    """Set the slices of module.name along `dim` with the smallest n-norm to 0. Returns the module.

    amount: a share of the slices from 0.0 to 1.0, or their number as an int. For a Linear, dim=0
    prunes outputs and dim=1 inputs. importance_scores: the values whose norms are compared instead.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: AnyModule, name: str, mask: Tensor) -> AnyModule:
    """Set the elements of module.name to 0 where `mask`, of the same shape, is 0. Returns the
    module.
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one vector, so that each loses what matters least
    in all of them.

    parameters: pairs (module, name). pruning_method: an unstructured rule such as L1Unstructured.
    importance_scores: by pair, the values that are compared instead. kwargs: the arguments of the
    rule, such as amount.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    >>> pairs = [(model[0], "weight"), (model[1], "weight")]
    >>> global_unstructured(pairs, L1Unstructured, amount=0.25)
    >>> sum(int((module.weight_mask == 0).sum()) for module, _ in pairs)
    12
    """
    if not isinstance(parameters, Iterable):
        raise TypeError(f"parameters: expected pairs (module, name), got {parameters!r}")
    pairs = list(parameters)
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, Mapping):
        got = type(given).__name__
        raise TypeError(f"importance_scores: expected a mapping by (module, name), got {got}")
    if not pairs:
        raise ValueError("parameters: expected at least one pair (module, name), got none")
    params = [_parameter(module, name) for module, name in pairs]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            "pruning_method: expected one whose PRUNING_TYPE is 'unstructured', got "
            f"{pruning_method.__name__}, whose type is {method.PRUNING_TYPE!r}"
        )
    masks = [
        getattr(module, f"{name}_mask", None) if _hook(module, name) is not None else None
        for module, name in pairs
    ]
    before = [
        ones_like(param) if mask is None else mask
        for param, mask in zip(params, masks, strict=True)
    ]
    scores = [given.get(pair, param) for pair, param in zip(pairs, params, strict=True)]
    for pair, param, score in zip(pairs, params, scores, strict=True):
        if score.shape != param.shape:
            raise ValueError(
                f"importance_scores: expected shape {list(param.shape)} for {pair[1]} of "
                f"{type(pair[0]).__name__}, got {list(score.shape)}"
            )
    flat = [cat([x.detach().reshape(-1) for x in tensors]) for tensors in (scores, before)]
    parts = _next_mask(method, *flat).split([param.numel() for param in params])
    for (module, name), param, part in zip(pairs, params, parts, strict=True):
        custom_from_mask(module, name, part.reshape(param.shape))


def remove(module: AnyModule, name: str) -> AnyModule:
    """Make module.name a parameter again, with the zeros that it has; the mask and the original
    go. ValueError if it is not pruned. Returns the module.
    """
    key = _hook(module, name)
    if key is None:
        raise ValueError(
            f"name: parameter {name!r} of {type(module).__name__} has to be pruned before pruning "
            "can be removed"
        )
    hook = module._forward_pre_hooks.pop(key)
    hook.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for one in module.modules()
        for hook in one._forward_pre_hooks.values()
    )


def _hook(module: Module, name: str) -> int | None:
    """The key of the hook that prunes module.name."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key
    return None


def _parameter(module: Any, name: str) -> Tensor:
    """The tensor to prune: a parameter, or what a hook has made of it before."""
    if not isinstance(module, Module):
        raise TypeError(f"module: expected a Module, got {type(module).__name__}")
    param = getattr(module, name, None)
    if _hook(module, name) is None and not isinstance(param, Parameter):
        raise AttributeError(f"name: {type(module).__name__} has no parameter {name!r}")
    assert isinstance(param, Tensor)
    return param


def _next_mask(method: BasePruningMethod, scores: Tensor, before: Tensor) -> Tensor:
    """The mask of a rule that acts on what an earlier mask has left."""
    left: Any
    if method.PRUNING_TYPE == "unstructured":
        left = before._array == 1
    elif method.PRUNING_TYPE == "structured":
        dim = _slices(scores, getattr(method, "dim", -1))
        others = tuple(axis for axis in range(before.ndim) if axis != dim)
        left = (slice(None),) * dim + (before._array.any(others),)
    elif method.PRUNING_TYPE == "global":
        left = ...
    else:
        raise ValueError(
            "PRUNING_TYPE: expected 'unstructured', 'structured' or 'global', got "
            f"{method.PRUNING_TYPE!r}"
        )
    mask = before._array.copy()
    parts = [results.wrap(np.array(x._array[left])) for x in (scores, before)]
    mask[left] = method.compute_mask(*parts)._array
    return results.wrap(mask)


def _without_smallest(mask: Tensor, scores: Array, amount: float) -> Tensor:
    """The mask without the elements of the smallest scores (n,); of equals the first go."""
    kept = mask._array.copy()
    kept.reshape(-1)[_smallest(scores, amount)] = 0
    return results.wrap(kept)


def _without_slices(mask: Tensor, scores: Array, amount: float, dim: int) -> Tensor:
    """The mask without the slices along dim of the smallest scores."""
    kept = mask._array.copy()
    kept[(slice(None),) * dim + (_smallest(scores, amount),)] = 0
    return results.wrap(kept)


def _smallest(scores: Array, amount: float) -> Array:
    """Where the smallest scores are, so many of them as amount says."""
    count = amount if isinstance(amount, int) else round(amount * len(scores))
    if count > len(scores):
        raise ValueError(
            f"amount: expected at most {len(scores)}, the number that can be pruned, got {count}"
        )
    return np.argsort(scores, kind="stable")[:count]


def _amount(amount: Any) -> Any:
    """`amount` as an int, a number, or a float, a share. Other values are refused."""
    number = isinstance(amount, (int, np.integer)) and not isinstance(amount, bool)
    if not number and not isinstance(amount, (float, np.floating)):
        raise TypeError(f"amount: expected a float or an int, got {type(amount).__name__}")
    if not amount >= 0 or not (number or amount <= 1):
        raise ValueError(
            f"amount: expected a share from 0.0 to 1.0 or a number from 0 on, got {amount}"
        )
    return int(amount) if number else float(amount)


def _slices(t: Tensor, dim: int) -> int:
    """dim counted from the start, for a tensor that has slices."""
    if t.ndim <= 1:
        raise ValueError(
            "name: structured pruning needs a tensor of at least 2 dimensions, got shape "
            f"{list(t.shape)}; for a vector there is l1_unstructured"
        )
    if not isinstance(dim, int) or not -t.ndim <= dim < t.ndim:
        raise IndexError(f"dim: expected an int in [{-t.ndim}, {t.ndim}), got {dim!r}")
    return dim % t.ndim
