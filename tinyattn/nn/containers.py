"""Modules that contain modules: Sequential calls them in turn, the others only store them.

Look first at Sequential. `_Numbered` is what it shares with ModuleList: modules by number.
"""

from collections import OrderedDict
from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from itertools import chain
from operator import index as as_int
from typing import Any, Self, SupportsIndex, overload

from tinyattn._tensor import Tensor
from tinyattn.nn.module import MODULE, PARAMETER, Module, block
from tinyattn.nn.parameter import Parameter


class _Numbered(Module):
    """What Sequential and ModuleList share: modules named "0", "1", ..."""

    def _list(self) -> list[Module]:
        return list(self._members(MODULE).values())

    def _name(self, index: SupportsIndex) -> str:
        names = list(self._members(MODULE))
        i = as_int(index)
        if not -len(names) <= i < len(names):
            raise IndexError(f"index {i} is out of range: there are {len(names)} modules")
        return names[i]

    def __len__(self) -> int:
        return len(self._members(MODULE))

    def __iter__(self) -> Iterator[Module]:
        return iter(self._list())

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        """Remove one module or several; the remaining ones are numbered anew."""
        modules = self._list()
        del modules[index]
        self._number(modules)

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; the modules are numbered anew."""
        modules = self._list()
        modules.insert(index, module)
        self._number(modules)
        return self

    def _number(self, modules: Iterable[Module]) -> None:
        for name in list(self._members(MODULE)):
            delattr(self, name)
        self.extend(modules)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"modules: expected an iterable, got {type(modules).__name__}")
        for module in modules:
            self.append(module)
        return self

    def pop(self, key: int) -> Module:
        """Remove the module at `key` and return it."""
        module = self[key]
        del self[key]
        return module

    @overload
    def __getitem__(self, index: SupportsIndex) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Module | Self:
        if not isinstance(index, slice):
            found: Module = self.__dict__[self._name(index)]
            return found
        return self._of(list(self._members(MODULE).items())[index])

    def _of(self, named: list[tuple[str, Module]]) -> Self:
        raise NotImplementedError

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class Sequential(_Numbered):
    """Call modules in turn, each with the result of the one before it.

    The modules are the arguments, or the values of one OrderedDict, which then names them. The
    result is typed as a Tensor, which it is unless the last module returns something else.

    >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> model(ta.ones(5, 3)).shape
    (5, 2)
    >>> model[0]
    Linear(in_features=3, out_features=8, bias=True)
    """

    @overload
    def __init__(self, *modules: Module) -> None: ...

    @overload
    def __init__(self, modules: "OrderedDict[str, Module]", /) -> None: ...

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def _of(self, named: list[tuple[str, Module]]) -> Self:
        return type(self)(OrderedDict(named))

    def __add__(self, other: "Sequential") -> "Sequential":
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator: expected a Sequential, got {type(other).__name__}")
        return Sequential(*self, *other)

    def __mul__(self, times: int) -> "Sequential":
        """A Sequential of the same modules, with shared parameters, several times in turn."""
        if not isinstance(times, int):
            raise TypeError(f"times: expected an int, got {type(times).__name__}")
        if times < 1:
            raise ValueError(f"times: expected at least 1, got {times}")
        return Sequential(*self._list() * times)

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        return self.extend(list(self * times)[len(self) :])

    def forward(self, input: Any) -> Tensor:
        for module in self._list():
            input = module(input)
        output: Tensor = input
        return output


class ModuleList(_Numbered):
    """A list of modules. Their parameters are found, which those in a plain list are not."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _of(self, named: list[tuple[str, Module]]) -> Self:
        return type(self)(module for _, module in named)

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList(chain(self, other))

    def __repr__(self) -> str:
        """Consecutive modules of the same text are written once, as in PyTorch."""
        runs: list[list[Any]] = []
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        if not runs:
            return f"{type(self).__name__}()"
        items = [
            (f"({i})", text) if i == j else (f"({i}-{j})", f"{j - i + 1} x {text}")
            for i, j, text in runs
        ]
        return block(type(self).__name__, [], items)


