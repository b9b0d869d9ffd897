"""Reading, splitting and batching pairs; every complaint is one line that says where and what."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyattn.text.data import (
    DataError,
    batches,
    count_batches,
    drop_long,
    lines_of,
    read_pairs,
    split_by_source,
)
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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(tmp_path: Path, end: str) -> None:
    path = written(tmp_path, end.join(["a\tb", "", "c\td"]))
    assert read_pairs(path) == [("a", "b"), ("c", "d")]
    path = written(tmp_path, end.join(["a\tb", "", "c", ""]))
    with pytest.raises(DataError, match=r"pairs\.tsv:3: "):
        read_pairs(path)


def test_other_separators_of_unicode_do_not_end_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a\tb\x85c\u2028d\x0be\nf\tg\n")
    assert read_pairs(path) == [("a", "b c d e"), ("f", "g")]


def test_pairs_are_in_their_normal_form(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffcafe\u0301\u200b\tb\ufeff\n\u200b\n")
    assert read_pairs(path) == [("café", "b")]


def test_lines_come_one_by_one_with_their_places() -> None:
    file = io.BytesIO(b"\xef\xbb\xbfone\r\n\r\ntwo \rthree\n\xff")
    lines = lines_of(file, "in.txt")
    assert [next(lines) for _ in range(4)] == [
        ("in.txt:1", "one"),
        ("in.txt:2", ""),
        ("in.txt:3", "two "),
        ("in.txt:4", "three"),
    ]
    with pytest.raises(DataError, match=r"^in\.txt:5: expected UTF-8, got byte 0xff"):
        next(lines)
    assert list(lines_of(io.BytesIO(b""), "in.txt")) == []


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
            ":2: expected UTF-8, got byte 0xff (invalid start byte); convert the file to UTF-8",
        ),
        ("嗨\tHi\n".encode("gb18030"), ":1: expected UTF-8, got byte 0xe0 "),
        ("a\tb\n".encode("utf-16"), ":1: expected UTF-8, got the byte order mark of UTF-16"),
        (
            b"\xfe\xff" + "a\tb\n".encode("utf-16-be"),
            ":1: expected UTF-8, got the byte order mark of UTF-16",
        ),
        ("a\tb\n".encode("utf-16-le"), ":1: expected UTF-8, got a zero byte"),
        ("\u200b\tb\n", ":1: expected source TAB target, got an empty first column: "),
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


@pytest.mark.parametrize("other", ["I \u200bleft.", "\ufeffi left.", "I  LEFT."])
def test_spellings_of_one_source_stay_together(other: str) -> None:
    sources = ["I left.", other, *map(str, range(20))]
    for seed in range(20):
        parts = split_by_source([(source, "x") for source in sources], 5, 5, seed)
        homes = [
            i for i, part in enumerate(parts) for source, _ in part if "left" in source.lower()
        ]
        assert homes[0] == homes[1]


def test_the_split_of_distinct_sources_is_what_it_always_was() -> None:
    pairs = [(f"{i} a", "x") for i in range(8)]
    _, valid, test = split_by_source(pairs, 2, 2, seed=0)
    assert [source for source, _ in valid + test] == ["1 a", "4 a", "2 a", "5 a"]


# --- what is too long -----------------------------------------------------------------------------


def test_pairs_too_long_on_either_side_are_left_out_and_counted() -> None:
    pairs = [([4] * n, [5] * m) for n, m in ((3, 3), (4, 1), (1, 4), (1, 0))]
    assert drop_long(pairs, 3) == ([pairs[0], pairs[3]], 2)
    assert drop_long(pairs, 4) == (pairs, 0)
    with pytest.raises(ValueError, match="max_length: expected at least 1, got 0"):
        drop_long(pairs, 0)


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


@given(id_pairs, st.integers(1, 7), st.none() | st.integers(0, 9), st.integers(1, 60))
def test_no_batch_has_more_tokens_than_it_may_unless_a_pair_has(
    pairs: list[tuple[list[int], list[int]]], size: int, seed: int | None, most: int
) -> None:
    found = list(batches(pairs, size, seed, max_tokens=most))
    for batch in found:
        assert batch.source.size + batch.target_in.size <= most or len(batch.index) == 1
    assert sorted(int(i) for batch in found for i in batch.index) == list(range(len(pairs)))
    assert len(found) == count_batches(pairs, size, seed, max_tokens=most)


@given(id_pairs, st.integers(1, 7), st.integers(0, 9))
def test_only_batches_beyond_the_bound_are_cut(
    pairs: list[tuple[list[int], list[int]]], size: int, seed: int
) -> None:
    """The others are the same, in the same order: only neighbours of a cut belong together."""
    whole = [batch.index.tolist() for batch in batches(pairs, size, seed, max_tokens=10**9)]
    cut = [batch.index.tolist() for batch in batches(pairs, size, seed, max_tokens=40)]
    assert [i for rows in cut for i in rows] == [i for rows in whole for i in rows]
    for rows in whole:
        width = max(len(pairs[i][0]) for i in rows) + max(len(pairs[i][1]) for i in rows) + 1
        assert (rows in cut) == (len(rows) * width <= 40 or len(rows) == 1)


def test_one_long_pair_does_not_make_a_whole_batch_as_long() -> None:
    pairs = [([4] * 10, [5] * 10)] * 640 + [([4] * 1000, [5] * 1000)]
    found = list(batches(pairs, 64, seed=0))
    assert max(batch.source.size + batch.target_in.size for batch in found) <= 6400
    assert len(found) == count_batches(pairs, 64, seed=0)


def test_ordinary_batches_are_what_they_always_were() -> None:
    assert order(3, 1)[:12] == [39, 109, 151, 74, 25, 60, 186, 165, 11, 95, 102, 4]


def test_a_pair_without_source_is_in_no_batch() -> None:
    found = list(batches([([4], [5]), ([], [5]), ([4, 4], [])], 2))
    assert [batch.index.tolist() for batch in found] == [[2, 0]]
    assert list(batches([([], [5])], 2)) == []
    assert count_batches([([], [5])], 2) == 0
    assert count_batches([([4], [5]), ([], [5])], 1) == 1


def test_batches_refuse_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="max_tokens: expected at least 1, got 0"):
        next(batches([([4], [5])], 2, max_tokens=0))
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        count_batches([([4], [5])], 0)
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        next(batches([([4], [5])], 0))


@pytest.mark.parametrize(("length", "shown"), [(40, "x" * 40), (41, "x" * 39 + "…")])
def test_a_bad_line_is_shown_up_to_40_characters(tmp_path: Path, length: int, shown: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("x" * length + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_pairs(path)
    assert str(caught.value).endswith(f" got one column: {shown!r}")


def test_one_token_may_be_the_most() -> None:
    assert drop_long([([4], [5]), ([4, 5], [6])], 1) == ([([4], [5])], 1)


def test_a_batch_has_room_for_100_tokens_a_pair() -> None:
    exact, over = [([4] * 50, [5] * 49)] * 2, [([4] * 50, [5] * 50)] * 2
    assert [len(batch.index) for batch in batches(exact, 2)] == [2]
    assert [len(batch.index) for batch in batches(over, 2)] == [1, 1]
    one_over = [([4] * 100, [5] * 66)] * 3  # 501 tokens, and there is room for 500
    assert [len(batch.index) for batch in batches(one_over, 5)] == [2, 1]


def test_the_count_is_that_of_the_batches_whatever_is_cut() -> None:
    even = [([4, 4, 4], [5, 5])] * 4  # 6 tokens with BOS or EOS
    assert [count_batches(even, 2, max_tokens=room) for room in (11, 12)] == [4, 2]
    draw = np.random.default_rng(3)
    pairs = [([4] * n, [5] * m) for n, m in draw.integers(1, 30, (60, 2))]
    for seed in range(20):
        expected = [batch.index.tolist() for batch in batches(pairs, 4, seed, 0, 90)]
        assert [b.index.tolist() for b in batches(pairs, 4, seed, max_tokens=90)] == expected
        assert count_batches(pairs, 4, seed, max_tokens=90) == len(expected)
        assert count_batches(pairs, 4, seed, 7, 90) == len([*batches(pairs, 4, seed, 7, 90)])


def test_the_count_is_that_of_its_seed_and_epoch() -> None:
    draw = np.random.default_rng(3)
    pairs = [([4] * n, [5] * m) for n, m in draw.integers(1, 30, (250, 2))]
    for epoch in range(3):  # 250 pairs of size 2 are sorted in three pools: what is cut varies
        expected = len([*batches(pairs, 2, 1, epoch, 60)])
        assert count_batches(pairs, 2, 1, epoch, 60) == expected
    first = len([*batches(pairs, 2, 1, max_tokens=60)])
    assert count_batches(pairs, 2, 1, max_tokens=60) == first


def test_every_pair_of_many_is_in_one_batch() -> None:
    pairs = [([4] * (1 + i % 9), [5]) for i in range(700)]
    seen = [i for batch in batches(pairs, 1, seed=2) for i in batch.index.tolist()]
    assert sorted(seen) == list(range(700))
