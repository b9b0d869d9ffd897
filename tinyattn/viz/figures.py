"""Figures with Matplotlib: an attention map, a learning curve. Each is returned; save it with
`figure.savefig(path)`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tinyattn.viz.terminal import check_weights

# Families that hold Chinese: Linux, macOS, Windows.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "PingFang SC", "Heiti SC", "Hiragino Sans GB", "Arial Unicode MS",
    "Microsoft YaHei", "SimHei", "SimSun",
)  # fmt: skip


def attention_figure(
    weights: Any, source: Sequence[str], target: Sequence[str], title: str = ""
) -> Any:
    """The weights (Tq, Tk) as a heat map: a row a target token, a column a source token."""
    from matplotlib.figure import Figure

    array = check_weights(weights, source, target)
    figure = Figure(figsize=(1.5 + 0.45 * len(source), 1.2 + 0.4 * len(target)), dpi=120)
    axes = figure.add_subplot()
    image = axes.imshow(array, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    font = {"family": _families(source, target)}
    axes.set_xticks(range(len(source)), source, fontdict=font)
    axes.set_yticks(range(len(target)), target, fontdict=font)
    axes.xaxis.tick_top()
    if title:
        axes.set_title(title, fontdict=font)
    figure.colorbar(image, ax=axes, label="attention weight")
    figure.tight_layout()
    return figure


def curve_figure(steps: Sequence[float], curves: Mapping[str, Sequence[float]], xlabel: str) -> Any:
    """Curves over the same steps, one panel each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(curves), 3), dpi=120)
    for number, (name, values) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(1, len(curves), number)
        axes.plot(steps, values)
        axes.set_xlabel(xlabel)
        axes.set_title(name)
        axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure


def _families(source: Sequence[str], target: Sequence[str]) -> list[str]:
    """Font families for these tokens; RuntimeError where Chinese is needed and no font has it."""
    from matplotlib import font_manager

    if all(ord(c) < 0x2E80 for token in (*source, *target) for c in token):
        return ["DejaVu Sans"]
    present = {font.name for font in font_manager.fontManager.ttflist}
    found = [family for family in _CHINESE if family in present]
    if not found:
        found = _packaged_font()
    return [*found[:1], "DejaVu Sans"]


def _packaged_font() -> list[str]:
    """The Chinese font that the package mplfonts brings."""
    from importlib.util import find_spec
    from pathlib import Path

    from matplotlib import font_manager

    spec = find_spec("mplfonts")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "no installed font holds Chinese characters: install one such as Noto Sans CJK, or the "
            "package mplfonts"
        )
    path = str(Path(spec.origin).parent / "fonts" / "NotoSansCJKsc-Regular.otf")
    font_manager.fontManager.addfont(path)
    return [font_manager.FontProperties(fname=path).get_name()]
