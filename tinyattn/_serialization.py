"""save and load: tensors, and dicts and lists of them with numbers and text.

The file is a safetensors file, or one in PyTorch's format, which stands in _torch_files.py. In
safetensors a flat dict of tensors, such as a state_dict, is a file that any reader understands;
other structure is kept as JSON in the file's metadata. Loading executes nothing.
"""

import errno
import io
import json
import os
import secrets
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import check_device
from tinyattn.kernels._types import Array
from tinyattn.nn.module import Module
from tinyattn.ops.creation import from_numpy

_STRUCTURE = "tinyattn.structure"  # the key of the JSON in the file's metadata
_DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
# Types of two bytes, as float32. A bfloat16 is the upper half of a float32.
_HALVES: dict[str, Callable[[bytearray], Array]] = {
    "F16": lambda data: np.frombuffer(data, "<f2").astype(np.float32),
    "BF16": lambda data: (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4"),
}
_ZIP = b"PK\3\4"  # the first bytes of a file in that format
_OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # and of one that is older
File: TypeAlias = str | os.PathLike[str] | IO[bytes]
_RESERVED = "__metadata__"  # the one name that safetensors doesn't give to a tensor


def save(obj: Any, f: File) -> None:
    """Write obj to a path or an open file.

    A path that ends in .safetensors gets a safetensors file. obj is made of tensors, dicts with
    text keys, lists, tuples, numbers, text and None. Tensors are saved by value: those that share
    memory come back apart.

    Any other path, and an open file, get PyTorch's format: torch.load and `load` read it. obj is
    made of tensors, dicts, lists, tuples, sets, numbers, text, bytes and None. Tensors that share
    memory share it again when they are loaded.

    The content is written to another file, flushed, and renamed to the path. So a path holds either
    the old content or the new one, and never a part of it.
    A module is refused with a TypeError: save its state_dict().

    >>> import io
    >>> file = io.BytesIO()
    >>> ta.save({"step": 3, "w": ta.ones(2)}, file)
    >>> ta.load(io.BytesIO(file.getvalue()))
    {'step': 3, 'w': tensor([1., 1.])}
    """
    if isinstance(obj, Module):
        raise TypeError(
            f"save: a module ({type(obj).__name__}) is not saved, because loading it would run the "
            "code that a file names; save(module.state_dict(), f), and "
            "module.load_state_dict(load(f)) to get it back"
        )
    if isinstance(f, (str, os.PathLike)) and os.fspath(f).lower().endswith(".safetensors"):
        write_aside(f, as_bytes(obj))
        return
    from tinyattn import _torch_files  # here, because it makes `import tinyattn` slower

    content = _torch_files.write(obj)
    if isinstance(f, (str, os.PathLike)):
        write_aside(f, content)
    else:
        f.write(content)


def as_bytes(obj: Any) -> bytes:
    """The content of the file that `save` writes."""
    from safetensors.numpy import save as to_bytes

    tensors: dict[str, np.ndarray] = {}
    if _is_flat(obj):
        for key, value in obj.items():
            tensors[_text(key, "")] = _array(value)
        structure = None
    else:
        structure = {_STRUCTURE: json.dumps(_flatten(obj, "", tensors))}
    return to_bytes(tensors, structure)


def write_aside(path: str | os.PathLike[str], content: bytes) -> None:
    """Write content to a new file beside path, flush it, and rename it to path.

    So no reader sees a file that is written in part, and where writing fails or is interrupted the
    old file is unchanged. A file that is replaced keeps its permissions. Raises OSError, which
    names path, where path can't be written or is a device, a pipe or a folder.
    """
    target = Path(os.path.realpath(path))  # where path is a link: the file it points to
    if target.exists() and not target.is_file():  # a rename would replace a device by a file
        raise OSError(errno.EINVAL, "expected a file, or nothing, at this path", os.fspath(path))
    if target.exists() and not os.access(target, os.W_OK):  # a rename would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
    aside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(aside, "xb") as file:
            if target.exists():
                shutil.copymode(target, aside)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
        _flush_folder(target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        aside.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a loss of power. Windows and some file systems have no call for it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def load(
    f: File,
    map_location: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Read what `save` or torch.save wrote to a path or an open file, or any safetensors file as a
    dict of tensors. Nothing in the file is executed.

    map_location: the device of the tensors: "cpu", or a function or dict as in PyTorch, which
        changes nothing here. RuntimeError for another device.
    weights_only, mmap: accepted, and change nothing.

    Tensors of float16 and bfloat16 become float32, those of int8 and int16 int32, with a warning.
    Raises FileNotFoundError if there is no file, and ValueError for a file that is incomplete or of
    another kind, and for one that holds a module or another object of a class.
    """
    if not (callable(map_location) or isinstance(map_location, dict)):
        check_device(map_location, "map_location")
    if not isinstance(f, (str, os.PathLike)):
        name, content = getattr(f, "name", "f"), f.read()
        found = _in_pytorchs_format(str(name), io.BytesIO(content))
        return from_bytes(str(name), content) if found is None else found[0]
    with suppress(OSError), open(f, "rb") as file:  # `read_whole` says what is wrong
        found = _in_pytorchs_format(os.fspath(f), file)
        if found is not None:
            return found[0]
    return from_bytes(f, read_whole(f))


def _in_pytorchs_format(name: str, file: IO[bytes]) -> tuple[Any] | None:
    """The content of a file in PyTorch's format; None for another kind of file."""
    start = file.read(len(_OLD))
    if start == _OLD:
        raise ValueError(
            f"{name}: this is PyTorch's file format before 1.6; load it with torch and save it "
            "again"
        )
    if not start.startswith(_ZIP):
        return None
    from tinyattn import _torch_files

    return (_torch_files.read(name, file),)


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a safetensors file. Only its header is checked."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        what = "expected a file, found none"
        raise FileNotFoundError(errno.ENOENT, what, os.fspath(path))
    try:
        with safe_open(
            path, framework="numpy"
        ):  # a large file of another kind is refused before it is read
            return Path(path).read_bytes()
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a whole safetensors file ({error})") from None


def from_bytes(path: str | os.PathLike[str], content: bytes) -> Any:
    """What `as_bytes` was given; errors name path."""
    from safetensors import SafetensorError, deserialize

    try:
        found = deserialize(content)
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a whole safetensors file ({error})") from None
    halves = [name for name, entry in found if entry["dtype"] in _HALVES]
    if halves:
        warnings.warn(
            f"{path}: {len(halves)} tensors of float16 or bfloat16 are converted to float32, among "
            f"them {halves[0]!r}",
            stacklevel=3,
        )
    tensors = {name: _tensor(f"{path}: tensor {name!r}", **entry) for name, entry in found}
    try:
        (size,) = np.frombuffer(content, "<u8", 1)
        metadata = json.loads(content[8 : 8 + int(size)]).get(_RESERVED, {})
        if _STRUCTURE not in metadata:
            return tensors
        return _rebuild(json.loads(metadata[_STRUCTURE]), tensors)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a structure that `save` wrote ({error!r})") from None


def _is_flat(obj: Any) -> bool:
    """Whether obj can be a plain safetensors file: a dict of tensors only."""
    return (
        isinstance(obj, dict)
        and _RESERVED not in obj
        and all(isinstance(value, Tensor) for value in obj.values())
    )


def _tensor(what: str, dtype: str, shape: list[int], data: bytearray) -> Tensor:
    if dtype not in _DTYPES and dtype not in _HALVES:
        known = ", ".join((*_DTYPES, *_HALVES))
        raise ValueError(f"{what}: expected a dtype of {known}, got {dtype}")
    try:
        array = _HALVES[dtype](data) if dtype in _HALVES else np.frombuffer(data, _DTYPES[dtype])
        array = array.reshape(shape)
    except ValueError as error:  # more dimensions than NumPy has
        raise ValueError(f"{what}: {error}") from None
    if dtype == "BOOL" and (array.view(np.uint8) > 1).any():
        raise ValueError(f"{what}: expected 0 or 1 for each bool")
    return from_numpy(array)


def _array(tensor: Tensor) -> np.ndarray:
    return np.array(tensor._array, order="C")


def _text(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"save: {place or 'obj'}: expected text as keys, got {key!r}")
    return key


def _flatten(obj: Any, place: str, tensors: dict[str, np.ndarray]) -> Any:
    """obj as JSON; each tensor goes to `tensors` under its place and leaves its name."""
    if isinstance(obj, Tensor):
        name = place
        while name in tensors or name == _RESERVED:  # {"a.b": ...} beside {"a": {"b": ...}}
            name += "_"
        tensors[name] = _array(obj)
        return {"tensor": name}
    if isinstance(obj, dict):
        return {
            "dict": {
                _text(key, place): _flatten(value, f"{place}.{key}".lstrip("."), tensors)
                for key, value in obj.items()
            }
        }
    if isinstance(obj, (list, tuple)):
        parts = [_flatten(v, f"{place}.{i}".lstrip("."), tensors) for i, v in enumerate(obj)]
        return {"list" if isinstance(obj, list) else "tuple": parts}
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    raise TypeError(
        f"save: {place or 'obj'}: expected a tensor, dict, list, tuple, number, text or None, "
        f"got {type(obj).__name__}"
    )


def _rebuild(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _rebuild(value, tensors) for key, value in content.items()}
    return {"list": list, "tuple": tuple}[kind](_rebuild(value, tensors) for value in content)
