"""Pictures of attention and of training: `attention_text`, `attention_figure`, `curve_figure`; and
`Trace`, what happened in one translation.

Matplotlib is imported when the first figure is made, not before.
"""

from tinyattn.viz.figures import attention_figure, curve_figure
from tinyattn.viz.terminal import attention_text
from tinyattn.viz.trace import Trace

__all__ = ["Trace", "attention_figure", "attention_text", "curve_figure"]
