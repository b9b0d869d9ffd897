"""Floor 6: `explain(loss)`: the backward pass of a model, told step by step, as text and as a
picture.

step.py says what a step is; look there first, then at `explain` in running.py. forward.py notes
what happens in the forward pass, reading.py turns the graph into steps, folding.py joins the steps
of a module, telling.py writes the text, drawing.py draws, explanation.py is what `explain` gives.
"""

from tinyattn._explain.running import explain

__all__ = ["explain"]
