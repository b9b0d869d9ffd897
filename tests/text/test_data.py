"""Reading, splitting and batching pairs; every complaint is one line that says where and what."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyattn.text.data import DataError, batches, read_pairs, split_by_source
from tinyattn.text.vocab import BOS, EOS, PAD


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "pairs.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- reading --------------------------------------------------------------------------------------


def test_first_two_columns_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "嗨。\tHi.\tby someone\n你好\tHello\n")
    assert read_pairs(path) == [("嗨。", "Hi."), ("你好", "Hello")]
    assert read_pairs(str(path), swap=True) == [("Hi.", "嗨。"), ("Hello", "你好")]


def test_byte_order_mark_crlf_blank_lines_and_missing_last_newline(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffa\tb\r\n\r\n  \n c  d \te\u2028f")
    assert read_pairs(path) == [("a", "b"), ("c d", "e f")]


def test_only_lf_ends_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a\tb\x85c\nd\n")
    with pytest.raises(DataError, match=r"pairs\.tsv:2: "):
        read_pairs(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": expected lines of source TAB target, got an empty file"),
        ("\n \n", ": expected lines of source TAB target, got only blank lines"),
        ("a\tb\n\nc d\n", ":3: expected source TAB target, got one column: 'c d'"),
        ("a\t\n", ":1: expected source TAB target, got an empty second column: 'a\\t'"),
        ("a\tb\n \tb\r\n", ":2: expected source TAB target, got an empty first column: ' \\tb'"),
        (
            "a\tb\n" + "x" * 99,
            ":2: expected source TAB target, got one column: '" + "x" * 39 + "…'",
        ),
        (
            b"a\tb\nc\t\xff\xfe\n",
            ":2: expected UTF-8, got byte 0xff at column 3 (invalid start byte)",
        ),
        ("嗨\tHi\n".encode("gb18030"), ":1: expected UTF-8, got byte 0xe0 at column 1 "),
        ("a\tb\n".encode("utf-16"), ":1: expected UTF-8, got byte 0xff at column 1 "),
    ],
)
def test_bad_content_is_named(tmp_path: Path, content: bytes | str, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(DataError) as caught:
            read_pairs(path)
        assert str(caught.value).startswith(f"{path}: expected a text file that can be read: ")
        assert reason in str(caught.value)


# --- splitting ------------------------------------------------------------------------------------

pairs_with_repeats = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.text("xyz", max_size=2)), max_size=60
)


@given(pairs_with_repeats, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32))
def test_no_source_stands_in_two_parts(
    pairs: list[tuple[str, str]], valid: int, test: int, seed: int
) -> None:
    distinct = {source for source, _ in pairs}
    if len(distinct) <= valid + test:
        with pytest.raises(DataError, match="distinct sources, got"):
            split_by_source(pairs, valid, test, seed)
        return
    parts = split_by_source(pairs, valid, test, seed)
    sources = [{source for source, _ in part} for part in parts]
    assert [len(s) for s in sources] == [len(distinct) - valid - test, valid, test]
    assert set.union(*sources) == distinct
    assert sum(map(len, sources)) == len(distinct)
    assert sorted(pair for part in parts for pair in part) == sorted(pairs)
    assert parts == split_by_source(pairs, valid, test, seed)


def test_seed_decides_and_order_is_kept() -> None:
    pairs = [(str(i), "x") for i in range(100)]
    first, other = split_by_source(pairs, 10, 10, 0), split_by_source(pairs, 10, 10, 1)
    assert first[2] != other[2]
    assert first[0] == sorted(first[0], key=pairs.index)


def test_split_refuses_what_cannot_be() -> None:
    with pytest.raises(
        DataError, match=r"more than valid \+ test = 2 distinct sources, got 1 in 2 pairs"
    ):
        split_by_source([("a", "b"), ("a", "c")], 1, 1, 0)
    with pytest.raises(ValueError, match="valid, test: expected at least 0, got -1 and 0"):
        split_by_source([("a", "b")], -1, 0, 0)


# --- batches --------------------------------------------------------------------------------------

ids = st.lists(st.integers(4, 50), max_size=9)
id_pairs = st.lists(st.tuples(ids.filter(len), ids), max_size=40)


@given(id_pairs, st.integers(1, 7), st.none() | st.integers(0, 9), st.integers(0, 3))
def test_batches_hold_every_pair_once_padded_and_longest_first(
    pairs: list[tuple[list[int], list[int]]], size: int, seed: int | None, epoch: int
) -> None:
    seen: list[int] = []
    for batch in batches(pairs, size, seed, epoch):
        rows = len(batch.index)
        assert rows <= size
        for array in (batch.source, batch.lengths, batch.target_in, batch.target_out, batch.index):
            assert array.dtype == np.int64
            assert array.shape[0] == rows
        assert np.all(np.diff(batch.lengths) <= 0)
        assert batch.source.shape[1] == batch.lengths[0]
        assert batch.target_in.shape == batch.target_out.shape
        for row, where in enumerate(batch.index):
            source, target = pairs[where]
            t = len(target)
            assert batch.source[row, : len(source)].tolist() == source
            assert batch.lengths[row] == len(source)
            assert batch.target_in[row, : t + 1].tolist() == [BOS, *target]
            assert batch.target_out[row, : t + 1].tolist() == [*target, EOS]
            assert np.all(batch.source[row, len(source) :] == PAD)
            assert np.all(batch.target_in[row, t + 1 :] == PAD)
            assert np.all(batch.target_out[row, t + 1 :] == PAD)
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(len(pairs)))


def order(seed: int | None, epoch: int = 0) -> list[int]:
    pairs = [([4] * (i % 7 + 1), [5]) for i in range(200)]
    return [int(i) for batch in batches(pairs, 8, seed, epoch) for i in batch.index]


def test_seed_and_epoch_decide_the_order() -> None:
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1, epoch=0) != order(1, epoch=1)


def test_without_a_seed_short_ones_come_first() -> None:
    pairs = [([4] * n, [5]) for n in (3, 1, 2, 5, 4)]
    assert [batch.lengths.tolist() for batch in batches(pairs, 2)] == [[2, 1], [4, 3], [5]]


def test_bucketing_leaves_little_padding() -> None:
    draw = np.random.default_rng(0)
    pairs = [([4] * int(n), [5] * int(n)) for n in draw.integers(1, 30, 4000)]
    filled = sum(int((batch.source != PAD).sum()) for batch in batches(pairs, 32, 0))
    cells = sum(batch.source.size for batch in batches(pairs, 32, 0))
    assert filled / cells > 0.95


def test_batches_refuse_what_cannot_be() -> None:
    with pytest.raises(DataError, match="pair 1: expected a source of at least one token"):
        next(batches([([4], [5]), ([], [5])], 2))
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        next(batches([([4], [5])], 0))
