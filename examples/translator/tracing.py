"""What happened in one translation: `trace` gives a `tinyattn.viz.Trace`. Look first at `trace`,
then at `forced`, which gives the translation to the model word by word and looks at all it does.

Letters: Tk source and Tq target tokens, N copies of the sentence, L layers, h heads, H hidden.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from translator_rnn import RNN
from translator_transformer import Transformer

import tinyattn as ta
import tinyattn.nn as nn
from tinyattn.text import BOS, EOS, UNK, Batch, Beam, DataError, batches
from tinyattn.viz import Trace
from tinyattn.viz.trace import entropy
from translator.model import Translator
from translator.searching import GREEDY, Scored, Search, beams, search

Array = NDArray[Any]
ALTERNATIVES = 8


def trace(model: Translator, sentence: str, how: Search = GREEDY) -> Trace:
    """The translation of a sentence, and everything that the model did for it.

    Raises DataError for a sentence without tokens.
    """
    source = model.read.tokenize(sentence)
    if not source:
        raise DataError(f"expected a sentence, got {sentence!r}")
    model.eval()
    (batch,) = batches([(model.source.encode(source), ())], 1)
    tree = None
    if how.beam > 1:
        (record,) = beams(model.model, batch, how)
        one, tree = Scored(record.found(), record.ended[0].score), tree_of(model, record)
    else:
        ((one, *_),) = search(model.model, batch, how)
    written = model.written(source, one)
    target = [*written.target, *["<eos>"] * written.finished]
    seen = forced(model, source, one.found.ids, written.finished)
    return Trace(sentence, written.text, source, target, beam=tree, **seen)


def forced(
    model: Translator, source: Sequence[str], target: Sequence[int], finished: bool = True
) -> dict[str, Any]:
    """What a model does while it is given the target ids one after the other: the fields of `Trace`
    from `attention` to `gates`. finished: the end of the sentence follows them.

    The sentence is translated 1 + Tk times side by side, once as it is and once with each of its
    tokens hidden: <unk> stands in its place.
    """
    ids = np.array(model.source.encode(source))
    sources = np.repeat(ids[None], 1 + len(ids), 0)
    sources[np.arange(len(ids)) + 1, np.arange(len(ids))] = UNK
    after = np.array([*target, *[EOS] * finished])
    before = np.array([BOS, *after[:-1]])
    batch, alone = batch_of(sources, before, after), batch_of(sources[:1], before, after)
    with ta.no_grad():
        p = model(batch).softmax(-1).numpy()  # (Tq, 1 + Tk, V)
        attention, gates = inside(model.model, alone)
    chosen = p[np.arange(len(after)), :, after]  # (Tq, 1 + Tk)
    best = np.argsort(-p[:, 0], axis=1, kind="stable")[:, :ALTERNATIVES]
    return {
        "attention": attention,
        "probabilities": chosen[:, 0],
        "entropies": entropy(p[:, 0]),
        "alternatives": [[model.target.token(int(i)) for i in row] for row in best],
        "alternative_probabilities": np.take_along_axis(p[:, 0], best, 1),
        "covered": chosen[:, 1:],
        "gates": gates,
    }


def batch_of(sources: Array, before: Array, after: Array) -> Batch:
    """A batch of these sources (N, Tk), which all have one target (Tq,)."""
    N = len(sources)
    return Batch(
        source=sources,
        target_in=np.repeat(before[None], N, 0),
        target_out=np.repeat(after[None], N, 0),
        lengths=np.full(N, sources.shape[1]),
        index=np.arange(N),
    )


def inside(model: RNN | Transformer, batch: Batch) -> tuple[dict[str, Array], dict[str, Any]]:
    """The attention and the gates of a model that reads a batch of one pair."""
    return of_rnn(model, batch) if isinstance(model, RNN) else of_transformer(model, batch)


def of_rnn(model: RNN, batch: Batch) -> tuple[dict[str, Array], dict[str, Any]]:
    """Its weights come step by step; its gates are computed again from what its cells read."""
    read: dict[nn.Module, list[tuple[Any, ...]]] = {model.encoder.rnn: [], model.decoder.rnn: []}
    with ExitStack() as stack:
        for rnn in read:
            note = rnn.register_forward_pre_hook(lambda rnn, args: read[rnn].append(args))
            stack.enter_context(note)
        state = model.start(batch)
        rows = []
        for token in batch.target_in[0]:
            _, weights, state = model.next(ta.tensor([token]), state)
            rows.append(weights.numpy()[0])
    ((packed,),) = read[model.encoder.rnn]
    inputs, states = zip(*read[model.decoder.rnn], strict=True)
    gates = {
        "encoder": cells(model.encoder.rnn, packed.data.numpy(), None),
        "decoder": cells(model.decoder.rnn, np.concatenate([x.numpy()[:, 0] for x in inputs]),
                         states[0]),
    }  # fmt: skip
    return {"cross": np.stack(rows)[None, None]}, gates


def cells(rnn: Any, x: Array, state: Any) -> dict[str, Array]:
    """The gates of the units of a GRU or an LSTM that reads x (Tk, D), and their states, each
    (L * directions, Tk, H): the update gate is the share of a state that is kept.

    `state`: the first one, (L, 1, H), or (h, c) of an LSTM; None: zeros.
    """
    found: dict[str, list[Array]] = {}
    directions = ("", "_reverse") if rnn.bidirectional else ("",)
    for layer in range(rnn.num_layers):
        outputs = []
        for place, direction in enumerate(directions):
            names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
            parts = [getattr(rnn, f"{name}_l{layer}{direction}").detach().numpy() for name in names]
            first = np.zeros((2, rnn.hidden_size), x.dtype)
            if state is not None:
                given = state if isinstance(state, tuple) else (state,)
                rows = [part.numpy()[layer * len(directions) + place, 0] for part in given]
                first[: len(rows)] = rows
            cell = lstm_cell if isinstance(rnn, nn.LSTM) else gru_cell
            steps = cell(x[::-1] if direction else x, *parts, *first)
            for name, values in steps.items():
                forwards = values[::-1] if direction else values
                found.setdefault(name, []).append(np.stack(forwards))
            outputs.append(found["state"][-1])
        x = np.concatenate(outputs, 1)
    return {name: np.stack(values) for name, values in found.items()}


def gru_cell(
    x: Array, W: Array, b: Array, U: Array, d: Array, h: Array, _: Array
) -> dict[str, list[Array]]:
    """r = s(W_r x + U_r h), z = s(W_z x + U_z h), n = tanh(W_n x + r (U_n h)) with biases,
    h' = (1 - z) n + z h."""
    steps: dict[str, list[Array]] = {"reset": [], "update": [], "state": []}
    for inputs in x @ W.T + b:
        (xr, xz, xn), (hr, hz, hn) = np.split(inputs, 3), np.split(U @ h + d, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + r * hn) + z * h
        for name, value in zip(steps, (r, z, h), strict=True):
            steps[name].append(value)
    return steps


