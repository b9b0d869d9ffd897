"""save and load: everything comes back as it was, files stay whole, and nothing is executed."""

import contextlib
import errno
import json
import os
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import tinyattn as ta
import tinyattn.nn as nn
from tinyattn.utils import write_aside

DTYPES = [ta.float32, ta.float64, ta.int64, ta.int32, ta.uint8, ta.bool]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved") / "file.safetensors"


def same(a: Any, b: Any) -> bool:
    """Whether a and b are equal in structure, types, dtypes, shapes and values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, ta.Tensor):
        x, y = a.detach().numpy(), b.detach().numpy()
        return a.dtype == b.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def test_same_tells_apart() -> None:
    """The yardstick of the tests below."""
    x = ta.ones(2)
    apart = [
        (x, x.double()), (x, ta.ones(1, 2)), (x, ta.tensor([1.0, 2.0])), ([x], (x,)), (1, 1.0),
        (1, True), ({"a": x}, {"b": x}), ({"a": x}, {"a": ta.zeros(2)}), ([x], [x, x]),
    ]  # fmt: skip
    assert not any(same(a, b) for a, b in apart)
    assert same({"a": [x, None]}, {"a": [ta.ones(2), None]})


shapes = st.lists(st.integers(0, 3), max_size=3)
tensors = st.builds(
    lambda shape, dtype, seed: ta.tensor(
        np.random.default_rng(seed).integers(-9, 9, shape).astype(dtype)
    ),
    shapes,
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
keys = st.one_of(st.sampled_from(["", ".", "a", "b", "a.b", "a_", "0", "__metadata__"]), st.text())
leaves = st.one_of(tensors, st.none(), st.booleans(), st.integers(), st.floats(), st.text())
objects = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=12,
)


@given(objects)
def test_any_nesting_comes_back(path: Path, obj: Any) -> None:
    ta.save(obj, path)
    assert same(ta.load(path), obj)
    assert os.listdir(path.parent) == [path.name]


@given(st.dictionaries(keys.filter(lambda key: key != "__metadata__"), tensors, max_size=4))
def test_a_flat_dict_of_tensors_is_a_plain_safetensors_file(path: Path, flat: Any) -> None:
    ta.save(flat, path)
    found = load_file(path)
    assert found.keys() == flat.keys()
    for name, array in found.items():
        assert same(ta.from_numpy(array.copy()), flat[name])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_dtypes_and_shapes_stay(path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    for wrap in (lambda x: x, lambda x: {"x": x}, lambda x: [x, 1]):
        obj = wrap(ta.ones(*shape, dtype=dtype) if shape else ta.tensor(1, dtype=dtype))
        ta.save(obj, path)
        assert same(ta.load(path), obj)


@pytest.mark.parametrize(
    "obj",
    [
        {"a.b": ta.zeros(2), "a": {"b": ta.ones(2)}},
        {"a": {"b": ta.ones(2)}, "a.b": ta.zeros(2)},
        {"a.b": ta.zeros(2), "a": {"b": ta.ones(2)}, "a.b_": ta.ones(1), "n": 1},
        {"": ta.zeros(1), "x": {"": ta.ones(1)}},
        {".a": ta.zeros(1), "a": [ta.ones(1)], "a.0": ta.zeros(3)},
        {"__metadata__": ta.ones(2)},
        [{"__metadata__": ta.ones(2)}, ta.zeros(1)],
    ],
)
def test_names_that_meet_in_the_file_stay_apart(path: Path, obj: Any) -> None:
    ta.save(obj, path)
    assert same(ta.load(path), obj)


def test_a_state_dict_goes_into_another_model(path: Path) -> None:
    a, b = nn.GRU(3, 4), nn.GRU(3, 4)
    ta.save(a.state_dict(), path)
    b.load_state_dict(ta.load(path))
    x = ta.randn(5, 2, 3)
    assert same(a(x)[0].detach(), b(x)[0].detach())


def test_views_are_saved_with_their_own_values_only(path: Path) -> None:
    base = ta.arange(10_000).reshape(100, 100)
    views = {"row": base[3], "t": base.t(), "step": base[::7, 1], "wide": base[0].unsqueeze(0)}
    ta.save({**views, "flip": ta.zeros(3).expand(4, 3)}, path)
    loaded = ta.load(path)
    assert loaded["flip"].shape == (4, 3)
    assert all((loaded[name] == view).all() for name, view in views.items())
    ta.save({"row": base[3]}, path)
    assert path.stat().st_size < 2000


def test_what_shares_memory_comes_back_apart(path: Path) -> None:
    x = ta.ones(3)
    ta.save([x, x, x[:2]], path)
    first, second, third = ta.load(path)
    first[0] = 5
    assert second.tolist() == [1, 1, 1]
    assert third.tolist() == [1, 1]
    assert x.tolist() == [1, 1, 1]
    assert ta.load(path)[0].tolist() == [1, 1, 1]


def test_loaded_tensors_can_be_trained(path: Path) -> None:
    ta.save({"w": nn.Parameter(ta.ones(2))}, path)
    w = ta.load(path)["w"].requires_grad_()
    (w * w).sum().backward()
    assert w.grad.tolist() == [2, 2]
    w.grad.zero_()


def test_any_safetensors_file_is_read(path: Path) -> None:
    save_file({"x": np.arange(3)}, path, metadata={"format": "pt", "structure": "not ours"})
    assert same(ta.load(path), {"x": ta.arange(3)})


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({1: ta.ones(1)}, "save: obj: expected text as keys, got 1"),
        ({"a": {"b": {None: 1}}}, "save: a.b: expected text as keys, got None"),
        ({"a": [1, {2, 3}]}, "save: a.1: expected a tensor, .*got set"),
        (np.ones(2), "save: obj: expected a tensor, .*got ndarray"),
        ({"f": len}, "save: f: expected a tensor, .*got builtin_function_or_method"),
    ],
)
def test_what_cannot_be_saved_is_named(tmp_path: Path, obj: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        ta.save(obj, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("obj", [{"x": ta.ones(500)}, [ta.ones(500), "text"]])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, obj: Any, share: float) -> None:
    path = tmp_path / "cut.safetensors"
    ta.save(obj, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cut.safetensors: expected a whole safetensors file"):
        ta.load(path)


@pytest.mark.parametrize("content", [b"hello, world\n" * 99, b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ValueError, match=r"other: expected a whole safetensors file"):
        ta.load(tmp_path / "other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "gone", tmp_path):
        with pytest.raises(FileNotFoundError) as error:
            ta.load(missing)
        assert error.value.filename == str(missing)


@pytest.mark.parametrize(("dtype", "name"), [("i1", "I8"), ("i2", "I16")])
def test_a_dtype_that_is_not_ours_is_named_with_its_tensor(
    path: Path, dtype: str, name: str
) -> None:
    save_file({"x": np.zeros(2, dtype)}, path)
    with pytest.raises(ValueError, match=f"tensor 'x': expected a dtype of .*, got {name}"):
        ta.load(path)


def written(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file made by hand, of any header and any claim of the header's length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str, shape: list[int], end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


def test_the_files_made_by_hand_are_good_where_nothing_is_wrong(path: Path) -> None:
    assert same(ta.load(written(path, {"x": entry("F32", [2], 8)}, bytes(8))), {"x": ta.zeros(2)})
    assert same(
        ta.load(written(path, {"x": entry("BOOL", [1], 1)}, b"\1")), {"x": ta.tensor([True])}
    )


@pytest.mark.parametrize(
    ("header", "length", "message"),
    [
        (b"{}", 2**63 - 1, "expected a whole safetensors file"),
        (b"{}", 2**64 - 1, "expected a whole safetensors file"),
        (b"{}", 90_000_000, "expected a whole safetensors file"),
        (b"[]", None, "expected a whole safetensors file"),
        (b"\xff\xfe", None, "expected a whole safetensors file"),
        ({"x": entry("F32", [2**40], 8)}, None, "expected a whole safetensors file"),
        ({"x": entry("F32", [2**40, 2**40], 8)}, None, "expected a whole safetensors file"),
        ({"x": entry("F32", [2], 2**62)}, None, "expected a whole safetensors file"),
        ({"x": entry("F32", [-2], 8)}, None, "expected a whole safetensors file"),
        ({"x": entry("F64", [2], 8)}, None, "expected a whole safetensors file"),
        ({"x": entry("F33", [2], 8)}, None, "expected a whole safetensors file"),
        ({"x": entry("F32", [1] * 65 + [2], 8)}, None, "tensor 'x': maximum supported dimension"),
        ({"x": entry("BOOL", [8], 8)}, None, "tensor 'x': expected 0 or 1 for each bool"),
        (
            {"x": entry("F32", [2], 8), "__metadata__": {"tinyattn.structure": "[" * 200_000}},
            None,
            "expected a structure that `save` wrote",
        ),
        (
            {
                "x": entry("F32", [2], 8),
                "__metadata__": {"tinyattn.structure": '{"list":[' * 90_000 + "]}" * 90_000},
            },
            None,
            "expected a structure that `save` wrote",
        ),
    ],
)
def test_a_hostile_file_is_refused_in_little_memory(
    path: Path, header: Any, length: int | None, message: str
) -> None:
    written(path, header, b"\2" * 8, length)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"file\.safetensors: {message}"):
            ta.load(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "structure",
    [
        "not JSON",
        "__import__('os').mkdir('executed')",
        '{"tensor": "gone"}',
        '{"tensor": ["x"]}',
        '{"dict": 3}',
        '{"set": [1]}',
        '{"list": 3}',
        '{"list": [], "tuple": []}',
        "{}",
    ],
)
def test_a_forged_structure_is_refused_and_not_executed(
    tmp_path: Path, monkeypatch: Any, structure: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"x": np.zeros(2)}, "forged", metadata={"tinyattn.structure": structure})
    with pytest.raises(ValueError, match="forged: expected a structure that `save` wrote"):
        ta.load("forged")
    assert os.listdir() == ["forged"]


def test_the_forgeries_are_where_the_structure_stands(tmp_path: Path) -> None:
    structure = json.dumps({"list": [{"tensor": "x"}, 1]})
    save_file({"x": np.zeros(2)}, tmp_path / "x", metadata={"tinyattn.structure": structure})
    assert same(ta.load(tmp_path / "x"), [ta.zeros(2, dtype=ta.float64), 1])


# --- the file on the disk -------------------------------------------------------------------------


def fails_with(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_the_old_file_survives_a_save_that_fails(
    tmp_path: Path, monkeypatch: Any, step: str, reason: BaseException
) -> None:
    path = tmp_path / "model.safetensors"
    ta.save([1, ta.ones(2)], path)
    monkeypatch.setattr(os, step, fails_with(reason))
    with pytest.raises(type(reason)) as error:
        ta.save([2, ta.zeros(2)], path)
    if isinstance(error.value, OSError):
        assert error.value.filename == str(path)
        assert error.value.errno == errno.ENOSPC
    assert same(ta.load(path), [1, ta.ones(2)])
    assert os.listdir(tmp_path) == ["model.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX flushes folders")
@pytest.mark.parametrize(("number", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_has_nothing_to_flush_is_no_error_but_a_failing_disk_is(
    tmp_path: Path, monkeypatch: Any, number: int, raises: bool
) -> None:
    flush = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(OSError, match="model") if raises else contextlib.nullcontext():
        ta.save([1], tmp_path / "model.safetensors")
    assert ta.load(tmp_path / "model.safetensors") == [1]


def test_the_old_file_survives_what_cannot_be_saved(tmp_path: Path) -> None:
    ta.save([1], tmp_path / "model.safetensors")
    with pytest.raises(TypeError):
        ta.save([object()], tmp_path / "model.safetensors")
    assert ta.load(tmp_path / "model.safetensors") == [1]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for place in (tmp_path / "no" / "folder", tmp_path):
        with pytest.raises(OSError, match=str(place)) as error:
            ta.save([1], place)
        assert error.value.filename == str(place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX has files that are no files")
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="expected a file, or nothing"):
        ta.save([1], tmp_path / "pipe")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these permissions")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_aside(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_protected_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)  # root may write all
    with pytest.raises(PermissionError) as error:
        write_aside(path, b"new")
    assert (error.value.filename, error.value.errno) == (str(path), errno.EACCES)
    assert path.read_bytes() == b"old"
    write_aside(tmp_path / "other", b"new")  # nothing stands there yet


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "model.safetensors")
    ta.save([1], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert ta.load(tmp_path / "model.safetensors") == [1]


def test_a_saved_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    ta.save([1], tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "usual").stat().st_mode


def halves_file(path, dtype, numbers):
    """A safetensors file, by hand, of one tensor "x" with numbers of two bytes."""
    data = np.array(numbers, "<u2").tobytes()
    header = {"x": {"dtype": dtype, "shape": [len(numbers)], "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [
        ("F16", [0x3C00, 0xC000, 0x0001, 0x7C00, 0x8000]),
        ("BF16", [0x3F80, 0xC000, 0x0001, 0x7F80, 0x8000]),
    ],
)
def test_numbers_of_two_bytes_become_float32_with_a_warning(tmp_path, dtype, numbers):
    path = halves_file(tmp_path / "half.safetensors", dtype, numbers)
    smallest = {"F16": 2.0**-24, "BF16": 2.0**-133}[dtype]
    message = r"1 tensors of float16 or bfloat16 .* float32, .*'x'"
    with pytest.warns(UserWarning, match=message) as caught:
        x = ta.load(path)["x"]
    assert caught[0].filename == __file__
    assert x.dtype == ta.float32
    assert x.tolist() == [1.0, -2.0, smallest, np.inf, 0.0]
    assert np.signbit(x.numpy()[4])


def test_a_save_leaves_no_file_open(path):
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc, where Linux lists the open files")
    ta.save({"x": ta.ones(2)}, path)
    before = len(os.listdir("/proc/self/fd"))
    ta.save({"x": ta.ones(2)}, path)
    assert len(os.listdir("/proc/self/fd")) == before
