"""Training steps of whole models, which stand in benchmarks/models, and sampling from one."""

from typing import Any

from benchmarks.compare.case import Call, Case
from benchmarks.models import load


def _step(group: str, name: str, model: str, **sizes: Any) -> Case:
    return Case(
        group,
        name,
        lambda lib: load(model, lib.__name__).training_step(**sizes),
        step=True,
    )


def _transformer(
    layers: int, width: int, B: int, T: int, V: int, activation: str, causal: bool = False
) -> Case:
    return _step(
        "transformer",
        f"Transformer step {layers} x {width} B{B} T{T} V{V} {activation}{', causal' * causal}",
        "transformer",
        layers=layers,
        width=width,
        heads=width // 64 if width > 128 else 4,
        B=B,
        T=T,
        V=V,
        activation=activation,
        causal=causal,
    )


def _seq2seq(B: int, T: int, H: int, V: int, claimed: float) -> Case:
    """Of the products, backward has two for each of forward's.

    Encoder 2 T B 6H^2, decoder 2 T B 9H^2, attention 4 T^2 B H, projection 2 T B 2H V.
    """
    case = _step("seq2seq", f"Seq2Seq step B{B} T{T} H{H} V{V}", "seq2seq", B=B, T=T, H=H, V=V)
    products = 3.0 * T * B * (12 * H * H + 18 * H * H + 4 * T * H + 4 * H * V)
    return case._replace(flops=products, claimed=claimed)


def replayed(B: int, T: int, H: int, V: int) -> Call:
    """The Seq2Seq step, recorded once and replayed."""
    import tinyattn

    module = load("seq2seq", "tinyattn")
    step, batch = tinyattn.replay(module.training(H, V)), module.batch(B, T, V)
    return lambda: step(*batch)


def compiled(**sizes: int) -> Call:
    """The Seq2Seq step, compiled by JAX."""
    from benchmarks.models import seq2seq_jax

    return seq2seq_jax.training_step(**sizes)


def _replay(B: int, T: int, H: int, V: int) -> Case:
    """The fastest way there is on both sides."""
    sizes = {"B": B, "T": T, "H": H, "V": V}
    own = {"replay": lambda: replayed(**sizes), "jax": lambda: compiled(**sizes)}
    case = _step("replay", f"Seq2Seq step B{B} T{T} H{H} V{V}", "seq2seq", **sizes)
    return case._replace(sides=("replay", "torch", "jax"), own=own, step=False)


def _gpt(layers: int, width: int, heads: int, B: int, T: int, V: int) -> Case:
    return _step(
        "programs",
        f"GPT by hand, step {layers} x {width} B{B} T{T} V{V}",
        "gpt",
        layers=layers,
        width=width,
        heads=heads,
        B=B,
        T=T,
        V=V,
    )


CASES = [
    _transformer(2, 128, 32, 24, 1000, "relu"),
    _transformer(2, 128, 32, 24, 1000, "gelu"),
    _transformer(4, 256, 16, 64, 4000, "gelu", causal=True),
    _transformer(2, 512, 8, 128, 1000, "relu"),
    _seq2seq(32, 8, 64, 300, 1.78),
    _seq2seq(64, 10, 128, 1000, 1.41),
    _seq2seq(64, 12, 256, 4000, 1.32),
    _seq2seq(64, 15, 512, 8000, 1.35),
    _replay(32, 8, 64, 300),
    _replay(64, 10, 128, 1000),
    _replay(64, 12, 256, 4000),
    _replay(64, 15, 512, 8000),
    _step(
        "translator",
        "translator by hand, step B64 H256 V5921",
        "translator",
        V=5921,
        H=256,
        B=64,
        shortest=8,
        longest=18,
    ),
    _gpt(4, 128, 4, 32, 64, 65),
    _gpt(6, 192, 6, 12, 128, 4001),
    _step(
        "programs",
        "LSTM over letters, step B32 T64 H128",
        "char_rnn",
        V=65,
        H=128,
        layers=1,
        B=32,
        T=64,
    ),
    Case(
        "programs",
        "LSTM over letters, sampling 100, H128",
        lambda lib: load("char_rnn", lib.__name__).sampling(V=65, H=128, layers=1, count=100),
    ),
    _step(
        "documents",
        "one sentence, a token at a time, T10 H256 V3000",
        "documents",
        T=10,
        H=256,
        V=3000,
    )._replace(claimed=2.26),
]
