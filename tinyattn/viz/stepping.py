"""A picture of a graph with what is told of each step below it, and buttons that go from step to
step. Its script and its style stand in web/.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

WEB = Path(__file__).parent / "web"


@dataclass
class Section:
    """What is told of one step: a title, where it ran, a formula, and pairs of a name and what is
    told under it."""

    title: str
    where: str = ""
    formula: str = ""
    facts: Iterable[tuple[str, str]] = ()

    def html(self) -> str:
        where = f"<p>{escape(self.where)}</p>" if self.where else ""
        formula = f"<pre>{escape(self.formula)}</pre>" if self.formula else ""
        facts = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(told)}</dd>" for name, told in self.facts
        )
        facts = f"<dl>{facts}</dl>" if facts else ""
        return f"<section><h4>{escape(self.title)}</h4>{where}{formula}{facts}</section>"


def fragment(svg: str, whole: Section, steps: list[Section]) -> str:
    """HTML for a part of a page. `whole` is shown before the first step."""
    script = (WEB / "stepping.js").read_text(encoding="utf-8")
    style = (WEB / "stepping.css").read_text(encoding="utf-8")
    sections = "\n".join(section.html() for section in [whole, *steps])
    return (
        f'<div class="tinyattn-steps">\n<style>{style}</style>\n'
        '<div class="controls" hidden>\n'
        '<button type="button" data-by="-1" aria-label="step back">&#9664;</button>\n'
        '<button type="button" data-by="1" aria-label="step forward">&#9654;</button>\n'
        f'<input type="range" min="0" max="{len(steps)}" value="0" aria-label="step">\n'
        "<output>all</output>\n</div>\n"
        f'<div class="picture" tabindex="0" role="group" aria-label="graph">\n{svg}</div>\n'
        f'<div aria-live="polite">\n{sections}\n</div>\n'
        f"<script>{{\n{script}}}</script>\n</div>\n"
    )


def page(title: str, body: str) -> str:
    """A whole file around a fragment."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
