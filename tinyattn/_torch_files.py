"""PyTorch's file format, read and written without PyTorch.

A file is a zip archive: data.pkl is a pickle of the structure, data/0, data/1, ... are pieces of
memory that the tensors in it share. Python's `pickle` would call whatever a file names. `_Pickle`
goes through the steps of a pickle itself, and knows no others than those of containers, numbers,
text and tensors. Look at `_KNOWN`, the list of the names that a file may use.
"""

import ctypes
import io
import pickletools
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import device
from tinyattn.autograd.dtypes import SUPPORTED
from tinyattn.autograd.size import Size
from tinyattn.autograd.storage import Storage, results
from tinyattn.kernels._types import Array
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter

# PyTorch's name of a piece of memory -> how it is stored, what it becomes here.
_STORED = {
    "FloatStorage": ("<f4", "float32"),
    "DoubleStorage": ("<f8", "float64"),
    "HalfStorage": ("<f2", "float32"),
    "BFloat16Storage": ("<u2", "float32"),
    "LongStorage": ("<i8", "int64"),
    "IntStorage": ("<i4", "int32"),
    "ShortStorage": ("<i2", "int32"),
    "CharStorage": ("i1", "int32"),
    "ByteStorage": ("u1", "uint8"),
    "BoolStorage": ("?", "bool"),
}
_WRITTEN = {
    np.dtype(kept): name for name, (kind, kept) in _STORED.items() if np.dtype(kind) == kept
}


_NARROW = {  # what is converted to a wider type
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ShortStorage": "int16",
    "CharStorage": "int8",
}


class _Memory(NamedTuple):
    """A piece of memory of a file, and what the tensors on it share."""

    array: Array
    storage: Storage


# Reading


def read(name: str, file: IO[bytes]) -> Any:
    """What was saved in a file; `name` is what errors call it. ValueError for any other file."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _Archive(name, archive).read()
    except _Refused as error:
        raise ValueError(f"{name}: {error}") from None
    except Exception as error:  # the many ways in which cut or altered bytes make no sense
        raise ValueError(
            f"{name}: expected a whole file that save or torch.save wrote ({error!r})"
        ) from None


class _Refused(Exception):
    """Something that a sound file may hold, but that is not read here."""


class _Archive:
    """An open zip archive, of which the members are read when the pickle asks for them."""

    def __init__(self, name: str, archive: zipfile.ZipFile) -> None:
        self.name, self.archive = name, archive
        self.memory: dict[str, _Memory] = {}
        self.converted: dict[str, str] = {}
        pickles = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _Refused("expected one data.pkl in the archive, as torch.save writes it")
        self.folder = pickles[0].removesuffix("data.pkl")
        if f"{self.folder}constants.pkl" in archive.namelist():
            raise _Refused("this is a TorchScript program; save the state_dict of the module")

    def read(self) -> Any:
        if f"{self.folder}byteorder" in self.archive.namelist():
            order = self.member("byteorder")
            if order != b"little":
                raise _Refused(f"expected the byte order little, got {order!r}")
        found = _Pickle(self.member("data.pkl"), self.piece).run()
        for old, new in self.converted.items():
            warnings.warn(f"{self.name}: tensors of {old} are converted to {new}", stacklevel=5)
        return found

    def member(self, name: str) -> bytes:
        """The bytes of a member of the archive, whose checksum is right."""
        info = self.archive.getinfo(self.folder + name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _Refused(f"expected members that are not compressed, got {name}")
        return self.archive.read(info)

    def piece(self, identity: Any) -> _Memory:
        """The memory that a pickle names: ("storage", kind, key, device, number of elements)."""
        what, kind, key, _, count = identity
        if what != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str):
            raise ValueError(f"a storage was expected, got {identity!r}")
        if key not in self.memory:
            stored, kept = _STORED[kind]
            array = np.frombuffer(bytearray(self.member(f"data/{key}")), stored)
            if stored == "?" and (array.view(np.uint8) > 1).any():
                raise ValueError("0 or 1 was expected for each bool")
            if kind == "BFloat16Storage":  # the upper half of a float32
                array = (array.astype("<u4") << 16).view("<f4")
            if kind in _NARROW:
                self.converted[_NARROW[kind]] = kept
            self.memory[key] = _Memory(array.astype(kept, copy=False), Storage())
        memory = self.memory[key]
        if memory.array.size != count or memory.array.dtype != _STORED[kind][1]:
            raise ValueError(f"storage {key} does not have {count} elements of {kind}")
        return memory


def _tensor(
    memory: _Memory,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    """A tensor on a piece of memory, with offset and strides in elements."""
    numbers = (offset, *size, *stride)
    if not all(type(n) is int and n >= 0 for n in numbers) or len(size) != len(stride):
        raise ValueError(f"sizes and strides expected, got {size!r} and {stride!r}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    array = memory.array
    if 0 in size:
        array = array[:0].reshape(size)
    elif last >= array.size:
        raise ValueError(f"a tensor of {size} with strides {stride} is larger than its memory")
    else:
        steps = [s * array.itemsize for s in stride]
        array = np.lib.stride_tricks.as_strided(
            array[offset:], size, steps, writeable=_apart(size, stride)
        )
    made = results.wrap(array)
    made._storage = memory.storage
    return made.requires_grad_(bool(requires_grad))


def _apart(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether no two elements of a tensor lie at the same place, as in one that was expanded."""
    reach = 0
    for step, n in sorted((s, n) for s, n in zip(stride, size, strict=True) if n > 1):
        if step <= reach:
            return False
        reach += step * (n - 1)
    return True