def lstm_cell(
    x: Array, W: Array, b: Array, U: Array, d: Array, h: Array, c: Array
) -> dict[str, list[Array]]:
    """c' = f c + i g and h' = o tanh(c'), where i, f, o = s(W x + U h) and g = tanh(W x + U h)."""
    steps: dict[str, list[Array]] = {"input": [], "forget": [], "output": [], "state": []}
    for inputs in x @ W.T + b:
        i, f, g, o = np.split(inputs + U @ h + d, 4)
        i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        for name, value in zip(steps, (i, f, o, h), strict=True):
            steps[name].append(value)
    return steps


def sigmoid(x: Array) -> Array:
    return (1 + np.tanh(x / 2)) / 2


def of_transformer(model: Transformer, batch: Batch) -> tuple[dict[str, Array], dict[str, Any]]:
    """Each attention is asked once more, with what it was given, for the weights of all heads."""
    groups = {
        "encoder": [layer.attention for layer in model.encoder],
        "decoder": [layer.attention for layer in model.decoder],
        "cross": [layer.source_attention for layer in model.decoder],
    }
    calls: dict[nn.Module, tuple[Any, Any]] = {}
    with ExitStack() as stack:
        for attention in (one for group in groups.values() for one in group):
            note = attention.register_forward_pre_hook(
                lambda module, args, kwargs: calls.update({module: (args, kwargs)}),
                with_kwargs=True,
            )
            stack.enter_context(note)
        model(batch)
    wanted = {"need_weights": True, "average_attn_weights": False}

    def weights(attention: nn.Module) -> Array:
        args, kwargs = calls[attention]
        found: Array = attention(*args, **{**kwargs, **wanted})[1].numpy()[0]
        return found

    return {name: np.stack([*map(weights, group)]) for name, group in groups.items()}, {}


def tree_of(model: Translator, record: Beam) -> dict[str, Any]:
    """What beam search did for a sentence, as `Trace` has it."""
    ended = record.ended
    return {
        "tokens": [[model.target.token(i) if i >= 0 else "" for i in row]
                   for row in record.tokens.tolist()],
        "parents": record.parents,
        "sums": np.where(record.tokens >= 0, record.sums, 0),
        "score": np.array([one.score for one in ended]),
        "step": np.array([one.step for one in ended]),
        "slot": np.array([one.slot for one in ended]),
    }  # fmt: skip
