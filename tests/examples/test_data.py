"""Pairs that can not be trained on end in one line, with nothing written."""

from pathlib import Path

import pytest

from .program import refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "pairs.txt: expected a text file that can be read: no such file"),
        (b"", "pairs.txt: expected lines of source TAB target, got an empty file"),
        (b"a\tb\nc d\n", "pairs.txt:2: expected source TAB target, got one column: 'c d'"),
        (b"a\tb\nc\t\n", "pairs.txt:2: expected source TAB target, got an empty second column"),
        (b"a\tb\n\xff\tb\n", "pairs.txt:2: expected UTF-8, got byte 0xff"),
        (
            b"a\tb\n" * 9,
            "pairs.txt: expected more than valid + test = 3000 distinct sources, got 1 in 9 pairs; "
            "lower --valid and --test",
        ),
    ],
)
def test_pairs_that_cannot_be_trained_on(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "pairs.txt").write_bytes(content)
    refused(tmp_path, "--data", "pairs.txt", says=says)
