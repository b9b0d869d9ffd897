"""What an operation can tell about itself when a model is examined: its gates, its attention
weights.

`tinyattn.doctor` asks for them after every forward. The answers here are those of an operation that
has neither; an operation that has gates or weights overrides them.
"""

from typing import Any

from tinyattn.kernels._types import Array


class Diagnosis:
    unit_axis: int = -1  # the axis of the output whose elements are the units of a layer
    switches_off: bool = False  # a unit that gives 0 for every input gets no gradient, as in relu
    keeps_weights: bool = False  # the output is the first input, if that holds attention weights
    attends: bool = False  # its softmax weights values, as in attention, and no classes

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
        """The weights (..., Tq, Tk) of a softmax, and the scores or masks, which are large negative
        numbers at masked keys."""
        return None
