"""The graph of a tensor as a picture."""

import sys

from tinyattn._explain.drawing import boxes
from tinyattn._explain.folding import fold
from tinyattn._explain.reading import Names, read
from tinyattn.autograd.storage import Tensor
from tinyattn.viz.boxes import draw
from tinyattn.viz.picture import Picture


def graph(tensor: Tensor) -> Picture:
    """The operations and leaves that the tensor was computed from, with the shapes of what goes
    from one to the next. Inputs stand at the top, the tensor at the bottom.

    Boxes bear the names of the calling function's variables. `ta.explain` draws the same graph with
    its gradients, and says how large graphs are folded. Raises RuntimeError if the tensor has no
    graph.

    >>> w = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (w * w).sum()
    >>> picture = graph(loss)
    >>> picture.save("graph.svg")  # doctest: +SKIP
    """
    _, steps = read(tensor, Names(sys._getframe(1)))
    told, note = fold(steps)
    title = f"The graph of {steps[0].name or steps[0].operation}" + (f". {note}" if note else "")
    return Picture(draw(boxes(told, backward=False), title, backward=False))
