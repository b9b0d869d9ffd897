"""Lines in, lines out: a sentence, a file, standard input."""

import re
import subprocess
import sys
from typing import Any

import pytest

import tinyattn as ta
from tinyattn.text import EOS, UNK

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


def test_a_translation_is_cut_by_the_length_of_its_source_and_the_line_is_named(toy: Any) -> None:
    """A model that never ends: the bound is twice the source and 50, whatever it was before."""
    saved = ta.load(toy.folder / "toy" / "model.safetensors")
    bias = saved["model"]["model.decoder.out.bias"]
    bias[EOS] = -1e9
    ta.save(saved, toy.folder / "endless")
    content = "一二三。\n" + "一二" * 100 + "。\n"
    done = run(toy.folder, "translate", "--model", "endless", stdin=content.encode())
    short, long = done.stdout.splitlines()
    assert done.returncode == 0
    assert done.stderr == (
        "translate.py: standard input:1: the translation is cut after 58 tokens; see --max-tokens\n"
        "translate.py: standard input:2: "
        "the translation is cut after 452 tokens; see --max-tokens\n"
    )
    assert len(short) < len(long)
    (toy.folder / "endless.txt").write_text(content, encoding="utf-8")
    limited = ("translate", "--model", "endless", "--file", "endless.txt", "--max-tokens", "7")
    done = run(toy.folder, *limited)
    assert re.findall(r"endless\.txt:(\d): the translation is cut after (\d+)", done.stderr) == [
        ("1", "7"),
        ("2", "7"),
    ]


def test_a_translation_that_ends_is_not_cut(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "一二三。", "--max-tokens", "5")
    assert (done.stdout, done.stderr) == ("three two one.\n", "")


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


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_line_that_cannot_be_translated_is_left_empty_and_named(toy: Any, way: str) -> None:
    lines = ["一二。", "", "三。", "\u3000", "猫狗", "八八\u2028七。", "xyz", "\ufeff", "一。"]
    content = "\n".join(lines).encode()
    (toy.folder / "in.txt").write_bytes(content)
    given = ("--file", "in.txt") if way == "file" else ()
    done = run(toy.folder, "translate", "--model", "toy", *given, stdin=content)
    name = "in.txt" if way == "file" else way
    assert done.returncode == 0
    out = done.stdout.split("\n")
    assert out.pop() == ""
    assert [bool(line) for line in out] == [i in (0, 2, 5, 8) for i in range(9)]
    assert done.stderr.splitlines() == [
        f"translate.py: {name}:2: left empty: expected a sentence, got an empty line",
        f"translate.py: {name}:4: left empty: expected a sentence, got an empty line",
        f"translate.py: {name}:5: left empty: expected words of the training data, got '猫狗'",
        f"translate.py: {name}:7: left empty: expected words of the training data, got 'xyz'",
        f"translate.py: {name}:8: left empty: expected a sentence, got an empty line",
    ]


@pytest.mark.parametrize("sentence", ["", "xyz"])
def test_a_sentence_that_cannot_be_translated_is_an_empty_line(toy: Any, sentence: str) -> None:
    done = run(toy.folder, "translate", sentence, "--model", "toy")
    assert (done.returncode, done.stdout) == (0, "\n")
    assert done.stderr.startswith("translate.py: sentence: left empty: expected ")


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        (b"", "standard input: expected a sentence a line, got nothing"),
        (b"\xff\n", "standard input:1: expected UTF-8, got byte 0xff"),
    ],
)
def test_standard_input_that_cannot_be_translated(toy: Any, stdin: bytes, says: str) -> None:
    refused(toy.folder, "translate", "--model", "toy", stdin=stdin, says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "in.txt: expected a sentence a line, got nothing"),
        ("一二。\n一\n".encode("gb18030"), "in.txt:1: expected UTF-8, got byte 0xb6"),
    ],
)
def test_a_file_that_cannot_be_translated(toy: Any, content: bytes, says: str) -> None:
    (toy.folder / "in.txt").write_bytes(content)
    refused(toy.folder, "translate", "--file", "in.txt", "--model", "toy", says=says)


def test_a_missing_file_or_two_inputs_are_refused(toy: Any) -> None:
    refused(toy.folder, "translate", "--file", "nowhere", "--model", "toy", says="nowhere: ")
    refused(toy.folder, "translate", "一", "--file", "toy.txt", says="a sentence or --file")


