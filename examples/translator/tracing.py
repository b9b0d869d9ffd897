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
from tinyattn.viz import Trace, gates_of
from tinyattn.viz.trace import entropy
from translator.model import Translator
from translator.searching import GREEDY, Scored, Search, beams, search

Array = NDArray[Any]
ALTERNATIVES = 8
NUMBERS = 1 << 24  # probabilities that are computed at a time, about


def trace(model: Translator, sentence: str, how: Search = GREEDY, number: int = 0) -> Trace:
    """The translation of a sentence, and everything that the model did for it. `number`: by which
    its random draws are made.

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
        ((one, *_),) = search(model.model, batch, how, number)
    written = model.written(source, one)
    target = [*written.target, *["<eos>"] * written.finished]
    seen = forced(model, source, one.found.ids, written.finished)
    words = words_of(model, source, written.target, written.finished) if model.pieces else None
    return Trace(sentence, written.text, source, target, beam=tree, words=words, **seen)


def words_of(
    model: Translator, source: Sequence[str], target: Sequence[str], finished: bool
) -> dict[str, dict[str, Any]]:
    """The words of a translation by subwords, as `Trace` has them."""
    sides = {"source": model.words("source", source), "target": model.words("target", target)}
    if finished:
        starts, texts = sides["target"]
        sides["target"] = [*starts, len(target)], [*texts, "<eos>"]
    return {side: {"starts": starts, "texts": texts} for side, (starts, texts) in sides.items()}


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
    alone = batch_of(sources[:1], before, after)
    steps = np.arange(len(after))
    rows = max(NUMBERS // (len(after) * len(model.target)), 1)
    with ta.no_grad():
        p = model(alone).softmax(-1).numpy()[:, 0]  # (Tq, V)
        hidden = [
            model(batch_of(sources[i : i + rows], before, after))
            .softmax(-1)
            .numpy()[steps, :, after]
            for i in range(1, len(sources), rows)
        ]  # (Tq, rows) each
        attention, gates = inside(model.model, alone)
    best = np.argsort(-p, axis=1, kind="stable")[:, :ALTERNATIVES]
    return {
        "attention": attention,
        "probabilities": p[steps, after],
        "entropies": entropy(p),
        "alternatives": [[model.target.token(int(i)) for i in row] for row in best],
        "alternative_probabilities": np.take_along_axis(p, best, 1),
        "covered": np.concatenate(hidden, 1),
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
    """Its weights come step by step, as in a search; its gates are watched meanwhile."""
    rows = []
    first: Any = None

    def run() -> None:
        nonlocal first
        state = model.start(batch)
        first, _ = state
        for token in batch.target_in[0]:
            _, weights, state = model.next(ta.tensor([token]), state)
            rows.append(weights.numpy()[0])

    found = gates_of(run)
    if not found:  # quantised layers tell nothing of their gates
        return {"cross": np.stack(rows)[None, None]}, {}
    layers = model.decoder.rnn.num_layers
    gates = {
        "encoder": cells(found[:-layers], None, model.encoder.bidirectional),
        "decoder": cells(found[-layers:], first, False),
    }
    return {"cross": np.stack(rows)[None, None]}, gates


def cells(found: Sequence[dict[str, Array]], first: Any, both_ways: bool) -> dict[str, Array]:
    """The gates of a stack of GRUs or LSTMs, as `gates_of` gives them, and the states that follow
    from them, each (L * directions, T, H). An update gate is the share of a state that is kept.

    first: the state before, (L, 1, H), or (h, c) of an LSTM; None: zeros.
    """
    names = {"r": "reset", "z": "update", "i": "input", "f": "forget", "o": "output"}
    begin = first if isinstance(first, tuple) else (first,)
    steps: dict[str, list[Array]] = {}
    for place, gates in enumerate(found):
        values = {name: x[:, 0] for name, x in gates.items()}
        backwards = both_ways and place % 2 == 1
        start = [part.numpy()[place, 0] for part in begin] if first is not None else [0.0]
        for name, x in values.items():
            if name in names:
                steps.setdefault(names[name], []).append(x)
        steps.setdefault("state", []).append(states(values, backwards, *start))
    return {name: np.stack(x) for name, x in steps.items()}


def states(gates: dict[str, Array], backwards: bool, h: Any, c: Any = 0.0) -> Array:
    """The states (T, H) of a cell: h' = (1 - z) n + z h of a GRU; c' = f c + i g and
    h' = o tanh(c') of an LSTM."""
    T = len(next(iter(gates.values())))
    found = [h] * T
    for t in reversed(range(T)) if backwards else range(T):
        now = {name: x[t] for name, x in gates.items()}
        if "z" in now:
            h = (1 - now["z"]) * now["n"] + now["z"] * h
        else:
            c = now["f"] * c + now["i"] * now["g"]
            h = now["o"] * np.tanh(c)
        found[t] = h
    return np.stack(found)


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
