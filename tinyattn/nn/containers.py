"""Modules that hold modules: Sequential calls them in turn, the others only keep them."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import index as as_int
from typing import Any, Self

from tinyattn.nn.module import MODULE, Module, block


class _Numbered(Module):
    """Modules named "0", "1", ...: what Sequential and ModuleList share."""

    def _list(self) -> list[Module]:
        return list(self._members(MODULE).values())

    def _name(self, index: Any) -> str:
        names = list(self._members(MODULE))
        index = as_int(index)
        if not -len(names) <= index < len(names):
            raise IndexError(f"index {index} is out of range: there are {len(names)} modules")
        return names[index]

    def __len__(self) -> int:
        return len(self._members(MODULE))

    def __iter__(self) -> Iterator[Module]:
        return iter(self._list())

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        """Take modules away; those that stay are numbered anew."""
        modules = self._list()
        del modules[index]
        self._number(modules)

    def insert(self, index: int, module: Module) -> Any:
        modules = self._list()
        modules.insert(index, module)
        self._number(modules)
        return self

    def _number(self, modules: Iterable[Module]) -> None:
        for name in list(self._members(MODULE)):
            delattr(self, name)
        self.extend(modules)

    def append(self, module: Module) -> Self:
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        if not isinstance(modules, Iterable):
            raise TypeError(f"modules: expected an iterable, got {type(modules).__name__}")
        for module in modules:
            self.append(module)
        return self

    def pop(self, key: int | slice) -> Module:
        module = self[key]
        del self[key]
        return module

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(self._list()[index])  # type: ignore[call-arg]
        return self.__dict__[self._name(index)]

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class Sequential(_Numbered):
    """Modules called in turn, each on what the last gave; from arguments or one OrderedDict."""

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._members(MODULE).items())[index]))
        return super().__getitem__(index)

    def __add__(self, other: "Sequential") -> "Sequential":
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator: expected a Sequential, got {type(other).__name__}")
        return Sequential(*self, *other)

    def __mul__(self, times: int) -> "Sequential":
        """The same modules, several times in turn."""
        if not isinstance(times, int):
            raise TypeError(f"times: expected an int, got {type(times).__name__}")
        if times < 1:
            raise ValueError(f"times: expected at least 1, got {times}")
        return Sequential(*self._list() * times)

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        return self.extend(list(self * times)[len(self) :])

    def forward(self, input: Any) -> Any:
        for module in self._list():
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules whose parameters are found."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList(chain(self, other))

    def __repr__(self) -> str:
        """Neighbours of the same text are written once, as in PyTorch."""
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
    """A dictionary of modules whose parameters are found."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._members(MODULE)[key]

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
        return self._kinds.get(key) == MODULE

    def keys(self) -> Any:
        return self._members(MODULE).keys()

    def values(self) -> Any:
        return self._members(MODULE).values()

    def items(self) -> Any:
        return self._members(MODULE).items()

    def pop(self, key: str) -> Module:
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def update(self, modules: Any) -> None:
        """Add the modules of a mapping or of (name, module) pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"modules: expected a mapping or (name, module) pairs, got {type(modules).__name__}"
            )
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        for key, module in pairs:
            self[key] = module
