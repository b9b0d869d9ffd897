"""Pictures of attention and of training: `attention_text`, `attention_figure`, `curve_figure`.

Matplotlib is imported when the first figure is made, not before.
"""

from tinyattn.viz.figures import attention_figure, curve_figure
from tinyattn.viz.terminal import attention_text

__all__ = ["attention_figure", "attention_text", "curve_figure"]
