"""Every module with parameters makes them in the dtype it is given, and on the CPU only."""

import pytest

import tinyattn as ta
from tinyattn import nn

MODULES = {
    "Linear": lambda **on: nn.Linear(4, 2, **on),
    "Embedding": lambda **on: nn.Embedding(4, 2, **on),
    "Conv1d": lambda **on: nn.Conv1d(4, 2, 3, **on),
    "LayerNorm": lambda **on: nn.LayerNorm(4, **on),
    "RMSNorm": lambda **on: nn.RMSNorm(4, **on),
    "RNN": lambda **on: nn.RNN(4, 2, **on),
    "GRU": lambda **on: nn.GRU(4, 2, num_layers=2, **on),
    "LSTM": lambda **on: nn.LSTM(4, 2, proj_size=1, **on),
    "RNNCell": lambda **on: nn.RNNCell(4, 2, **on),
    "GRUCell": lambda **on: nn.GRUCell(4, 2, **on),
    "LSTMCell": lambda **on: nn.LSTMCell(4, 2, **on),
    "Attention": lambda **on: nn.Attention("additive", 4, 4, 3, **on),
    "MultiheadAttention": lambda **on: nn.MultiheadAttention(4, 2, add_bias_kv=True, **on),
    "LearnedPositions": lambda **on: nn.LearnedPositions(8, 4, **on),
    "TransformerEncoderLayer": lambda **on: nn.TransformerEncoderLayer(4, 2, 3, **on),
    "TransformerDecoderLayer": lambda **on: nn.TransformerDecoderLayer(4, 2, 3, **on),
    "Transformer": lambda **on: nn.Transformer(4, 2, 1, 1, 3, **on),
}


@pytest.mark.parametrize("kind", MODULES)
def test_parameters_are_of_the_given_dtype_and_of_float32_by_default(kind):
    made = MODULES[kind]
    assert {p.dtype for p in made(dtype=ta.float64).parameters()} == {ta.float64}
    assert {p.dtype for p in made().parameters()} == {ta.float32}


@pytest.mark.parametrize("kind", MODULES)
def test_a_module_is_made_on_the_cpu_only(kind):
    assert all(p.device == ta.device("cpu") for p in MODULES[kind](device="cpu").parameters())
    with pytest.raises(RuntimeError, match="device: tinyattn computes on the CPU only, got 'cuda'"):
        MODULES[kind](device="cuda")


def test_a_causal_mask_is_of_the_given_dtype_and_on_the_cpu_only():
    mask = nn.Transformer.generate_square_subsequent_mask
    assert mask(2).dtype == ta.float32
    assert mask(2, dtype=ta.float64).dtype == ta.float64
    with pytest.raises(RuntimeError, match="CPU only"):
        mask(2, device="cuda")
