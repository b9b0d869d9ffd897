"""Lines in, lines out: a sentence, a file, standard input."""

import subprocess
import sys
from typing import Any

import pytest

from .program import PROGRAM, environment, refused, run


def test_a_sentence_a_file_and_standard_input_agree_in_order(toy: Any) -> None:
    sentences = ["一二三。", "八。", "七七七。", "五四三二一五四三二一。", "六 二。"] * 14
    content = "\ufeff" + "\r\n".join(sentences) + "\r\n"
    (toy.folder / "some.txt").write_bytes(content.encode())
    file = run(toy.folder, "translate", "--file", "some.txt", "--model", "toy").stdout
    stdin = run(toy.folder, "translate", "--model", "toy", stdin=content.encode()).stdout
    assert file == stdin
    lines = file.splitlines()
    assert len(lines) == len(sentences)
    assert lines[:5] * 14 == lines
    assert len(set(lines[:5])) == 5
    for sentence, line in list(zip(sentences, lines, strict=True))[:2]:
        assert run(toy.folder, "translate", sentence, "--model", "toy").stdout == line + "\n"


def test_a_long_sentence_ends_somewhere(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "一二三" * 300)
    assert done.returncode == 0
    assert 0 < len(done.stdout.split()) <= 60


def test_unknown_words_beside_known_ones_are_no_error(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "猫一二。")
    assert done.returncode == 0
    assert done.stdout.strip()


def test_a_reader_that_has_enough_ends_the_program_quietly(toy: Any) -> None:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "translate", "--model", "toy"],
        cwd=toy.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdin, process.stderr:
        process.stdin.write("一二。\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().strip()
        process.stdout.close()
        process.stdin.write("一二。\n".encode() * 9)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        (b"", "standard input: expected a sentence a line, got nothing"),
        (b"\n", "standard input:1: expected a sentence, got an empty line"),
        ("猫狗\n".encode(), "standard input:1: expected words of the training data, got '猫狗'"),
        (b"\xff\n", "standard input:1: expected UTF-8, got byte 0xff"),
    ],
)
def test_standard_input_that_cannot_be_translated(toy: Any, stdin: bytes, says: str) -> None:
    refused(toy.folder, "translate", "--model", "toy", stdin=stdin, says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "in.txt: expected a sentence a line, got nothing"),
        ("一二。\n\n一。\n".encode(), "in.txt:2: expected a sentence, got an empty line"),
        ("一二。\n\u3000\n".encode(), "in.txt:2: expected a sentence, got an empty line"),
        (
            "一\u2028二。\nxyz\n".encode(),
            "in.txt:2: expected words of the training data, got 'xyz'",
        ),
        ("一二。\n一\n".encode("gb18030"), "in.txt:1: expected UTF-8, got byte 0xb6"),
    ],
)
def test_a_file_that_cannot_be_translated(toy: Any, content: bytes, says: str) -> None:
    (toy.folder / "in.txt").write_bytes(content)
    refused(toy.folder, "translate", "--file", "in.txt", "--model", "toy", says=says)


def test_sentences_that_cannot_be_translated(toy: Any) -> None:
    use = ("--model", "toy")
    refused(toy.folder, "translate", "", *use, says="sentence: expected a sentence, got an empty")
    refused(toy.folder, "translate", "xyz", *use, says="expected words of the training data")
    refused(toy.folder, "translate", "--file", "nowhere", *use, says="nowhere: ")
    refused(toy.folder, "translate", "一", "--file", "toy.txt", says="a sentence or --file")
