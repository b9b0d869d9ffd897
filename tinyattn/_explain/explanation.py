"""What `explain` gives: the steps, as text, as a picture, and as a page that steps."""

from os import PathLike

from tinyattn._explain.drawing import boxes
from tinyattn._explain.folding import fold
from tinyattn._explain.step import Step
from tinyattn._explain.telling import facts_of, text_of


class Explanation:
    """A backward pass, told. `print` gives the text, a notebook shows the graph and steps through
    it, and `save(path)` writes it to a file whose name ends in .txt, .svg or .html.

    `steps` are all of them; `told` are those that are printed and drawn, in which large graphs are
    folded. `note` says what is left out.
    """

    def __init__(self, steps: list[Step], title: str) -> None:
        self.steps = steps
        self.told, self.note = fold(steps)
        self.title = title

    def __str__(self) -> str:
        seen: dict[str, int] = {}
        parts = [text_of(step, self.told, seen) for step in self.told]
        note = [self.note] if self.note else []
        return "\n\n".join([self.title, *parts, *note])

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        from tinyattn.viz.boxes import draw

        return draw(boxes(self.told, backward=True), self.title, backward=True)

    def _repr_html_(self) -> str:
        from tinyattn.viz.stepping import Section, fragment

        sections = []
        for step in self.told:
            parts = [f"in {step.module}" if step.module else "", step.line]
            facts = list(facts_of(step, self.told))
            title = f"Step {step.number}. {step.title}"
            sections.append(Section(title, ", at ".join(filter(None, parts)), step.formula, facts))
        about = "Each step gets the gradient of its result and hands on a gradient to each input."
        return fragment(self._repr_svg_(), Section(self.title, self.note or about), sections)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the text (.txt), the picture (.svg) or the picture that steps (.html)."""
        from tinyattn.viz.picture import write
        from tinyattn.viz.stepping import page

        told = page(self.title, self._repr_html_())
        write(path, {".svg": self._repr_svg_(), ".txt": f"{self}\n", ".html": told})
