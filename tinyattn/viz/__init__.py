"""Looking at attention and at training: `attention_text` and `attention_figure`, `curve_figure`.

Nothing here imports Matplotlib before a figure is asked for.
"""

from tinyattn.viz.figures import attention_figure, curve_figure
from tinyattn.viz.terminal import attention_text

__all__ = ["attention_figure", "attention_text", "curve_figure"]
