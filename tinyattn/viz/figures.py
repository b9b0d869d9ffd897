"""Figures with Matplotlib: attention maps and learning curves."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from tinyattn.viz.terminal import check_weights, printable

if TYPE_CHECKING:
    from tinyattn.viz.chart import Chart

# Families that hold Chinese: Linux, macOS, Windows.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "PingFang SC", "Heiti SC", "Hiragino Sans GB", "Arial Unicode MS",
    "Microsoft YaHei", "SimHei", "SimSun",
)  # fmt: skip
_LABELS = 100  # more of them along one side take a minute to draw
_INCHES = 100  # no side of a figure is longer: Matplotlib draws at most 2^16 pixels on it


def attention_figure(
    weights: ArrayLike, source: Sequence[str], target: Sequence[str], title: str = ""
) -> "Chart":
    """The weights (Tq, Tk) as a heat map, with a row for each target token and a column for each
    source token. Raises ValueError where the weights do not fit the tokens."""
    from tinyattn.viz.chart import Chart, heat_map, ticks

    array = check_weights(weights, source, target)
    source, target = [*map(printable, source)], [*map(printable, target)]
    size = (min(1.5 + 0.45 * len(source), _INCHES), min(1.2 + 0.4 * len(target), _INCHES))
    style: dict[str, Any] = {"family": families([*source, *target, title]), "parse_math": False}
    chart = Chart(*size, title, **style)
    axes = chart.figure.add_subplot()
    heat_map(axes, array, 0, 1, "attention weight")
    for tokens, place in ((source, axes.set_xticks), (target, axes.set_yticks)):
        at = list(ticks(len(tokens), _LABELS))
        place(at, [tokens[i] for i in at], **style)
    axes.xaxis.tick_top()
    return chart


def curve_figure(
    steps: Sequence[float], curves: Mapping[str, Sequence[float]], xlabel: str
) -> "Chart":
    """Curves over the same steps, each in a panel of its own."""
    from tinyattn.viz.chart import LINES, Chart

    if not curves:
        raise ValueError("curves: expected at least one, got none")
    for name, values in curves.items():
        if len(values) != len(steps):
            raise ValueError(
                f"{name}: expected {len(steps)} values, one for each step, got {len(values)}"
            )
    style: dict[str, Any] = {"family": families([*curves, xlabel]), "parse_math": False}
    chart = Chart(4 * len(curves), 3)
    for number, (name, values) in enumerate(curves.items(), start=1):
        axes = chart.figure.add_subplot(1, len(curves), number)
        axes.plot(steps, values, **LINES[0])
        axes.set_xlabel(xlabel, **style)
        axes.set_title(name, **style)
        axes.grid(alpha=0.3)
    return chart


def families(texts: Sequence[str]) -> list[str]:
    """The font families for these texts; RuntimeError where no font has their letters."""
    characters = set().union(*texts)
    chinese = {c for c in characters if ord(c) >= 0x2E80}
    others = sorted(filter(str.isalpha, characters - chinese))
    return [*(_chinese_font() if chinese else ()), "DejaVu Sans", *_fonts_of(others)]


def _fonts_of(letters: list[str]) -> list[str]:
    """Families that hold those of these letters that DejaVu Sans does not hold."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    found: list[str] = []
    fonts = sorted(font_manager.fontManager.ttflist, key=lambda one: one.name != "DejaVu Sans")
    for font in fonts:
        if letters and not font.name.startswith("Last Resort"):  # it has a box for every character
            held = FT2Font(font.fname).get_charmap()
            if any(ord(c) in held for c in letters):
                found.append(font.name)
                letters = [c for c in letters if ord(c) not in held]
    if letters:
        name = unicodedata.name(letters[0], "a letter")
        raise RuntimeError(
            f"no installed font holds {letters[0]} ({name}): install one such as Noto Sans"
        )
    return [name for name in found if name != "DejaVu Sans"]


def _chinese_font() -> list[str]:
    from matplotlib import font_manager

    present = {font.name for font in font_manager.fontManager.ttflist}
    found = [family for family in _CHINESE if family in present]
    return found[:1] or _packaged_font()


def _packaged_font() -> list[str]:
    """The Chinese font of the package mplfonts."""
    from importlib.util import find_spec
    from pathlib import Path

    from matplotlib import font_manager

    spec = find_spec("mplfonts")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    path = folder / "fonts" / "NotoSansCJKsc-Regular.otf" if folder else None
    if path is None or not path.is_file():
        raise RuntimeError(
            "no installed font holds Chinese characters: install one such as Noto Sans CJK, or the "
            "package mplfonts"
        )
    font_manager.fontManager.addfont(path)
    return [font_manager.FontProperties(fname=path).get_name()]
