"""Module: a function with parameters, made of other modules.

Parameters, buffers and modules are stored in the instance's `__dict__`, where Python finds them
fastest; the dictionary `_kinds` maps each of their names to what it is. Look first at
`__setattr__` and `_members`.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import count
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

import numpy as np
from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.autograd.devices import target as to_dtype
from tinyattn.autograd.dtypes import float32, float64
from tinyattn.autograd.storage import results
from tinyattn.compat.legacy import dtype_of_type
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import refuse, repeated
from tinyattn.nn.hooks import forward_between
from tinyattn.nn.parameter import Parameter

PARAMETER, MODULE, BUFFER, PASSING = "parameter", "module", "buffer", "buffer, not saved"
_ARTICLE = {PARAMETER: "Parameter", MODULE: "Module", BUFFER: "Tensor", PASSING: "Tensor"}
_HALVES = ("float16", "bfloat16")
_QUANTISED = {  # what scales of weights say that are missing, or not expected
    "Missing": "The model is quantised, the state_dict is not: load it first, then quantise.",
    "Unexpected": "The state_dict is of a quantised model: call quantize_dynamic(model) first.",
}
_handles = count(1)

Args = ParamSpec("Args")
Result = TypeVar("Result", covariant=True)


class HasForward(Protocol[Args, Result]):
    """For type checkers: `module(...)` takes and returns what the module's own forward does."""

    _forward_hooks: OrderedDict[int, Any]
    _forward_pre_hooks: OrderedDict[int, Any]
    _backward_hooks: OrderedDict[int, Any]

    def forward(self, *args: Args.args, **kwargs: Args.kwargs) -> Result: ...


