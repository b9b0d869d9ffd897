"""Weight normalisation: a weight is written as its length and its direction, which are trained
apart (Salimans and Kingma 2016, arXiv:1602.07868). Temporal convolutional networks use it.
"""

from typing import Any, TypeVar

from tinyattn._tensor import Tensor
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter
from tinyattn.ops._arguments import as_axis

AnyModule = TypeVar("AnyModule", bound=Module)


class WeightNorm:
    """The hook that computes w = g v / |v| before every forward."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def length(self, v: Tensor) -> Tensor:
        """|v| of every slice along dim, in a shape that divides v; dim None: of all of v."""
        if self.dim is None:
            return v.norm()
        others = tuple([i for i in range(v.dim()) if i != self.dim])
        return v.norm(dim=others, keepdim=True) if others else v.abs()

    def __call__(self, module: Module, inputs: Any) -> None:
        v: Tensor = getattr(module, f"{self.name}_v")
        g: Tensor = getattr(module, f"{self.name}_g")
        setattr(module, self.name, v * (g / self.length(v)))


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """Replace the parameter `name` by its lengths name_g and its directions name_v; before every
    forward a hook computes name = name_g name_v / |name_v|. Returns the module.

    dim: each slice along it has a length of its own; None or -1: there is one for all. RuntimeError
    if the parameter is normalised already.

    >>> layer = nn.utils.weight_norm(nn.Conv1d(2, 3, 5))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and hook.name == name:
            raise RuntimeError(
                f"Cannot register two weight_norm hooks on the same parameter {name}"
            )
    weight = getattr(module, name)
    if not isinstance(weight, Parameter):
        raise TypeError(
            f"name: expected a parameter of {type(module).__name__}, but {name!r} is a "
            f"{type(weight).__name__}"
        )
    hook = WeightNorm(name, None if dim in (None, -1) else as_axis(dim, weight.dim()))
    lengths = hook.length(weight.detach())
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(lengths.clone()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach().clone()))
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make `name` a parameter again, with its present value. Returns the module. ValueError if it
    is not normalised."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook(module, None)
            weight = Parameter(getattr(module, name).detach())
            for left in (name, f"{name}_g", f"{name}_v"):
                delattr(module, left)
            module.register_parameter(name, weight)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of {name!r} not found in {module}")
