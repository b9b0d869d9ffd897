"""Dropout: in training, elements become zero at random."""

from tinyattn._tensor import Tensor
from tinyattn.nn.functional import dropout
from tinyattn.nn.module import Module


class Dropout(Module):
    """Zero each element with probability p and scale the rest by 1/(1-p); nothing in evaluation."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p: dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
