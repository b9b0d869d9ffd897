"""What a trace says of models with their first weights: it is what they do."""

from typing import Any

import numpy as np
import pytest
from translator.searching import Search
from translator.tracing import forced, trace

import tinyattn as ta
from tinyattn.text import EOS, UNK, DataError, batches

from .test_model import tiny

RNNS = [
    "",
    "--query before",
    "--cell lstm --layers 2",
    "--query before --cell lstm --no-bidirectional",
    "--layers 2 --no-bidirectional --score dot",
]
TRANSFORMER = "--model transformer --heads 2 --feed-forward 6"
SENTENCE = "三一二四"


def batch_of(model: Any, target: str, **changes: int) -> Any:
    """The pair as training has it, with source ids changed at their places, s0, s1, ..."""
    ((source, ids),) = model.ids([(SENTENCE, target)])
    for place, id in changes.items():
        source[int(place[1:])] = id
    (batch,) = batches([(source, ids)], 1)
    return batch


def forced_pass(model: Any, target: str = "one three") -> dict[str, Any]:
    ((_, ids),) = model.ids([(SENTENCE, target)])
    return forced(model.eval(), list(SENTENCE), ids)


@pytest.mark.parametrize("options", [*RNNS, TRANSFORMER])
def test_probabilities_are_those_of_the_model(options: str) -> None:
    model = tiny(options)
    seen = forced_pass(model)
    batch = batch_of(model, "one three")
    with ta.no_grad():
        p = model(batch).softmax(-1).numpy()[:, 0]
        hidden = model(batch_of(model, "one three", s1=UNK)).softmax(-1).numpy()[:, 0]
    gold = np.arange(3), batch.target_out[0]
    assert batch.target_out[0, -1] == EOS
    np.testing.assert_allclose(seen["probabilities"], p[gold], rtol=1e-9)
    np.testing.assert_allclose(seen["covered"][:, 1], hidden[gold], rtol=1e-9)
    np.testing.assert_allclose(seen["entropies"], -(p * np.log(p)).sum(-1), rtol=1e-9)
    best = np.argsort(-p, axis=1)[:, :8]
    tokens = [[model.target.token(i) for i in row] for row in best.tolist()]
    assert seen["alternatives"] == tokens
    np.testing.assert_allclose(
        seen["alternative_probabilities"], np.take_along_axis(p, best, 1), rtol=1e-9
    )


def test_hidden_words_in_several_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("")
    whole = forced_pass(model)["covered"]
    for numbers in (1, 70):
        monkeypatch.setattr("translator.tracing.NUMBERS", numbers)
        np.testing.assert_array_equal(forced_pass(model)["covered"], whole)


@pytest.mark.parametrize("options", RNNS)
def test_states_that_are_computed_again_are_those_of_the_cells(options: str) -> None:
    """So the gates beside them are right, too: another gate would give another state."""
    model = tiny(options)
    gates = forced_pass(model)["gates"]
    with ta.no_grad():
        batch = batch_of(model, "one three")
        state, memory = model.model.start(batch)
        outputs = memory.outputs.numpy()[0]  # (Tk, H)
        for token in batch.target_in[0]:
            _, _, (state, _) = model.model.next(ta.tensor([token]), (state, memory))
    directions = 2 if model.options["bidirectional"] else 1
    last = gates["encoder"]["state"][-directions:]
    np.testing.assert_allclose(np.concatenate([*last], 1), outputs, rtol=1e-9, atol=1e-12)
    hidden = state[0] if isinstance(state, tuple) else state
    np.testing.assert_allclose(gates["decoder"]["state"][:, -1], hidden.numpy()[:, 0], rtol=1e-9)
    names = {"input", "forget", "output"} if "lstm" in options else {"reset", "update"}
    for side in gates.values():
        assert side.keys() == names | {"state"}
        for values in side.values():
            assert values.shape == side["state"].shape
    for name in names:
        assert 0 < gates["decoder"][name].min() < gates["decoder"][name].max() < 1


def test_attention_of_a_recurrent_model_is_that_of_the_search() -> None:
    model = tiny("")
    found = trace(model, SENTENCE, Search(max_tokens=5))
    (best,) = model.translate([SENTENCE], Search(max_tokens=5))
    np.testing.assert_allclose(found.attention["cross"][0, 0], best.weights, rtol=1e-9)
    assert found.target[: len(best.target)] == best.target
    assert found.translation == best.text
    assert found.source == best.source


def test_attention_of_a_transformer_is_that_of_each_layer_and_head() -> None:
    model = tiny(TRANSFORMER)
    attention = forced_pass(model)["attention"]
    assert {name: w.shape for name, w in attention.items()} == {
        "encoder": (2, 2, 4, 4),
        "decoder": (2, 2, 3, 3),
        "cross": (2, 2, 3, 4),
    }
    assert not np.triu(attention["decoder"], 1).any()
    for weights in attention.values():
        np.testing.assert_allclose(weights.sum(-1), 1)
    with ta.no_grad():
        batch = batch_of(model, "one three")
        state, rows = model.model.start(batch), []
        for token in batch.target_in[0]:
            _, weights, state = model.model.next(ta.tensor([token]), state)
            rows.append(weights.numpy()[0])
    np.testing.assert_allclose(attention["cross"][-1].mean(0), rows, rtol=1e-9)


@pytest.mark.parametrize("options", ["", TRANSFORMER])
def test_the_tree_of_a_beam_ends_in_the_translation(options: str) -> None:
    model = tiny(options)
    found = trace(model, SENTENCE, Search(beam=3, max_tokens=4))
    tree = found.beam
    assert tree is not None
    step, slot = tree["step"][0], tree["slot"][0]
    path = []
    for t in range(step, -1, -1):
        path.append(tree["tokens"][t][slot])
        slot = tree["parents"][t][slot]
    assert path[::-1] == found.target
    assert (np.diff(tree["score"]) <= 0).all()
    log_p = np.log(found.probabilities).sum()
    np.testing.assert_allclose(tree["sums"][step][tree["slot"][0]], log_p, rtol=1e-6)
    assert trace(model, SENTENCE, Search(max_tokens=4)).beam is None


def test_a_copied_word_stands_in_the_trace_and_a_cut_has_no_end() -> None:
    model = tiny("")
    model.model.decoder.out.bias.data[UNK] = 100.0
    found = trace(model, "三猫", Search(max_tokens=2))
    assert len(found.target) == 2
    assert set(found.target) <= {"三", "猫"}


@pytest.mark.parametrize("sentence", ["", " \n"])
def test_a_sentence_without_tokens_is_refused(sentence: str) -> None:
    with pytest.raises(DataError, match="expected a sentence, got "):
        trace(tiny(""), sentence)