class IncompatibleKeys(NamedTuple):
    """The result of `load_state_dict`: names the state lacks, and names the module lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        missing, unexpected = self
        return f"_IncompatibleKeys(missing_keys={missing}, unexpected_keys={unexpected})"


class RemovableHandle:
    """Removes a hook: when `remove()` is called, or at the end of a `with` block."""

    def __init__(
        self, hooks: OrderedDict[int, Any], hook: Any, prepend: bool, with_kwargs: bool = False
    ) -> None:
        self._hooks = hooks
        self._id = next(_handles)
        # A negative number: the hook is called with the named arguments, too.
        if with_kwargs:
            self._id = -self._id
        hooks[self._id] = hook
        if prepend:
            hooks.move_to_end(self._id, last=False)

    def remove(self) -> None:
        self._hooks.pop(self._id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Members(MutableMapping[str, Any]):
    """A module's own members of some kinds, by name. What is set or deleted here is registered in
    the module or removed from it."""

    def __init__(self, module: "Module", *kinds: str) -> None:
        self._module, self._kinds = module, kinds

    def __getitem__(self, name: str) -> Any:
        return self._module._members(*self._kinds)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        kind = self._module._kinds.get(name)
        self._module._register(name, value, kind if kind in self._kinds else self._kinds[0])

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self._module, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._module._members(*self._kinds))

    def __len__(self) -> int:
        return len(self._module._members(*self._kinds))

    def __repr__(self) -> str:
        return repr(self._module._members(*self._kinds))


class Module:
    """The base class of all layers and models.

    A subclass calls `super().__init__()`, assigns its parameters and modules to attributes, and
    defines `forward`. Call the module itself, not `forward`, so that hooks run.

    >>> class Residual(nn.Module):
    ...     def __init__(self, features):
    ...         super().__init__()
    ...         self.linear = nn.Linear(features, features)
    ...
    ...     def forward(self, x):
    ...         return x + self.linear(x).relu()
    >>> model = Residual(3)
    >>> model(ta.ones(2, 3)).shape
    (2, 3)
    >>> [name for name, _ in model.named_parameters()]
    ['linear.weight', 'linear.bias']
    """

    training: bool
    _kinds: dict[str, str]
    _forward_hooks: OrderedDict[int, Any]
    _forward_pre_hooks: OrderedDict[int, Any]
    _backward_hooks: OrderedDict[int, Any]

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _kinds={},
            _forward_hooks=OrderedDict(),
            _forward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self: HasForward[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        if not (self._forward_pre_hooks or self._forward_hooks or self._backward_hooks):
            return self.forward(*args, **kwargs)
        result: Result = _call_with_hooks(self, args, kwargs)
        return result

    @overload
    def register_forward_pre_hook(
        self,
        hook: Callable[[Self, tuple[Any, ...]], Any],
        *,
        prepend: bool = False,
        with_kwargs: Literal[False] = False,
    ) -> RemovableHandle: ...

    @overload
    def register_forward_pre_hook(
        self,
        hook: Callable[[Self, tuple[Any, ...], dict[str, Any]], Any],
        *,
        prepend: bool = False,
        with_kwargs: Literal[True],
    ) -> RemovableHandle: ...

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward. What it returns, unless None, replaces the
        arguments.

        prepend: run this hook before those already registered. with_kwargs: call
        `hook(module, args, kwargs)`, which returns None or the pair (args, kwargs).
        """
        return RemovableHandle(self._forward_pre_hooks, hook, prepend, with_kwargs)

    @overload
    def register_forward_hook(
        self,
        hook: Callable[[Self, tuple[Any, ...], Any], Any],
        *,
        prepend: bool = False,
        with_kwargs: Literal[False] = False,
    ) -> RemovableHandle: ...

    @overload
    def register_forward_hook(
        self,
        hook: Callable[[Self, tuple[Any, ...], dict[str, Any], Any], Any],
        *,
        prepend: bool = False,
        with_kwargs: Literal[True],
    ) -> RemovableHandle: ...

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward. What it returns, unless None,
        replaces the output.

        prepend: run this hook before those already registered. with_kwargs: call
        `hook(module, args, kwargs, output)`.
        """
        return RemovableHandle(self._forward_hooks, hook, prepend, with_kwargs)

    def register_full_backward_hook(
        self,
        hook: Callable[[Self, tuple[Tensor | None, ...], tuple[Tensor | None, ...]], Any],
        prepend: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the positional
        arguments are known. What it returns, unless None, replaces grad_input.

        prepend: run this hook before those already registered.
        """
        return RemovableHandle(self._backward_hooks, hook, prepend)

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
        """Do what `self.name = param` does. None: this module has no parameter of that name,
        though others of its class may have one."""
        self._register(name, param, PARAMETER)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module but is not learnt.

        persistent: the state_dict contains it.
        """
        self._register(name, tensor, BUFFER if persistent else PASSING)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Do what `self.name = module` does, also for names that are no Python identifiers."""
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
        """This module's own members of those kinds; None where one is registered as absent."""
        return {name: self.__dict__[name] for name, kind in self._kinds.items() if kind in kinds}

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules assigned to this one with their names, each module once."""
        seen: set[int] = set()
        for name, module in self._members(MODULE).items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator["Module"]:
        """The modules assigned to this one, each once."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set["Module"] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, with dotted names.

        memo: modules to leave out. prefix: goes before every name. remove_duplicate: give a module
        that is used in several places once.
        """
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
        """This module and all below it, each once."""
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
        """The parameters with dotted names. One that is shared comes once, under its first name.

        prefix: goes before every name. recurse: include the modules below. remove_duplicate: False
        gives a shared parameter under each of its names.
        """
        return self._named((PARAMETER,), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; recurse: those of the modules below, too."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with dotted names; arguments as for `named_parameters`."""
        return self._named((BUFFER, PASSING), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; recurse: those of the modules below, too."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    @property
    def _parameters(self) -> MutableMapping[str, Parameter | None]:
        """This module's own parameters by name: PyTorch's attribute."""
        return Members(self, PARAMETER)

    @property
    def _buffers(self) -> MutableMapping[str, Tensor | None]:
        """This module's own buffers by name: PyTorch's attribute."""
        return Members(self, BUFFER, PASSING)

    @property
    def _modules(self) -> "MutableMapping[str, Module | None]":
        """The modules assigned to this one by name: PyTorch's attribute."""
        return Members(self, MODULE)

    def get_submodule(self, target: str) -> "Module":
        """The module of that dotted name; "" is this one. No such module: AttributeError."""
        module: Module = self
        for name in target.split(".") if target else ():
            found = getattr(module, name, None)
            if not isinstance(found, Module):
                what = "is not an nn.Module" if hasattr(module, name) else "is no attribute"
                raise AttributeError(f"`{name}` {what} of {type(module).__name__} in {target!r}")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of that dotted name. No such parameter: AttributeError."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = getattr(module, name, None)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is no parameter of {type(module).__name__}")
        return found

    # Saving and loading

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> OrderedDict[str, Tensor]:
        """All parameters and persistent buffers by their dotted names, which are PyTorch's.

        The tensors share the module's memory: `copy.deepcopy` the result to keep present values.
        prefix: goes before every name. keep_vars: give the parameters themselves, not detached.
        """
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
        """Copy values into this module by name: tensors of tinyattn or of PyTorch, or arrays. They
        are converted to the dtype that the module has; float16 and bfloat16 with a warning.

        strict: a name that is missing or unknown is an error. One RuntimeError lists everything
        that does not fit, and then no value is changed.
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
                if any("weight" in name and name.endswith("_scale") for name in names):
                    errors.append(_QUANTISED[what])
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
        halves = [name for name in own if _dtype_name(state_dict.get(name)) in _HALVES]
        if halves:
            warnings.warn(
                f"load_state_dict: {len(halves)} tensors of float16 or bfloat16 are converted, "
                f"among them {halves[0]!r}",
                stacklevel=2,
            )
        for tensor, array in fitting:
            np.copyto(tensor._array, array, casting="unsafe")
            tensor._storage.changed("load_state_dict")
        return keys

    # Settings of the whole tree

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training, where dropout acts, or with
        mode=False to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError(f"mode: training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch this module and all below it to evaluation."""
        return self.train(False)

    def apply(self, fn: Callable[["Module"], object]) -> Self:
        """Call `fn(module)` for every module below this one, then for this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(
        self,
        *target: "DTypeLike | Device | Tensor",
        dtype: DTypeLike | None = None,
        device: Device = None,
        non_blocking: bool = False,
    ) -> Self:
        """Convert all floating-point parameters and buffers, in place, to float32 or float64.

        target: a dtype, the device "cpu", a device and a dtype, or a tensor whose dtype is meant.
        non_blocking has no effect. RuntimeError for another device.
        """
        wanted = to_dtype(target, device, dtype)
        if wanted is None:
            return self
        if wanted.kind != "f":
            raise TypeError(f"dtype: nn.Module.to accepts float32 or float64, got {wanted}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor._array.dtype.kind == "f" and tensor._array.dtype != wanted:
                _convert(tensor, wanted)
        return self

    def cpu(self) -> Self:
        """This module itself, which is on the CPU."""
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(float64)

    def type(self, dst_type: Any) -> Self:
        """Convert as `to` does. dst_type: a dtype, or "torch.DoubleTensor", or that class."""
        return self.to(dtype_of_type(dst_type))

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let all parameters have gradients, or with False freeze them."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    @repeated
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; set_to_none=False: write zeros into them instead."""
        clear_gradients(self.parameters(), set_to_none)

    # Its text

    def extra_repr(self) -> str:
        """The part of `repr(module)` between the parentheses, before the children."""
        return ""

    def __copy__(self) -> Self:
        """A shallow copy: the same parameters and modules, but a registry and hooks of its own."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name in ("_kinds", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            other.__dict__[name] = self.__dict__[name].copy()
        return other

    def _get_name(self) -> str:
        return type(self).__name__  # which a __repr__ of a program's own asks for

    def __repr__(self) -> str:
        extra = self.extra_repr()
        items = [(f"({name})", repr(module)) for name, module in self._members(MODULE).items()]
        if not items and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        return block(type(self).__name__, extra.split("\n") if extra else [], items)


class OverloadedForward(Module):
    """For modules whose forward has overloads, or returns the type it was given.

    `HasForward` would only see the first overload. To a type checker the call of such a module is
    therefore `forward` itself; at runtime this class adds nothing.
    """

    if TYPE_CHECKING:

        @property
        def __call__(self: "ForwardOf[Forward]") -> "Forward": ...


Forward = TypeVar("Forward", covariant=True)


class ForwardOf(Protocol[Forward]):
    """For type checkers: something whose `forward` has the type Forward."""

    @property
    def forward(self) -> Forward: ...


def _call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """forward between the hooks, each of which may replace what the next one gets."""
    refuse(f"{type(module).__name__}: a replay would not call its hooks")
    for key, hook in list(module._forward_pre_hooks.items()):
        named = key < 0  # see RemovableHandle
        new = hook(module, args, kwargs) if named else hook(module, args)
        if new is not None and named:
            args, kwargs = new
        elif new is not None:
            args = new if isinstance(new, tuple) else (new,)
    hooks = list(module._backward_hooks.values())
    if hooks:
        result = forward_between(module, hooks, args, kwargs)
    else:
        result = module.forward(*args, **kwargs)
    for key, hook in list(module._forward_hooks.items()):
        named = key < 0
        new = hook(module, args, kwargs, result) if named else hook(module, args, result)
        if new is not None:
            result = new
    return result


def block(title: str, lines: list[str], items: list[tuple[str, str]]) -> str:
    """A module's text: `title(`, the lines and items one below the other, `)`."""
    lines = lines + [f"{name}: {text}".replace("\n", "\n  ") for name, text in items]
    return f"{title}(\n  " + "\n  ".join(lines) + "\n)"


