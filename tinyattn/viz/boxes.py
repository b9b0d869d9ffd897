"""A graph of boxes as SVG: inputs at the top, the result at the bottom.

Look first at `draw`. The boxes are put in layers, ordered in each layer so that few lines cross,
and then moved under what they are joined to (Sugiyama, Tagawa and Toda 1981).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Any

from tinyattn.viz.terminal import width

LINE, PAD, GAP, BETWEEN, MARGIN = 15.0, 7.0, 22.0, 50.0, 12.0  # pixels
CHARACTER = 6.65  # the width of a character in the font of 11 pixels
SWEEPS = 6
GRADIENTS = "Arrows carry gradients; the thicker, the larger. |2.5| is a norm."
DATA = "Arrows carry data, of the shapes beside them."
FONT = "DejaVu Sans Mono, Menlo, Consolas, Noto Sans Mono CJK SC, monospace"
INK, GREY, GRADIENT = "#1a1a1a", "#767676", "#0072b2"
# Fill, outline, width of the outline, its dashes, radius of the corners. They differ in lightness
# and in shape too, so that the kinds can be told apart without colours.
STYLES = {
    "operation": ("#ffffff", INK, 1.0, "", 3),
    "leaf": ("#fbe3b0", INK, 1.0, "", 11),
    "constant": ("#eeeeee", GREY, 1.0, "4 3", 11),
    "result": ("#cfe6f5", INK, 2.2, "", 3),
    "reference": ("#ffffff", GREY, 1.0, "4 3", 3),
    "module": ("#e3dcf0", INK, 1.0, "", 3),
}


@dataclass
class Line:
    """A line from box `to`, an input, down to the box that has it. `strength` from 0 to 1 is how
    thick it is, and None draws a thin grey one."""

    to: int
    label: str = ""
    strength: float | None = None


@dataclass
class Box:
    """A box with lines of text, the first one bold; `lines_in` lead to its inputs. `step` is what
    the box belongs to, for a page that steps through them."""

    key: int
    kind: str
    text: list[str]
    lines_in: list[Line] = field(default_factory=list)
    step: int = 0

    def size(self) -> tuple[float, float]:
        longest = max((width(text) for text in self.text), default=0)
        return max(44.0, CHARACTER * longest + 2 * PAD), LINE * len(self.text) + PAD


def draw(boxes: Sequence[Box], title: str, backward: bool) -> str:
    """The SVG of the boxes, which are listed from the result to the inputs.

    backward: the lines carry gradients: their arrows point up, to the inputs.
    """
    layers, chains = _layers(boxes)
    _order(layers, chains)
    places = _place(layers, chains, {box.key: box.size() for box in boxes})
    right = max(x + w / 2 for x, _, w, _ in places.values())
    bottom = max(y + h / 2 for _, y, _, h in places.values())
    legend = GRADIENTS if backward else DATA
    wide = max(right, CHARACTER * 1.1 * width(title), CHARACTER * 0.91 * width(legend)) + MARGIN
    lines = _Lines(boxes, places, backward)
    lines.draw(chains)
    parts = [*lines.shapes, *(_box(box, places[box.key]) for box in boxes), *lines.labels]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tinyattn-graph" width="{wide:.0f}" '
        f'height="{bottom + MARGIN:.0f}" viewBox="0 0 {wide:.0f} {bottom + MARGIN:.0f}" '
        f'font-family="{FONT}" font-size="11" role="img">\n<title>{escape(title)}</title>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{MARGIN}" y="18" font-size="12" font-weight="bold" fill="{INK}">'
        f"{escape(title)}</text>\n"
        f'<text x="{MARGIN}" y="33" font-size="10" fill="#555555">{legend}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


Key = int | tuple[int, int, int]  # a box, or the bend of a line: box, number of the line, layer


def _layers(boxes: Sequence[Box]) -> tuple[list[list[Key]], dict[tuple[int, int], list[Key]]]:
    """The layers, the result's first, and for each line what it runs through, from the box to its
    input. A box stands one layer above the highest one that uses it."""
    rank = {box.key: 0 for box in boxes}
    for box in boxes:
        for line in box.lines_in:
            rank[line.to] = max(rank[line.to], rank[box.key] + 1)
    layers: list[list[Key]] = [[] for _ in range(max(rank.values()) + 1)]
    chains: dict[tuple[int, int], list[Key]] = {}
    for box in boxes:
        layers[rank[box.key]].append(box.key)
        for i, line in enumerate(box.lines_in):
            bends: list[Key] = [(box.key, i, r) for r in range(rank[box.key] + 1, rank[line.to])]
            for bend, layer in zip(bends, layers[rank[box.key] + 1 :], strict=False):
                layer.append(bend)
            chains[box.key, i] = [box.key, *bends, line.to]
    return layers, chains


def _neighbours(chains: dict[tuple[int, int], list[Key]]) -> tuple[dict[Key, list[Key]], ...]:
    """What each key is joined to in the layer below, and in the layer above."""
    below: dict[Key, list[Key]] = {}
    above: dict[Key, list[Key]] = {}
    for chain in chains.values():
        for low, high in pairwise(chain):
            above.setdefault(low, []).append(high)
            below.setdefault(high, []).append(low)
    return below, above


def _order(layers: list[list[Key]], chains: dict[tuple[int, int], list[Key]]) -> None:
    """Sort every layer by the mean place of what its members are joined to, up and down again."""
    below, above = _neighbours(chains)
    for sweep in range(SWEEPS):
        joined, order = (below, layers) if sweep % 2 == 0 else (above, layers[::-1])
        for fixed, layer in pairwise(order):
            at = {key: i for i, key in enumerate(fixed)}
            mean = {key: i * len(fixed) / len(layer) for i, key in enumerate(layer)}
            for key in layer:
                places = [at[other] for other in joined.get(key, ()) if other in at]
                if places:
                    mean[key] = sum(places) / len(places)
            layer.sort(key=mean.__getitem__)


Place = tuple[float, float, float, float]  # centre x, centre y, width, height


def _place(
    layers: list[list[Key]],
    chains: dict[tuple[int, int], list[Key]],
    sizes: dict[int, tuple[float, float]],
) -> dict[Key, Place]:
    def size(key: Key) -> tuple[float, float]:
        return sizes[key] if isinstance(key, int) else (6.0, 0.0)

    below, above = _neighbours(chains)
    x: dict[Key, float] = {}
    for layer in layers:
        for key, middle in zip(layer, _apart([0.0] * len(layer), layer, size), strict=True):
            x[key] = middle
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = []
            for key in layer:
                others = [*below.get(key, ()), *above.get(key, ())]
                wanted.append(sum(x[other] for other in others) / max(len(others), 1))
            x.update(zip(layer, _apart(wanted, layer, size), strict=True))
    left = min(x[key] - size(key)[0] / 2 for key in x) - MARGIN
    places, y = {}, 46.0
    for layer in reversed(layers):
        height = max(size(key)[1] for key in layer)
        for key in layer:
            w, h = size(key)
            places[key] = x[key] - left, y + height / 2, w, h if isinstance(key, int) else height
        y += height + BETWEEN
    return places


def _apart(
    wanted: list[float], layer: list[Key], size: Callable[[Key], tuple[float, float]]
) -> list[float]:
    """Places in the given order, as near to the wanted ones as widths and gaps allow.

    Without the gaps they would have to rise: neighbours that don't are put together at their mean,
    until all rise (the algorithm of pooled neighbours for isotonic regression).
    """
    offsets, edge = [], 0.0
    for key in layer:
        w = size(key)[0]
        offsets.append(edge + w / 2)
        edge += w + GAP
    pools: list[list[float]] = []  # sum, number
    for place, offset in zip(wanted, offsets, strict=True):
        pools.append([place - offset, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, number = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += number
    free = [total / number for total, number in pools for _ in range(int(number))]
    return [place + offset for place, offset in zip(free, offsets, strict=True)]


def _curve(points: list[tuple[float, float]]) -> str:
    """A path through the points: curves from layer to layer, straight inside a layer."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for i, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        half = (ay - by) / 2
        curve = f"C{ax:.1f} {ay - half:.1f} {bx:.1f} {by + half:.1f} "
        path += (curve if i % 2 == 0 else "L") + f"{bx:.1f} {by:.1f}"
    return path


