"""What happened in one translation: what a trace holds, refuses, and writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyattn.viz import Trace

HOSTILE = ["</script>", "a\0b\0", "$", "\u202eabc", "👩‍👩‍👧", "<img src=x onerror=alert(1)>"]

SIDES = ("source", "target")
WORDS = {
    "source": {"starts": [0, 1], "texts": ["看", "书"]},
    "target": {"starts": [0, 2], "texts": ["read a", "<eos>"]},
}


def trace(**changes: Any) -> Trace:
    """A trace of two source and three target tokens with all its fields."""
    some: dict[str, Any] = {
        "sentence": "看书",
        "translation": "read a",
        "source": ["看", "书"],
        "target": ["read", "a", "<eos>"],
        "attention": {"cross": [[[[0.5, 0.5], [1, 0], [0.25, 0.75]]]]},
        "probabilities": np.float32([0.9, 0.5, 0.1]),
        "entropies": [0.1, 0.2, 0.3],
        "alternatives": [["read", "a"], ["a", "read"], ["<eos>", "a"]],
        "alternative_probabilities": [[0.9, 0.05], [0.5, 0.1], [0.1, 0.05]],
        "covered": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]],
        "gates": {"encoder": {"reset": np.ones((2, 2, 3))}},
        "beam": {"tokens": [["read", ""]], "parents": np.array([[0, -1]])},
    }
    return Trace(**{**some, **changes})


@pytest.mark.parametrize("name", ["one.npz", "one.json", "no suffix"])
def test_what_is_saved_is_loaded(tmp_path: Path, name: str) -> None:
    source = HOSTILE[:2]
    saved = trace(source=source, sentence="\0".join(HOSTILE), words=WORDS)
    saved.save(tmp_path / name)
    loaded = Trace.load(tmp_path / name)
    assert loaded.to_dict() == saved.to_dict()
    assert loaded.source == source
    assert loaded.words == WORDS
    assert loaded.gates["encoder"]["reset"].shape == (2, 2, 3)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_json_and_npz_are_plain(tmp_path: Path) -> None:
    trace().save(tmp_path / "one.json")
    text = (tmp_path / "one.json").read_text(encoding="utf-8")
    assert json.loads(text)["source"] == ["看", "书"]
    assert '"看"' in text
    assert text.endswith("}\n")
    trace().save(tmp_path / "one.npz")
    with np.load(tmp_path / "one.npz") as arrays:
        np.testing.assert_array_equal(arrays["attention.cross"], trace().attention["cross"])
        assert arrays["probabilities"].dtype == np.float32


def test_effective_words_count_those_that_share_the_weight() -> None:
    np.testing.assert_allclose(trace().effective_words()[:2], [2, 1])
    two = np.array([[[[1.0, 0.0]]], [[[0.0, 1.0]]]])  # two layers that look at different words
    one = Trace("看书", "x", ["看", "书"], ["x"], attention={"cross": two})
    np.testing.assert_allclose(one.effective_words(), [2])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attention": {}}, "attention: expected 'cross' in it, got []"),
        (
            {"attention": {"cross": np.ones((3, 2))}},
            r"attention: expected cross of shape (L, h, 3, 2), got (3, 2)",
        ),
        (
            {"attention": {"cross": np.ones((1, 1, 2, 3))}},
            r"attention: expected cross of shape (L, h, 3, 2), got (1, 1, 2, 3)",
        ),
        (
            {"attention": {"cross": np.ones((1, 0, 3, 2))}},
            r"attention: expected cross of shape (L, h, 3, 2), got (1, 0, 3, 2)",
        ),
        (
            {"attention": {"cross": np.full((1, 1, 3, 2), np.nan)}},
            "attention: expected numbers from 0 to 1 in cross",
        ),
        (
            {"attention": {"cross": np.full((1, 1, 3, 2), 1.00105)}},
            "attention: expected numbers from 0 to 1 in cross",
        ),
        (
            {"alternatives": [["a", "b"], ["a", "b"], ["a"]]},
            "alternatives: expected 2 at each step, as at the first",
        ),
        (
            {"words": {**WORDS, "source": {"starts": [1], "texts": ["书"]}}},
            "words: expected source starts that grow from 0 to below 2, and a text for each, "
            "got [1] and ['书']",
        ),
        (
            {"attention": {"cross": np.ones((1, 1, 3, 2)), "other": np.ones((1, 1, 3, 2))}},
            "attention: expected names of ['cross', 'encoder', 'decoder'], got 'other'",
        ),
        (
            {"target": [], "attention": {"cross": np.ones((1, 1, 0, 2))}},
            "source, target: expected at least one token each, got 2, 0",
        ),
        (
            {"alternative_probabilities": None},
            "alternatives: expected them with alternative_probabilities",
        ),
        (
            {"alternatives": [["a", "b"], ["a"], ["a", "b"]]},
            "alternatives: expected 2 at each step, as at the first",
        ),
        (
            {"words": {side: {"starts": [0, 2], "texts": ["a", "b"]} for side in SIDES}},
            "words: expected source starts that grow from 0 to below 2, and a text for each, "
            "got [0, 2] and ['a', 'b']",
        ),
        (
            {"words": {side: {"starts": [0], "texts": []} for side in SIDES}},
            "words: expected source starts that grow from 0 to below 2, and a text for each, "
            "got [0] and []",
        ),
        ({"probabilities": [1, 2]}, "probabilities: expected shape (3,), got (2,)"),
        ({"entropies": [1, 2]}, "entropies: expected shape (3,), got (2,)"),
        ({"covered": np.ones((2, 3))}, "covered: expected shape (3, 2), got (2, 3)"),
        ({"alternatives": [["a"]]}, "alternatives: expected shape (3,), got (1,)"),
        (
            {"alternative_probabilities": np.ones((3, 1))},
            "alternative_probabilities: expected shape (3, 2), got (3, 1)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as error:
        trace(**changes)
    assert str(error.value) == says


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"what": 1}', b"\xff", b'{"source": ["a"]}', b"{"]
)
@pytest.mark.parametrize("name", ["bad.json", "bad.npz"])
def test_files_that_hold_no_trace_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: expected a trace: "):
        Trace.load(tmp_path / name)


def test_an_archive_without_a_trace_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"other\.npz: expected a trace: "):
        Trace.load(tmp_path / "other.npz")


def test_weights_may_be_above_1_by_a_rounding_error() -> None:
    bound = np.full((1, 1, 3, 2), 1 + 1e-3)
    np.testing.assert_array_equal(trace(attention={"cross": bound}).attention["cross"], bound)


@pytest.mark.parametrize("found", [[], {"what": 1}])
def test_what_is_no_trace_is_told_what_one_holds(found: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^trace: expected a dict of \['alternative_probabilities'"
    ):
        Trace.from_dict(found)


def test_what_the_file_can_not_hold_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        trace(probabilities=[0.5, np.nan, 0.5]).save(tmp_path / "one.json")
    with pytest.raises(ValueError, match=r"beam\.parents: expected an array of numbers, got one"):
        trace(beam={"parents": np.array([None])}).save(tmp_path / "one.npz")
    assert list(tmp_path.iterdir()) == []
