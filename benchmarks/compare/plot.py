"""Curves on logarithmic axes as SVG of a few kilobytes: shades of grey, no library, the same text
every time. Look first at `figure`."""

import math
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 250, 190  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 24, 34  # around its curves
COLUMNS = 3
# Of the first curve, the second, the third.
STYLES = (
    'stroke="#000" stroke-width="2"',
    'stroke="#666" stroke-width="1.5" stroke-dasharray="6 3"',
    'stroke="#999" stroke-width="1.5" stroke-dasharray="1.5 3"',
)

Points = list[tuple[float, float]]  # size, seconds


class Axis(NamedTuple):
    """A logarithmic axis: whole powers of ten that hold all values, drawn from `start` to `end`."""

    first: int
    last: int
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self.start + share * (self.end - self.start)


def axis(values: list[float], start: float, end: float) -> Axis:
    first = math.floor(math.log10(min(values)))
    return Axis(first, max(first + 1, math.ceil(math.log10(max(values)))), start, end)


def figure(panels: dict[str, dict[str, Points]], unit: dict[str, str]) -> str:
    """A panel for each name, with curves by name; `unit` says what is along its horizontal axis."""
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + 22
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="10">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for i, name in enumerate(names):
        x = LEFT + 110 * i
        out += [
            f'<path d="M{x} 11h28" {STYLES[i]}/>',
            f'<text x="{x + 34}" y="15">{escape(name)}</text>',
        ]
    for i, (title, curves) in enumerate(panels.items()):
        x, y = i % COLUMNS * WIDTH, 22 + i // COLUMNS * HEIGHT
        out += [f'<g transform="translate({x} {y})">', *panel(title, curves, names, unit[title])]
        out.append("</g>")
    return "\n".join([*out, "</svg>\n"])


def panel(title: str, curves: dict[str, Points], names: list[str], unit: str) -> list[str]:
    points = [point for curve in curves.values() for point in curve]
    across = axis([size for size, _ in points], LEFT, WIDTH - RIGHT)
    up = axis([seconds for _, seconds in points], HEIGHT - BOTTOM, TOP)
    middle = (across.start + across.end) / 2
    out = [
        f'<text x="{LEFT}" y="{TOP - 8}" font-size="12">{escape(title)}</text>',
        f'<text x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">{escape(unit)}</text>',
    ]
    for power in range(across.first, across.last + 1):
        x = across.at(10.0**power)
        out += [
            f'<path d="M{x:.1f} {up.start}V{up.end}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{up.start + 13}" text-anchor="middle">{count(power)}</text>',
        ]
    for power in range(up.first, up.last + 1):
        y = up.at(10.0**power)
        out += [
            f'<path d="M{across.start} {y:.1f}H{across.end}" stroke="#ddd"/>',
            f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{duration(power)}</text>',
        ]
    for name, curve in curves.items():
        places = [f"{across.at(size):.1f} {up.at(seconds):.1f}" for size, seconds in curve]
        style = STYLES[names.index(name)]
        out.append(f'<path d="M{"L".join(places)}" fill="none" {style}/>')
    return out


def count(power: int) -> str:
    """10^power as people write it: 100, 1k, 10M."""
    return f"{10 ** (power % 3)}{('', 'k', 'M', 'G')[power // 3]}"


def duration(power: int) -> str:
    """10^power seconds, as 10 µs."""
    return f"{10 ** (power % 3)} {('ns', 'µs', 'ms', 's')[power // 3 + 3]}"