def _parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    return Parameter(data.detach(), bool(requires_grad))


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes, which old pickles have as text."""
    if encoding != "latin1":
        raise ValueError(f"latin1 was expected, got {encoding!r}")
    return text.encode("latin-1")


class _Kind(str):
    """The name of a kind of storage."""


class _Call(NamedTuple):
    """A name that a pickle may call."""

    function: Callable[..., Any]


_KNOWN: dict[str, Any] = {
    "torch._utils _rebuild_tensor_v2": _Call(_tensor),
    "torch._utils _rebuild_parameter": _Call(_parameter),
    "torch Size": _Call(lambda sizes: Size([_int(n) for n in sizes])),
    "torch device": _Call(lambda *_: device("cpu")),
    "collections OrderedDict": _Call(OrderedDict),
    "__builtin__ set": _Call(set),
    "builtins set": _Call(set),
    "_codecs encode": _Call(_encoded),
    "__builtin__ bytes": _Call(lambda: b""),
    **{f"torch {kind}": _Kind(kind) for kind in _STORED},
    **{f"torch {dtype}": dtype for dtype in SUPPORTED},
}


def _int(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"an int was expected, got {value!r}")
    return value


class _Pickle:
    """A pickle, step by step. A stack holds what is made, and `memo` what is used again. Steps that
    are not in `run` and names that are not in _KNOWN are refused."""

    def __init__(self, content: bytes, piece: Callable[[Any], _Memory]) -> None:
        self.content, self.piece = content, piece
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        push, pop = self.stack.append, self.stack.pop
        arg: Any
        for step, arg, _ in pickletools.genops(self.content):
            match step.name:
                case "PROTO" | "FRAME":
                    pass
                case "STOP":
                    (found,) = self.stack
                    return found
                case "MARK":
                    self.marks.append(len(self.stack))
                case "NONE" | "NEWTRUE" | "NEWFALSE":
                    push({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[step.name])
                case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                    push(arg)
                case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                    push(arg)
                case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                    push(arg)
                case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET":
                    push({"D": dict, "L": list, "T": tuple, "S": set}[step.name[6]]())
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    push(tuple(self.top(int(step.name[-1]))))
                case "TUPLE":
                    push(tuple(self.marked()))
                case "LIST":
                    push(self.marked())
                case "APPEND":
                    self.extend([pop()])
                case "APPENDS":
                    self.extend(self.marked())
                case "ADDITEMS":
                    items = self.marked()
                    self.expect(set).update(items)
                case "SETITEM":
                    self.update(self.top(2))
                case "SETITEMS":
                    self.update(self.marked())
                case "BINPUT" | "LONG_BINPUT":
                    self.memo[arg] = self.stack[-1]
                case "MEMOIZE":
                    self.memo[len(self.memo)] = self.stack[-1]
                case "BINGET" | "LONG_BINGET":
                    push(self.memo[arg])
                case "GLOBAL":
                    push(self.known(arg))
                case "STACK_GLOBAL":
                    push(self.known(" ".join(self.top(2))))
                case "BINPERSID":
                    push(self.piece(pop()))
                case "REDUCE":
                    call, arguments = self.top(2)
                    if not isinstance(call, _Call) or not isinstance(arguments, tuple):
                        raise ValueError(f"{call!r} can't be called")
                    push(call.function(*arguments))
                case "BUILD":
                    pop()  # attributes of a state_dict: the versions of its modules
                    self.expect(OrderedDict)
                case _:
                    raise ValueError(f"the step {step.name} is unknown here")
        raise ValueError("the pickle has no end")

    def known(self, name: str) -> Any:
        if name not in _KNOWN:
            raise _Refused(
                f"it names {name.replace(' ', '.', 1)}; only tensors, containers, numbers and text "
                "are read. Save a state_dict in place of a module or another object"
            )
        return _KNOWN[name]

    def top(self, count: int) -> list[Any]:
        """The last `count` values, taken from the stack."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def marked(self) -> list[Any]:
        """The values after the last mark, taken from the stack."""
        start = self.marks.pop()
        if start > len(self.stack):
            raise ValueError("a mark has lost its place")
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def expect(self, kind: type) -> Any:
        """The last value, which has to be of that kind, and stays on the stack."""
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"a {kind.__name__} was expected, got {self.stack[-1]!r}")
        return self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        self.expect(list).extend(items)

    def update(self, items: list[Any]) -> None:
        self.expect(dict).update(zip(items[::2], items[1::2], strict=True))


