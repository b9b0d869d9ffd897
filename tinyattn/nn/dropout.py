"""Dropout (Srivastava et al. 2014): during training, random elements become zero and the others
grow to keep the mean; in evaluation nothing changes. The operation stands in ops/random.py."""

from tinyattn._tensor import Tensor
from tinyattn.nn.functional import dropout
from tinyattn.nn.module import Module


class Dropout(Module):
    """In training, set each element to 0 with probability p and divide the others by 1 - p, which
    keeps the expected value. In evaluation, return the input.

    inplace: write into the input's memory. ValueError unless 0 <= p <= 1. (Srivastava et al. 2014)

    >>> layer = nn.Dropout(0.5)
    >>> sorted(set(layer(ta.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(ta.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

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
