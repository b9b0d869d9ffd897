"""save and load: tensors, and dicts and lists of them with numbers and text, in a safetensors file.

A flat dict of tensors, such as a state_dict, becomes a file that any safetensors reader
understands; other structure is kept as JSON in the file's metadata. Loading executes nothing.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.ops.creation import from_numpy

_STRUCTURE = "structure"
_TENSOR = "tensor"


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write obj (dicts with text keys, lists, tuples, tensors, numbers, text, None) to path.

    The file is written aside, flushed and renamed: path holds the old content or the new, whole.
    """
    from safetensors.numpy import save as to_bytes

    tensors: dict[str, np.ndarray] = {}
    if isinstance(obj, dict) and all(isinstance(v, Tensor) for v in obj.values()):
        for key, value in obj.items():
            tensors[_text(key)] = np.ascontiguousarray(value._array)
        structure = None
    else:
        structure = {_STRUCTURE: json.dumps(_flatten(obj, "", tensors))}
    write_aside(path, to_bytes(tensors, structure))


def write_aside(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that it is never seen half written: aside, flushed, renamed."""
    target = Path(path)
    handle, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(aside, 0o666 & ~mask)
        os.replace(aside, target)
    except BaseException:
        os.unlink(aside)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote to path; also any safetensors file, as a dict of tensors.

    FileNotFoundError where there is none; ValueError for a file that is cut or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a safetensors file, found none")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: from_numpy(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a whole safetensors file ({error})") from None
    if _STRUCTURE not in metadata:
        return tensors
    return _rebuild(json.loads(metadata[_STRUCTURE]), tensors)


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"save: expected text as keys, got {key!r}")
    return key


def _flatten(obj: Any, place: str, tensors: dict[str, np.ndarray]) -> Any:
    """obj as JSON; each tensor goes to `tensors` under its place and leaves its name."""
    if isinstance(obj, Tensor):
        tensors[place] = np.ascontiguousarray(obj._array)
        return {_TENSOR: place}
    if isinstance(obj, dict):
        items = {_text(k): _flatten(v, f"{place}.{k}".lstrip("."), tensors) for k, v in obj.items()}
        return {"dict": items}
    if isinstance(obj, (list, tuple)):
        parts = [_flatten(v, f"{place}.{i}".lstrip("."), tensors) for i, v in enumerate(obj)]
        return {"list" if isinstance(obj, list) else "tuple": parts}
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    raise TypeError(
        f"save: {place or 'obj'}: expected a tensor, dict, list, tuple, number, text or None, "
        f"got {type(obj).__name__}"
    )


def _rebuild(tree: Any, tensors: dict[str, Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == _TENSOR:
        return tensors[content]
    if kind == "dict":
        return {key: _rebuild(value, tensors) for key, value in content.items()}
    parts = [_rebuild(value, tensors) for value in content]
    return parts if kind == "list" else tuple(parts)