# Writing


def write(obj: Any) -> bytes:
    """The file of obj: tensors, dicts, lists, tuples, sets, numbers, text, bytes, None.

    Tensors that share memory share it in the file. TypeError, naming the place in obj, for anything
    else; ValueError for a container that contains itself."""
    writer = _Writer()
    structure = writer.pickled(obj, "")
    members = {"data.pkl": b"\x80\x02" + structure + b".", "byteorder": b"little"}
    for piece in writer.pieces.values():
        members[f"data/{piece.key}"] = ctypes.string_at(piece.low, piece.high - piece.low)
    members["version"] = b"3\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return out.getvalue()


_PLAIN = (type(None), bool, int, float, str, bytes, device)


class _Piece:
    """A piece of memory to be written: the bytes from `low` to `high`, which `owner` holds."""

    def __init__(self, key: int, owner: Any, array: Array) -> None:
        self.key, self.owner = key, owner  # held, so that its id is not given to another object
        self.low = self.high = _address(array)


class _Writer:
    """Writes objects as steps of the pickle protocol 2.

    Where a tensor begins in its piece of memory is known only when all tensors have been seen, so
    they are looked for first.
    """

    def __init__(self) -> None:
        self.pieces: dict[tuple[int, np.dtype[Any]], _Piece] = {}
        self.arrays: dict[int, Array] = {}  # of each tensor, by its id

    def pickled(self, obj: Any, place: str) -> bytes:
        self.collect(obj, place, set())
        return self.steps(obj)

    def collect(self, obj: Any, place: str, above: set[int]) -> None:
        """Find the tensors in obj and their memory; refuse what can't be written."""
        if isinstance(obj, Tensor):
            array = obj._array
            if any(step < 0 or step % array.itemsize for step in array.strides):
                array = np.array(array, order="C")
            self.arrays[id(obj)] = array
            piece = self.piece(array)
            if array.size:
                low, high = np.lib.array_utils.byte_bounds(array)
                piece.low, piece.high = min(piece.low, low), max(piece.high, high)
        elif isinstance(obj, (dict, list, tuple, set)):
            if id(obj) in above:
                raise ValueError(f"save: {place or 'obj'}: a container that contains itself")
            above.add(id(obj))
            for key, value in obj.items() if isinstance(obj, dict) else enumerate(obj):
                here = f"{place}[{key!r}]"
                if isinstance(obj, dict):
                    self.collect(key, f"the key {key!r} of {place or 'obj'}", above)
                self.collect(value, here, above)
            above.remove(id(obj))
        elif not isinstance(obj, _PLAIN) and not (isinstance(obj, np.dtype) and obj in SUPPORTED):
            advice = "; save its state_dict()" if isinstance(obj, Module) else ""
            raise TypeError(
                f"save: {place or 'obj'}: expected a tensor, dict, list, tuple, set, number, text, "
                f"bytes or None, got {type(obj).__name__}{advice}"
            )

    def piece(self, array: Array) -> _Piece:
        owner: Any = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        return self.pieces.setdefault(
            (id(owner), array.dtype), _Piece(len(self.pieces), owner, array)
        )

    def steps(self, obj: Any) -> bytes:
        if obj is None or isinstance(obj, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[obj]
        if isinstance(obj, int):
            return _int_step(int(obj))
        if isinstance(obj, float):
            return b"G" + struct.pack(">d", obj)
        if isinstance(obj, str):
            text = obj.encode("utf-8", "surrogatepass")
            return b"X" + struct.pack("<I", len(text)) + text
        if isinstance(obj, bytes):
            return self.call("_codecs encode", obj.decode("latin-1"), "latin1")
        if isinstance(obj, Tensor):
            return self.tensor(obj)
        if isinstance(obj, dict):
            empty = self.call("collections OrderedDict") if isinstance(obj, OrderedDict) else b"}"
            items = [self.steps(key) + self.steps(value) for key, value in obj.items()]
            return empty + b"(" + b"".join(items) + b"u"
        if isinstance(obj, Size):
            return self.call("torch Size", tuple(obj))
        if isinstance(obj, tuple):
            return b"(" + b"".join(map(self.steps, obj)) + b"t"
        if isinstance(obj, list):
            return b"](" + b"".join(map(self.steps, obj)) + b"e"
        if isinstance(obj, set):
            return self.call("__builtin__ set", list(obj))
        if isinstance(obj, device):
            return self.call("torch device", "cpu")
        return _name(f"torch {obj}")  # a dtype

    def tensor(self, tensor: Tensor) -> bytes:
        array = self.arrays[id(tensor)]
        piece, n = self.piece(array), array.itemsize
        storage = (
            b"(" + self.steps("storage") + _name(f"torch {_WRITTEN[array.dtype]}")
            + self.steps(str(piece.key)) + self.steps("cpu")
            + _int_step((piece.high - piece.low) // n) + b"tQ"
        )  # fmt: skip
        offset = (_address(array) - piece.low) // n if array.size else 0
        strides = tuple(step // n for step in array.strides)
        needs = tensor.requires_grad
        is_parameter = isinstance(tensor, Parameter)
        view: tuple[Any, ...] = (
            offset,
            tuple(array.shape),
            strides,
            needs and not is_parameter,
            OrderedDict(),
        )
        made = (
            _name("torch._utils _rebuild_tensor_v2")
            + b"(" + storage + b"".join(map(self.steps, view)) + b"tR"
        )  # fmt: skip
        if not is_parameter:
            return made
        rest = self.steps(needs) + self.steps(OrderedDict())
        return _name("torch._utils _rebuild_parameter") + b"(" + made + rest + b"tR"

    def call(self, name: str, *arguments: Any) -> bytes:
        return _name(name) + self.steps(arguments) + b"R"


def _name(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def _int_step(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(content) > 255:
        raise ValueError(f"save: an int of {value.bit_length()} bits is too large")
    return b"\x8a" + bytes([len(content)]) + content


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]
