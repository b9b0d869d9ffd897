"""Module: a function with parameters, made of other modules.

Values stand in the instance's `__dict__`, where Python finds them fastest; `_kinds` says which of
them are parameters, buffers and modules. Look first at `__setattr__` and `_members`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple, Self

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.dtypes import as_dtype, float32, float64
from tinyattn.autograd.storage import results
from tinyattn.nn.parameter import Parameter

PARAMETER, MODULE, BUFFER, PASSING = "parameter", "module", "buffer", "buffer, not saved"
_ARTICLE = {PARAMETER: "Parameter", MODULE: "Module", BUFFER: "Tensor", PASSING: "Tensor"}
_handles = count()


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it did not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class RemovableHandle:
    """Takes a hook away again: by `remove()`, or at the end of a `with`."""

    def __init__(self, hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> None:
        self._hooks = hooks
        self._id = next(_handles)
        hooks[self._id] = hook
        if prepend:
            hooks.move_to_end(self._id, last=False)

    def remove(self) -> None:
        self._hooks.pop(self._id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Module:
    """A subclass calls `super().__init__()`, assigns what it is made of, and defines `forward`."""

    training: bool

    def __init__(self) -> None:
        self.__dict__.update(
            training=True, _kinds={}, _forward_hooks=OrderedDict(), _forward_pre_hooks=OrderedDict()
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._forward_pre_hooks and not self._forward_hooks:
            return self.forward(*args, **kwargs)
        for hook, named in list(self._forward_pre_hooks.values()):
            new = hook(self, args, kwargs) if named else hook(self, args)
            if new is not None and named:
                args, kwargs = new
            elif new is not None:
                args = new if isinstance(new, tuple) else (new,)
        result = self.forward(*args, **kwargs)
        for hook, named in list(self._forward_hooks.values()):
            new = hook(self, args, kwargs, result) if named else hook(self, args, result)
            if new is not None:
                result = new
        return result

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; a result replaces the arguments. with_kwargs:
        `hook(module, args, kwargs)`, its result both. prepend: before the other hooks."""
        return RemovableHandle(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; a result replaces the output.
        with_kwargs: `hook(module, args, kwargs, output)`. prepend: before the other hooks."""
        return RemovableHandle(self._forward_hooks, (hook, with_kwargs), prepend)

    # What a module is made of

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds")
        old = kinds.get(name) if kinds is not None else None
        if isinstance(value, Parameter):
            kind = PARAMETER
        elif isinstance(value, Module) and old != PARAMETER:
            kind = MODULE
        elif old is None:
            object.__setattr__(self, name, value)
            return
        else:
            kind = old
        if kinds is None:
            what = "parameters" if kind == PARAMETER else "module"
            raise AttributeError(
                f"cannot assign {what} before Module.__init__() call: "
                f"call super().__init__() first in {type(self).__name__}.__init__"
            )
        if old is None:
            self.__dict__.pop(name, None)
        self._register(name, value, kind)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._kinds.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        forgotten = "_kinds" not in self.__dict__
        raise AttributeError(
            f"'{type(self).__name__}' object has no attribute '{name}'"
            + (": super().__init__() was not called" if forgotten else ""),
            name=name,
            obj=self,
        )

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """What `self.name = param` does; None says that the module can have it but has not."""
        self._register(name, param, PARAMETER)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that is part of the module but not learnt; in the state_dict if persistent."""
        self._register(name, tensor, BUFFER if persistent else PASSING)

    def add_module(self, name: str, module: "Module | None") -> None:
        """What `self.name = module` does, for any name."""
        self._register(name, module, MODULE)

    register_module = add_module

    def _register(self, name: str, value: Any, kind: str) -> None:
        kinds = self.__dict__.get("_kinds")
        if kinds is None:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f"{kind} name can't contain '.' or be empty, got {name!r}")
        if name not in kinds and (name in self.__dict__ or hasattr(type(self), name)):
            raise KeyError(f"attribute '{name}' already exists")
        expected = {PARAMETER: Parameter, MODULE: Module}.get(kind, Tensor)
        if value is not None and not isinstance(value, expected):
            raise TypeError(
                f"cannot assign '{type(value).__name__}' object to {kind} '{name}' "
                f"({_ARTICLE[kind]} or None required)"
            )
        if kinds.get(name) != kind:
            kinds.pop(name, None)
        kinds[name] = kind
        self.__dict__[name] = value

    def _members(self, *kinds: str) -> dict[str, Any]:
        """This module's own members of those kinds, None where registered as absent."""
        return {name: self.__dict__[name] for name, kind in self._kinds.items() if kind in kinds}

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules assigned to this one, each once."""
        seen: set[int] = set()
        for name, module in self._members(MODULE).items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator["Module"]:
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set["Module"] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._members(MODULE).items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self) -> Iterator["Module"]:
        return (module for _, module in self.named_modules())

    def _named(
        self, kinds: tuple[str, ...], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        modules = [(prefix, self)]
        if recurse:
            modules = list(self.named_modules(None, prefix, remove_duplicate))
        seen: set[int] = set()
        for path, module in modules:
            for name, value in module._members(*kinds).items():
                if value is not None and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with dotted names; one that is shared comes once, under its first name."""
        return self._named((PARAMETER,), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (param for _, param in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        return self._named((BUFFER, PASSING), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> "Module":
        """The module of that dotted name; "" is this one."""
        module: Any = self
        for name in target.split(".") if target else ():
            found = getattr(module, name, None)
            if not isinstance(found, Module):
                what = "is not an nn.Module" if hasattr(module, name) else "is no attribute"
                raise AttributeError(f"`{name}` {what} of {type(module).__name__} in {target!r}")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of that dotted name."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = getattr(module, name, None)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is no parameter of {type(module).__name__}")
        return found

    # Saving and loading

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> OrderedDict[str, Tensor]:
        """All parameters and persistent buffers by PyTorch's names, sharing the module's memory."""
        state = OrderedDict(self._named_state(prefix))
        if keep_vars:
            return state
        return OrderedDict((name, value.detach()) for name, value in state.items())

    def _named_state(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        for kind in (PARAMETER, BUFFER):
            for name, value in self._members(kind).items():
                if value is not None:
                    yield prefix + name, value
        for name, module in self._members(MODULE).items():
            if module is not None:
                yield from module._named_state(f"{prefix}{name}.")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy values into this module: tensors of this library or of PyTorch, or arrays, by name.

        All that does not fit is reported at once in one RuntimeError, and then nothing is written;
        names missing or unknown only count with `strict`.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict: expected a mapping, got {type(state_dict).__name__}")
        own = dict(self._named_state(""))
        keys = IncompatibleKeys(
            [name for name in own if name not in state_dict],
            [name for name in state_dict if name not in own],
        )
        errors = []
        if strict:
            for what, names in (("Missing", keys.missing_keys), ("Unexpected", keys[1])):
                if names:
                    quoted = ", ".join(f'"{name}"' for name in names)
                    errors.append(f"{what} key(s) in state_dict: {quoted}.")
        fitting = []
        for name, tensor in own.items():
            if name in state_dict:
                array, error = _as_array(name, state_dict[name], tensor)
                if error:
                    errors.append(error)
                fitting.append((tensor, array))
        if errors:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join(errors)
            )
        for tensor, array in fitting:
            np.copyto(tensor._array, array, casting="unsafe")
            tensor._storage.changed("load_state_dict")
        return keys

    # Settings of the whole tree

    def train(self, mode: bool = True) -> Self:
        """Training (dropout acts) or, with False, evaluation."""
        if not isinstance(mode, bool):
            raise ValueError(f"mode: training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)

    def apply(self, fn: Callable[["Module"], Any]) -> Self:
        """Call `fn` on every module below this one, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, dtype: Any) -> Self:
        """Turn all floating point parameters and buffers into float32 or float64."""
        wanted = as_dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"dtype: nn.Module.to accepts float32 or float64, got {wanted}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor._array.dtype.kind == "f" and tensor._array.dtype != wanted:
                _convert(tensor, wanted)
        return self

    def float(self) -> Self:
        return self.to(float32)

    def double(self) -> Self:
        return self.to(float64)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Learn all parameters, or freeze them."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        clear_gradients(self.parameters(), set_to_none)

    # Its text

    def extra_repr(self) -> str:
        """What stands between the parentheses of a module's text before its children."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        items = [(f"({name})", repr(module)) for name, module in self._members(MODULE).items()]
        if not items and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        return block(type(self).__name__, extra.split("\n") if extra else [], items)


def block(title: str, lines: list[str], items: list[tuple[str, str]]) -> str:
    """`title(` ... `)` with one line or item a line, indented as PyTorch does."""
    lines = lines + [f"{name}: {text}".replace("\n", "\n  ") for name, text in items]
    return f"{title}(\n  " + "\n  ".join(lines) + "\n)"


def clear_gradients(params: Any, set_to_none: bool) -> None:
    """Forget the gradients, or set them to zero in place."""
    for param in params:
        if param.grad is not None:
            if set_to_none:
                param.grad = None
            else:
                param.grad._array.fill(0)
                param.grad._storage.changed("zero_grad")


def _as_array(name: str, value: Any, tensor: Tensor) -> tuple[np.ndarray, str]:
    """The value as an array that fits the tensor, and what is wrong with it."""
    have = tensor._array
    try:
        if isinstance(value, Tensor):
            array = value._array
        else:
            array = np.asarray(value.detach() if hasattr(value, "detach") else value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"numbers of type {array.dtype}")
    except (TypeError, ValueError, RuntimeError) as problem:
        got = f"{type(value).__name__} ({problem})"
        return have, f"{name}: expected a tensor or an array of real numbers, got {got}."
    if array.shape != have.shape:
        return have, (
            f"size mismatch for {name}: copying a param with shape {list(array.shape)} from "
            f"checkpoint, the shape in current model is {list(have.shape)}."
        )
    return array, ""


def _convert(tensor: Tensor, dtype: np.dtype) -> None:
    """Give a leaf (and its gradient) another dtype; it stays the same object."""
    tensor.data = results.wrap(tensor._array.astype(dtype))
    tensor._base = None
    if tensor.grad is not None:
        _convert(tensor.grad, dtype)