# --- beams, samples, words that are not known -----------------------------------------------------


def test_the_n_best_come_with_number_and_score(toy: Any) -> None:
    lines = ["一二三。", "", "八七六。"]
    (toy.folder / "three.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    use = ("translate", "--model", "toy", "--beam", "4", "--n-best", "3")
    done = run(toy.folder, *use, "--file", "three.txt")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] + ["3"] * 3
    assert rows[3] == ["2", "", ""]
    assert rows[0][2] == "three two one."
    scores = [float(row[1]) for row in rows[:3]]
    assert scores == sorted(scores, reverse=True)
    assert len({row[2] for row in rows[:3]}) == 3
    stdin = run(toy.folder, *use, stdin=("\n".join(lines) + "\n").encode())
    assert stdin.stdout == done.stdout


def test_a_beam_translates_and_evaluates(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "一二三。", "--beam", "5", "--alpha", "1")
    assert (done.stdout, done.stderr) == ("three two one.\n", "")
    done = run(toy.folder, "evaluate", "--model", "toy", "--beam", "2")
    assert re.search(r"^exact match: (8\d|9\d|100)\.\d %", done.stdout, re.M)


def test_samples_are_the_same_for_the_same_seed_from_a_file_or_line_by_line(toy: Any) -> None:
    content = "一二三。\n" * 8
    (toy.folder / "same.txt").write_text(content, encoding="utf-8")
    use = ("translate", "--model", "toy", "--sample", "--temperature", "3", "--seed", "7")
    done = run(toy.folder, *use, "--file", "same.txt")
    assert run(toy.folder, *use, stdin=content.encode()).stdout == done.stdout
    assert len(set(done.stdout.splitlines())) > 1
    first = run(toy.folder, *use, "一二三。").stdout
    assert first == done.stdout.splitlines(keepends=True)[0]
    narrow = run(toy.folder, *use, "--top-k", "1", "--file", "same.txt")
    assert narrow.stdout == "three two one.\n" * 8


def test_no_tokens_come_twice_in_a_row(toy: Any) -> None:
    done = run(toy.folder, "translate", "--model", "toy", "七七七。", "--no-repeat", "1")
    words = done.stdout.rstrip(".\n").split()
    assert len(words) == len(set(words))


def test_a_word_that_the_model_does_not_know_is_copied_and_marked(toy: Any) -> None:
    """A model that writes nothing but the unknown word."""
    saved = ta.load(toy.folder / "toy" / "model.safetensors")
    bias = saved["model"]["model.decoder.out.bias"]
    bias[UNK] = 1e9
    ta.save(saved, toy.folder / "blank")
    done = run(toy.folder, "translate", "--model", "blank", "猫一。", "--max-tokens", "2")
    assert re.fullmatch("⟨[猫一。]⟩ ⟨[猫一。]⟩\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--beam", "0"), "--beam: expected a whole number from 1 to 100, got '0'"),
        (("--beam", "101"), "--beam: expected a whole number from 1 to 100, got '101'"),
        (("--beam", "2", "--alpha", "nan"), "--alpha: expected a number from 0, got 'nan'"),
        (("--alpha", "1"), "--alpha: expected --beam with it"),
        (("--n-best", "3"), "--n-best: expected at most --beam = 1, got 3"),
        (("--beam", "2", "--n-best", "3"), "--n-best: expected at most --beam = 2, got 3"),
        (("--sample", "--temperature", "0"), "--temperature: expected a number above 0, got '0'"),
        (("--sample", "--temperature", "nan"), "--temperature: expected a number above 0, got"),
        (("--temperature", "1"), "--temperature: expected --sample with it"),
        (("--sample", "--top-p", "1.5"), "--top-p: expected a number above 0, at most 1, got"),
        (("--top-k", "3"), "--top-k: expected --sample with it"),
        (("--sample", "--beam", "2"), "--sample: expected no --beam with it"),
        (("--no-repeat", "0"), "--no-repeat: expected a whole number from 1, got '0'"),
    ],
)
def test_a_wrong_search_is_refused(toy: Any, arguments: tuple[str, ...], says: str) -> None:
    refused(toy.folder, "translate", "一", "--model", "toy", *arguments, says=says)
