"""Sentences and commands at a terminal."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from translator.files import load_model
from translator.options import search_of
from translator.prompt import HELP, changed, prompt
from translator.searching import Search

from .program import PROGRAM, environment


def after(*commands: str) -> Search:
    options = argparse.Namespace(model="toy", beam=None)
    for command in commands:
        options = changed(options, command.split())
    return search_of(options)


def test_commands_change_the_search() -> None:
    assert after() == Search()
    assert after("beam 5", "n-best 3", "alpha 0") == Search(beam=5, n_best=3, alpha=0.0)
    assert after("sample", "top-k 4", "temperature 0.5") == Search(
        sample=True, top_k=4, temperature=0.5
    )
    assert after("beam 5", "no-repeat 2", "sample") == Search(sample=True, no_repeat=2)
    assert after("sample", "seed 0", "beam 2") == Search(beam=2)
    assert after("beam 5", "alpha 1", "greedy") == Search()


def typed(model: Any, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    given: Iterator[str] = iter(lines)

    def read(_: str) -> str:
        for line in given:
            return line
        raise EOFError

    monkeypatch.setattr("builtins.input", read)
    prompt(model, argparse.Namespace())


def test_a_sentence_is_translated_and_a_wrong_command_named(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    model = load_model(str(toy.folder / "toy")).model
    lines = (
        "一二三。",
        "",
        ":beam 0",
        ":what",
        ":n-best 2",
        ":beam 2",
        ":n-best 2",
        "一。",
        ":help",
    )
    typed(model, monkeypatch, *lines, ":quit", "never read")
    out, error = capsys.readouterr()
    assert out.startswith("a sentence, or :help\nthree two one.\n2\t-")
    assert out.count("\n2\t") == 2
    assert out.endswith(HELP + "\n")
    assert error.splitlines() == [
        "translate.py: argument --beam: expected a whole number from 1 to 100, got '0'",
        "translate.py: :what: expected a command that :help lists",
        "translate.py: --n-best: expected at most --beam = 1, got 2",
    ]


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_at_a_terminal_there_is_a_prompt_and_elsewhere_there_is_none(toy: Any) -> None:
    import pty

    mine, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "translate", "--model", "toy"],
        cwd=toy.folder,
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment(TERM="dumb"),
    )
    os.close(its)
    os.write(mine, "一二三。\n:quit\n".encode())
    seen = b""
    with open(mine, "rb", buffering=0) as terminal:
        try:
            while part := terminal.read(1000):
                seen += part
        except OSError:  # Linux says so when the other side has closed it
            pass
    assert process.wait(timeout=60) == 0, seen
    assert b"> " in seen
    assert b"three two one." in seen
