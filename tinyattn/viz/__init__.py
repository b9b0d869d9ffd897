"""Pictures of models and of their training. In a notebook, each of them shows as SVG, and
`save(path)` writes it to a file.

of the graph: `graph(tensor)`, and `ta.explain(loss)`, which adds the gradients
of attention: `attention_text`, `attention_figure`
of a recurrent layer: `gates`, which draws what `gates_of` finds in a model; `gradient_norms`
of a derivative: `jacobian`, which draws what `jacobian_of` computes
of training: `curve_figure`
of one translation: `Trace`, what happened in it, and the pages of HTML that are drawn from it,
`attention_page` and `forming_page`

Matplotlib is imported when the first figure is made, not before.
"""

from tinyattn.viz.figures import attention_figure, curve_figure
from tinyattn.viz.graph import graph
from tinyattn.viz.jacobians import jacobian, jacobian_of
from tinyattn.viz.pages import Page, attention_page, forming_page
from tinyattn.viz.recurrent import gates, gates_of, gradient_norms
from tinyattn.viz.terminal import attention_text
from tinyattn.viz.trace import Trace

__all__ = [
    "Page",
    "Trace",
    "attention_figure",
    "attention_page",
    "attention_text",
    "curve_figure",
    "forming_page",
    "gates",
    "gates_of",
    "gradient_norms",
    "graph",
    "jacobian",
    "jacobian_of",
]
