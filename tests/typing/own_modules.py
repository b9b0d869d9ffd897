"""What type checkers see of modules that a user writes, and of the finer points of nn: not run,
only checked, by mypy (strict) and pyright (strict), as surface.py is.
"""
# pyright: strict

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, assert_type

from tinyattn import Tensor, nn
from tinyattn.nn.utils.rnn import PackedSequence, pack_sequence


class Classifier(nn.Module):
    """Its call takes and returns what its forward does."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.encoder = nn.GRU(3, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, tokens: Tensor, *, lengths: list[int] | None = None) -> tuple[Tensor, int]:
        states, last = self.encoder(self.embedding(tokens))
        assert_type(states, Tensor)
        return self.out(last[-1]), len(states)


class Finer(Classifier):
    pass


def calls(x: Tensor, module: nn.Module, either: nn.Linear | Classifier) -> None:
    assert_type(Classifier()(x), tuple[Tensor, int])
    assert_type(Finer()(x, lengths=[1]), tuple[Tensor, int])
    Classifier()(x, length=3)  # type: ignore[call-arg] # pyright: ignore
    nn.Linear(3, 4)("text")  # type: ignore[arg-type] # pyright: ignore
    nn.GRU(3, 4)("text")  # type: ignore[type-var] # pyright: ignore
    assert_type(module(x, 3, anything=True), Any)
    assert_type(either(x), Tensor | tuple[Tensor, int])
    function: Callable[[Tensor], Tensor] = nn.Linear(3, 4)
    assert_type(function(x), Tensor)
    assert_type(nn.Identity()("text"), str)


def overloads(x: Tensor, weights: bool) -> None:
    packed = pack_sequence([x])
    assert_type(nn.LSTM(3, 4)(packed), tuple[PackedSequence, tuple[Tensor, Tensor]])
    assert_type(nn.LSTM(3, 4)(x, (x, x)), tuple[Tensor, tuple[Tensor, Tensor]])
    assert_type(nn.LSTMCell(3, 4)(x, (x, x)), tuple[Tensor, Tensor])
    attention = nn.MultiheadAttention(8, 2)
    assert_type(attention(x, x, x), tuple[Tensor, Tensor])
    assert_type(attention(x, x, x, need_weights=False), tuple[Tensor, Tensor | None])
    assert_type(attention(x, x, x, need_weights=weights), tuple[Tensor, Tensor | None])
    assert_type(nn.Sequential(OrderedDict(first=nn.Linear(3, 4))), nn.Sequential)


def attributes() -> None:
    assert_type(nn.LayerNorm(3).weight, nn.Parameter | None)
    assert_type(nn.GRU(3, 4).weight_ih_l0, nn.Parameter)
    assert_type(nn.MultiheadAttention(8, 2).in_proj_weight, nn.Parameter | None)
    assert_type(nn.MultiheadAttention(8, 2).out_proj, nn.Linear)
    assert_type(nn.TransformerDecoderLayer(8, 2).multihead_attn, nn.MultiheadAttention)
    assert_type(nn.CrossEntropyLoss().weight, Tensor | None)
    assert_type(Finer().encoder.bias, bool)


def hooks(model: nn.Linear) -> None:
    def before(module: nn.Linear, args: tuple[Any, ...], named: dict[str, Any]) -> None: ...

    def after(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return output

    assert_type(model.register_forward_pre_hook(before, with_kwargs=True).remove(), None)
    assert_type(model.register_forward_hook(after).remove(), None)
    model.register_forward_pre_hook(before)  # type: ignore[arg-type] # pyright: ignore
