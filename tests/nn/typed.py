"""What type checkers and editors see of nn. Not run: test_types.py gives it to mypy and pyright."""
# pyright: strict

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, assert_type

import tinyattn as ta
from tinyattn import Tensor, nn
from tinyattn.nn.module import IncompatibleKeys, RemovableHandle
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.nn.utils.rnn import PackedSequence

x = Tensor()
index = Tensor()


class Classifier(nn.Module):
    """A module of a user's own: its call takes and returns what its forward does."""

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


# Calls

assert_type(Classifier()(index), tuple[Tensor, int])
assert_type(Finer()(index, lengths=[1]), tuple[Tensor, int])
Classifier()(index, length=3)  # type: ignore[call-arg] # pyright: ignore
nn.Linear(3, 4)("text")  # type: ignore[arg-type] # pyright: ignore
assert_type(nn.Linear(3, 4)(x), Tensor)
assert_type(nn.Embedding(3, 4)(index), Tensor)
assert_type(nn.LayerNorm(3)(x), Tensor)
assert_type(nn.RMSNorm(3)(x), Tensor)
assert_type(nn.Dropout()(x), Tensor)
assert_type(nn.Conv1d(1, 2, 3)(x), Tensor)
assert_type(nn.GELU()(x), Tensor)
assert_type(nn.Softmax(-1)(x), Tensor)
assert_type(nn.Identity()(x), Tensor)
assert_type(nn.Identity()("text"), str)
assert_type(nn.CrossEntropyLoss()(x, index), Tensor)
assert_type(nn.MSELoss()(x, x), Tensor)
assert_type(nn.RotaryPositions()(x, start=3), Tensor)
assert_type(nn.LearnedPositions(3, 4)(x), Tensor)

packed: PackedSequence = nn.utils.rnn.pack_sequence([x])
assert_type(nn.GRU(3, 4)(x), tuple[Tensor, Tensor])
assert_type(nn.GRU(3, 4)(x, x), tuple[Tensor, Tensor])
assert_type(nn.RNN(3, 4)(packed), tuple[PackedSequence, Tensor])
assert_type(nn.LSTM(3, 4)(x), tuple[Tensor, tuple[Tensor, Tensor]])
assert_type(nn.LSTM(3, 4)(packed, (x, x)), tuple[PackedSequence, tuple[Tensor, Tensor]])
assert_type(nn.GRUCell(3, 4)(x, x), Tensor)
assert_type(nn.RNNCell(3, 4)(x), Tensor)
assert_type(nn.LSTMCell(3, 4)(x, (x, x)), tuple[Tensor, Tensor])

attention = nn.MultiheadAttention(8, 2)
assert_type(attention(x, x, x), tuple[Tensor, Tensor])
assert_type(attention(x, x, x, need_weights=False), tuple[Tensor, Tensor | None])
assert_type(nn.Attention()(x, x, x), Tensor)
assert_type(nn.Attention()(x, x, x, need_weights=True), tuple[Tensor, Tensor])

decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2), 2)
assert_type(nn.TransformerEncoderLayer(8, 2)(x), Tensor)
assert_type(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2)(x, is_causal=False), Tensor)
assert_type(decoder(x, x, cache=decoder.new_cache()), Tensor)
assert_type(nn.Transformer()(x, x), Tensor)

# Containers

layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
assert_type(layers(x), Tensor)
assert_type(layers[0], nn.Module)
assert_type(layers[0:1], nn.Sequential)
assert_type(nn.Sequential(OrderedDict(first=nn.Linear(3, 4))), nn.Sequential)
assert_type(list(nn.ModuleList([layers])), list[nn.Module])
assert_type(nn.ModuleList([layers])[-1](x), Any)
assert_type(nn.ModuleDict({"a": layers})["a"], nn.Module)
assert_type(dict(nn.ModuleDict([("a", layers)]).items()), dict[str, nn.Module])
function: Callable[[Tensor], Tensor] = nn.Linear(3, 4)

# Attributes and methods

assert_type(nn.Linear(3, 4).weight, nn.Parameter)
assert_type(nn.Linear(3, 4).bias, nn.Parameter | None)
assert_type(nn.LayerNorm(3).weight, nn.Parameter | None)
assert_type(nn.GRU(3, 4).weight_ih_l0, nn.Parameter)
assert_type(attention.in_proj_weight, nn.Parameter | None)
assert_type(attention.out_proj, nn.Linear)
assert_type(nn.TransformerDecoderLayer(8, 2).multihead_attn, nn.MultiheadAttention)
assert_type(nn.CrossEntropyLoss().weight, Tensor | None)
assert_type(layers.parameters(), Iterator[nn.Parameter])
assert_type(layers.named_parameters(), Iterator[tuple[str, nn.Parameter]])
assert_type(layers.named_buffers(), Iterator[tuple[str, Tensor]])
assert_type(layers.named_modules(), Iterator[tuple[str, nn.Module]])
assert_type(layers.state_dict(), OrderedDict[str, Tensor])
assert_type(layers.load_state_dict({}), IncompatibleKeys)
assert_type(layers.load_state_dict({}).missing_keys, list[str])
assert_type(layers.register_forward_hook(lambda module, args, output: None), RemovableHandle)
assert_type(layers.eval().train().double().requires_grad_(False).to(ta.float32), nn.Sequential)
assert_type(nn.Embedding.from_pretrained(x), nn.Embedding)
assert_type(nn.Parameter(x).grad, Tensor | None)
assert_type(nn.init.xavier_uniform_(x), Tensor)
assert_type(clip_grad_norm_(layers.parameters(), 1.0), Tensor)
assert_type(nn.functional.linear(x, x), Tensor)
