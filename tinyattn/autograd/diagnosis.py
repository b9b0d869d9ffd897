"""What an operation can say of itself when a model is examined: its gates, its attention weights.

`tinyattn.doctor` asks after every forward. Here stand the answers of an operation that has nothing
to say; an operation that has overrides them.
"""

from typing import Any

from tinyattn.kernels._types import Array


class Diagnosis:
    unit_axis: int = -1  # the axis of the output that counts units
    switches_off: bool = False  # a unit that is 0 for every input gets no gradient, as in relu
    keeps_weights: bool = False  # attention weights that come in as the first input are the output
    attends: bool = False  # its softmax weights values: it is attention and no classification

    def weighs(self, x: Array) -> bool:
        """Whether values are weighted with x, if x is an input that holds attention weights."""
        return False

    def gates(self) -> dict[str, Array]:
        """Its gates (N, H) by name, with values between 0 and 1."""
        return {}

    def candidates(self) -> dict[str, Array]:
        """The new states (N, H) that gates let in, by name, with values between -1 and 1."""
        return {}

    def attention_weights(self, inputs: tuple[Any, ...], output: Any) -> tuple[Array, Array] | None:
        """The weights (..., Tq, Tk) of a softmax, and the scores, or masks, that tell masked keys:
        those have large negative numbers there."""
        return None
