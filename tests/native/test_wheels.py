"""Wheels for other machines: a wheel with a compiled core is one that pip takes."""

import base64
import csv
import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest

# By its path: `native` is the name of this folder, too.
SOURCE = Path(__file__).parents[2] / "native" / "wheels.py"
spec = importlib.util.spec_from_file_location("wheels", SOURCE)
assert spec
assert spec.loader
wheels = importlib.util.module_from_spec(spec)
spec.loader.exec_module(wheels)

OLD = {
    "tinyattn/__init__.py": b"pass\n",
    "tinyattn-1.0.dist-info/METADATA": b"Name: tinyattn\nVersion: 1.0\n",
    "tinyattn-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: x-y-z\n",
    "tinyattn-1.0.dist-info/RECORD": b"tinyattn/__init__.py,,\n",
}


@pytest.mark.parametrize("name", wheels.TARGETS)
def test_a_wheel_has_the_core_its_tags_and_the_digest_of_each_file(
    name: str, tmp_path: Path
) -> None:
    target = wheels.TARGETS[name]
    base, module = tmp_path / "tinyattn-1.0-cp311-cp311-x.whl", tmp_path / f"_core{target.suffix}"
    with zipfile.ZipFile(base, "w") as file:
        for entry, content in OLD.items():
            file.writestr(entry, content)
    module.write_bytes(b"machine code")
    made = wheels.wheel(base, module, target, tmp_path)
    assert made.name == f"tinyattn-1.0-cp311-abi3-{target.tag}.whl"
    with zipfile.ZipFile(made) as file:
        contents = {entry: file.read(entry) for entry in file.namelist()}
    core = f"tinyattn/kernels/native/_core{target.suffix}"
    assert contents.keys() == OLD.keys() | {core}
    assert contents[core] == b"machine code"
    stated = contents["tinyattn-1.0.dist-info/WHEEL"].decode()
    assert stated == "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n" + "".join(
        f"Tag: cp311-abi3-{tag}\n" for tag in target.tag.split(".")
    )
    record = list(csv.reader(contents["tinyattn-1.0.dist-info/RECORD"].decode().splitlines()))
    assert {entry for entry, _, _ in record} == contents.keys()
    for entry, digest, size in record:
        if not entry.endswith("/RECORD"):
            found = base64.urlsafe_b64encode(hashlib.sha256(contents[entry]).digest())
            assert digest == "sha256=" + found.decode().rstrip("=")
            assert int(size) == len(contents[entry])


def test_a_wheel_is_the_same_to_the_byte_every_time(tmp_path: Path) -> None:
    base, module = tmp_path / "tinyattn-1.0-cp311-cp311-x.whl", tmp_path / "_core.pyd"
    with zipfile.ZipFile(base, "w") as file:
        for entry, content in OLD.items():
            file.writestr(entry, content)
    module.write_bytes(b"machine code")
    target = wheels.TARGETS["windows-x86_64"]
    first = wheels.wheel(base, module, target, tmp_path).read_bytes()
    assert wheels.wheel(base, module, target, tmp_path).read_bytes() == first


def test_a_target_that_is_not_known_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["wheels", "amiga"])
    with pytest.raises(SystemExit):
        wheels.main()
    assert "expected one of linux-x86_64, linux-arm64" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["ziglang", "build"])
def test_a_missing_package_is_named(
    package: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    found = importlib.util.find_spec("json")
    monkeypatch.setattr(wheels, "find_spec", lambda name: None if name == package else found)
    monkeypatch.setattr("sys.argv", ["wheels", "--out", str(tmp_path / "dist")])
    with pytest.raises(SystemExit) as end:
        wheels.main()
    folder = importlib.util.spec_from_loader(package, None)  # of a folder, not of a package
    monkeypatch.setattr(wheels, "find_spec", lambda name: folder if name == package else found)
    with pytest.raises(SystemExit):
        wheels.main()
    says = f"native.wheels: {package} is not installed: pip install ziglang build\n"
    assert (end.value.code, capsys.readouterr().err) == (2, 2 * says)
    assert not (tmp_path / "dist").exists()