class ModuleDict(Module):
    """A dictionary of modules. Their parameters are found, which those in a dict are not."""

    def __init__(self, modules: "NamedModules | None" = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        module: Module = self._members(MODULE)[key]
        return module

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._members(MODULE))

    def __iter__(self) -> Iterator[str]:
        return iter(self._members(MODULE))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._kinds.get(key) == MODULE

    def keys(self) -> KeysView[str]:
        return self._members(MODULE).keys()

    def values(self) -> ValuesView[Module]:
        return self._members(MODULE).values()

    def items(self) -> ItemsView[str, Module]:
        return self._members(MODULE).items()

    def pop(self, key: str) -> Module:
        """Remove the module named `key` and return it. No such module: KeyError."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Remove all modules."""
        for key in list(self):
            del self[key]

    def update(self, modules: "NamedModules") -> None:
        """Add the modules of a mapping, a ModuleDict or an iterable of (name, module) pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"modules: expected a mapping or (name, module) pairs, got {type(modules).__name__}"
            )
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        for key, module in pairs:
            self[key] = module


NamedModules = Mapping[str, Module] | ModuleDict | Iterable[tuple[str, Module]]


def _parameter(value: Tensor) -> Parameter:
    """A parameter; a plain tensor is made one, on the same memory."""
    return value if isinstance(value, Parameter) else Parameter(value)


def _told(values: Mapping[str, Any]) -> str:
    """The lines of a repr: each parameter by its dtype and shape, as in PyTorch."""
    return "\n".join(
        f"({name}): Parameter containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}]"
        for name, value in values.items()
    )


class ParameterList(Module):
    """A list of parameters. A module finds them, which it does not in a plain list; tensors are
    made parameters.

    >>> weights = nn.ParameterList([ta.ones(2), ta.zeros(3)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def _name(self, index: SupportsIndex) -> str:
        i = as_int(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"index {i} is out of range: there are {len(self)} parameters")
        return str(i % len(self))

    def __len__(self) -> int:
        return len(self._members(PARAMETER))

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._members(PARAMETER).values())

    @overload
    def __getitem__(self, index: SupportsIndex) -> Parameter: ...
    @overload
    def __getitem__(self, index: slice) -> "ParameterList": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "Parameter | ParameterList":
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        found: Parameter = self.__dict__[self._name(index)]
        return found

    def __setitem__(self, index: SupportsIndex, value: Tensor) -> None:
        setattr(self, self._name(index), _parameter(value))

    def append(self, value: Tensor) -> Self:
        """Add a parameter at the end."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Add several parameters at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"values: expected a list of tensors, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Tensor]) -> Self:
        return self.extend(values)

    def extra_repr(self) -> str:
        return _told(self._members(PARAMETER))


class ParameterDict(Module):
    """A dictionary of parameters. A module finds them, which it does not in a dict; tensors are
    made parameters.
    """

    def __init__(self, parameters: "Mapping[str, Tensor] | ParameterDict | None" = None) -> None:
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Parameter:
        found: Parameter = self._members(PARAMETER)[key]
        return found

    def __setitem__(self, key: str, parameter: Tensor) -> None:
        self.register_parameter(key, _parameter(parameter))

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._members(PARAMETER))

    def __iter__(self) -> Iterator[str]:
        return iter(self._members(PARAMETER))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._kinds.get(key) == PARAMETER

    def keys(self) -> KeysView[str]:
        return self._members(PARAMETER).keys()

    def values(self) -> ValuesView[Parameter]:
        return self._members(PARAMETER).values()

    def items(self) -> ItemsView[str, Parameter]:
        return self._members(PARAMETER).items()

    def update(self, parameters: "Mapping[str, Tensor] | ParameterDict") -> None:
        """Add the parameters of a mapping or of a ParameterDict."""
        for key, value in dict(parameters.items()).items():
            self[key] = value

    def extra_repr(self) -> str:
        return _told(self._members(PARAMETER))


class DataParallel(Module):
    """The model `module` on several GPUs. There are none, so calling it calls the model itself, as
    in PyTorch without a GPU. The names of its state begin with "module.".

    device_ids, output_device, dim: which GPUs, and how a batch is shared out; not used.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(module, Module):
            raise TypeError(f"module: expected a Module, got {type(module).__name__}")
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives."""
        return self.module(*args, **kwargs)