def clear_gradients(params: Iterable[Tensor], set_to_none: bool) -> None:
    """Set each `.grad` to None, or its elements to zero in place."""
    for param in params:
        if param.grad is not None:
            if set_to_none:
                param.grad = None
            else:
                param.grad._array.fill(0)
                param.grad._storage.changed("zero_grad")


def _as_array(name: str, value: Any, tensor: Tensor) -> tuple[Array, str]:
    """The value as an array of the tensor's shape, and the error message, "" if it fits."""
    have = tensor._array
    try:
        array = as_numpy(value)
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


def as_numpy(value: Any) -> Array:
    """The numbers of a tensor, of tinyattn or PyTorch, or of anything NumPy takes for an array."""
    if isinstance(value, Tensor):
        return value._array
    value = value.detach() if hasattr(value, "detach") else value
    if _dtype_name(value) == "bfloat16":  # NumPy has no such type
        value = value.float() if hasattr(value, "float") else value.astype(np.float32)
    return np.asarray(value)


def _dtype_name(value: Any) -> str:
    """ "float16" of an array of NumPy as of a tensor of PyTorch; "" if there is no dtype."""
    return str(getattr(value, "dtype", "")).removeprefix("torch.")


def _convert(tensor: Tensor, dtype: np.dtype) -> None:
    """Change the dtype of a leaf and of its gradient; the tensor stays the same object."""
    tensor.data = results.wrap(tensor._array.astype(dtype))
    tensor._base = None
    if tensor.grad is not None:
        _convert(tensor.grad, dtype)
