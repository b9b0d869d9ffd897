"""The types that kernel files share. `Array` is any NumPy array; table.py says which kernel takes
which. A kernel with many options takes them in one structure.
"""

from collections.abc import MutableMapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]

# Where copies of a weight, packed for the inner loops, are kept. The owner of the weight empties it
# on any change.
Packings = MutableMapping[Any, Any]


class Recurrence(NamedTuple):
    """How a recurrent layer goes from one state to the next: its weights and the packed batch."""

    w_hh: Array  # (GH, H), G the number of gates
    b_hh: Array | None  # (GH,); a backward has no use for it
    batch_sizes: Array  # int64 (T,): how many sequences reach each step
    reverse: bool  # from the last step to the first
    packings: Packings | None  # those of w_hh


class CrossEntropyOptions(NamedTuple):
    """What cross-entropy does with its targets: the names are PyTorch's, except for mean."""

    ignore_index: int
    label_smoothing: float
    mean: bool  # the loss is the mean, else the sum


class AttentionOptions(NamedTuple):
    """How scaled dot-product attention weighs its keys."""

    causal: bool  # query i attends the keys j <= i only
    scale: float  # the scores are scale * q . k
    dropout_p: float = 0.0  # the probability that a weight is dropped
    key: int = 0  # 64 bits; dropout's numbers depend on it and on the position only
    numbers: Array | None = None  # (B h,) int64, of the heads in dropout, for 0, 1, 2, ...


class AdamOptions(NamedTuple):
    """A step of Adam: the names are PyTorch's, except that betas are two."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decoupled: bool = False  # weight decay as in AdamW
    maximize: bool = False


class SGDOptions(NamedTuple):
    """A step of SGD: the names are PyTorch's."""

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool = False
    maximize: bool = False


class Source(NamedTuple):
    """Where a generator Philox 4x64 stands, in the terms of numpy.random.Philox.state."""

    counter: Array  # (4,) uint64: of the block that was made last
    key: Array  # (2,) uint64
    block: Array  # (4,) uint64
    used: int  # how many words of the block are used up
    has_half: int  # whether the upper half of a word is left over
    half: int

    @classmethod
    def of(cls, state: Any) -> "Source":
        """Where a generator of NumPy in this state stands."""
        place, rest = state["state"], (state["has_uint32"], state["uinteger"])
        return cls(place["counter"], place["key"], state["buffer"], state["buffer_pos"], *rest)

    def state(self) -> Any:
        """The state of a generator of NumPy that stands there."""
        return {
            "bit_generator": "Philox",
            "state": {"counter": self.counter, "key": self.key},
            "buffer": self.block,
            "buffer_pos": self.used,
            "has_uint32": self.has_half,
            "uinteger": self.half,
        }


class Stream(NamedTuple):
    """Where in its sequence a generator Philox 4x64 stands, as numpy.random.Philox does."""

    key: int  # 128 bits
    counter: int  # 256 bits: that of the block of four words which was made last
    used: int  # how many halves are used up, counted from the first of these words
    first: int | None = None  # the upper half of a word that is used up but for it; it comes first

    def after(self, halves: int) -> "Stream":
        """Where the generator stands when so many more halves are used up."""
        if not halves:
            return self
        return self._replace(used=self.used + halves - (self.first is not None), first=None)