class _Lines:
    """Draws the lines of the boxes: where they leave, where they arrive, and their labels."""

    def __init__(self, boxes: Sequence[Box], places: dict[Key, Place], backward: bool) -> None:
        self.boxes = {box.key: box for box in boxes}
        self.places, self.backward = places, backward
        self.shapes: list[str] = []
        self.labels: list[str] = []

    def draw(self, chains: dict[tuple[int, int], list[Key]]) -> None:
        below: dict[Key, list[tuple[float, tuple[int, int]]]] = {}
        above: dict[Key, list[tuple[float, tuple[int, int]]]] = {}
        for line, chain in chains.items():
            above.setdefault(chain[0], []).append((self.places[chain[1]][0], line))
            below.setdefault(chain[-1], []).append((self.places[chain[-2]][0], line))
        for lines in (*below.values(), *above.values()):
            lines.sort()
        for line, chain in chains.items():
            leaves = [name for _, name in above[chain[0]]]
            arrives = [name for _, name in below[chain[-1]]]
            self.add(line, chain, _share(leaves, line), _share(arrives, line), arrives.index(line))

    def add(
        self, line: tuple[int, int], chain: list[Key], leave: float, arrive: float, number: int
    ) -> None:
        """One line up from the box, through its bends, to the input. leave, arrive: at which part
        of the width of the two boxes; number: among the lines that arrive there."""
        box, told = self.boxes[line[0]], self.boxes[line[0]].lines_in[line[1]]
        target = self.boxes[told.to]
        x, y, w, h = self.places[chain[0]]
        points = [(x + w * leave, y - h / 2)]
        for bend in chain[1:-1]:
            bend_x, bend_y, _, bend_h = self.places[bend]
            points += [(bend_x, bend_y + bend_h / 2), (bend_x, bend_y - bend_h / 2)]
        x, y, w, h = self.places[chain[-1]]
        points.append((x + w * arrive, y + h / 2))
        colour, thick, tip = GREY, 1.2, ""
        if told.strength is not None:
            colour, thick = GRADIENT, 1 + 3 * told.strength
        if self.backward and told.strength is not None:
            tip = f"M{points[-1][0] - 4:.1f} {points[-1][1] + 6:.1f}h8l-4 -6z"
            points[-1] = points[-1][0], points[-1][1] + 5
        elif not self.backward:
            tip = f"M{points[0][0] - 4:.1f} {points[0][1] - 6:.1f}h8l-4 6z"
            points[0] = points[0][0], points[0][1] - 5
        where = f'data-from="{box.step}" data-to="{target.step}"'
        self.shapes.append(
            f'<g class="line" {where}><path d="{_curve(points)}" fill="none" stroke="{colour}" '
            f'stroke-width="{thick:.1f}"/><path d="{tip}" fill="{colour}"/></g>'
        )
        if told.label:
            x, y = points[-1][0], points[-1][1] + 14 + 12 * (number % 3)
            wide = 0.91 * CHARACTER * width(told.label) + 2
            self.labels.append(
                f'<g class="label" {where}><rect x="{x - wide / 2:.1f}" y="{y - 9:.1f}" '
                f'width="{wide:.1f}" height="12" fill="#ffffff"/><text x="{x:.1f}" y="{y:.1f}" '
                f'text-anchor="middle" font-size="10" fill="{INK}">{escape(told.label)}</text></g>'
            )


def _share(names: list[Any], name: Any) -> float:
    """Where on the side of a box the line stands, from -0.5 at the left to 0.5 at the right."""
    return (names.index(name) + 1) / (len(names) + 1) - 0.5


def _box(box: Box, place: Place) -> str:
    x, y, w, h = place
    fill, outline, thick, dashes, radius = STYLES[box.kind]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    texts = [
        f'<text x="{x:.1f}" y="{y - h / 2 + LINE * (i + 1) - 1:.1f}" text-anchor="middle" '
        f'fill="{INK}"{" font-weight=" + chr(34) + "bold" + chr(34) if i == 0 else ""}>'
        f"{escape(text)}</text>"
        for i, text in enumerate(box.text)
    ]
    return (
        f'<g class="box" data-step="{box.step}"><rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" '
        f'width="{w:.1f}" height="{h:.1f}" rx="{radius}" fill="{fill}" stroke="{outline}" '
        f'stroke-width="{thick}"{dashed}/>' + "".join(texts) + "</g>"
    )
