"""Docstrings are text, not reStructuredText: `x` is code, what is indented stays as it is, and an
argument's line begins with its name. `restructured` says so to Sphinx."""

import re
from collections.abc import Collection


def restructured(text: str, arguments: Collection[str] = ()) -> list[str]:
    """The lines of a docstring as reStructuredText, for a function with these arguments."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        equations = re.fullmatch(r"(\S+ = .*\n?){2,}", paragraph)
        if paragraph.startswith(">>> "):
            lines += [*paragraph.split("\n"), ""]
        elif equations or re.search(r"^\s", paragraph, re.M):
            lines += ["::", "", *("   " + line for line in paragraph.split("\n")), ""]
        else:
            for part in _parts(paragraph, arguments):
                lines += [part, ""]
    return lines


def _parts(paragraph: str, arguments: Collection[str]) -> list[str]:
    """The text, and behind it an entry of a list for each argument that a line begins with."""
    parts = [""]
    for line in paragraph.split("\n"):
        names = re.match(r"([\w*]+(?:, [\w*]+)*): ", line)
        if names and {name.lstrip("*") for name in names[1].split(", ")} <= {*arguments}:
            parts.append(f"- **{_escaped(names[1])}**: {_text(line[names.end() :])}")
        else:
            parts[-1] += f" {_text(line)}"
    return [part.strip() for part in parts if part.strip()]


def _text(line: str) -> str:
    parts = re.split(r"`+([^`]+)`+", line)
    parts[::2] = [_escaped(part) for part in parts[::2]]
    parts[1::2] = [f"\\ ``{part}``\\ " for part in parts[1::2]]
    return "".join(parts)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_|`<>:.\[\]{}()+-])", r"\\\1", text)
