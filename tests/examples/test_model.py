"""The models of the example, each with its first weights, in float64."""

from pathlib import Path

import numpy as np
import pytest
from translator.data import Data
from translator.files import load_model, save_model
from translator.model import MODELS as KINDS
from translator.model import Translator, loss_of, new_model, tokenize
from translator.options import model_options, train_options
from translator.searching import Scored, Search

import tinyattn as ta
import tinyattn.nn.functional as F
from tinyattn.text import PAD, UNK, Found, batches, beam, greedy

SCORES = (
    *("dot", "scaled_dot", "general", "additive"),
    *("cosine", "neg_sq_distance", "geometric_mean", "uniform"),
)
MODELS = [
    *(f"--score {score}" for score in SCORES),
    *(f"--query before --score {score}" for score in ("general", "additive")),
    "--query before --cell lstm --layers 2",
    "--cell lstm",
    "--layers 2",
    "--bidirectional",
    "--cell lstm --layers 2 --bidirectional --score general",
    "--model transformer --heads 2 --feed-forward 6",
]
PAIRS = [("一二三", "one two three"), ("四", "four"), ("二一", "two one"), ("三三", "three three")]


def tiny(options: str) -> Translator:
    """A model of the given options with its first weights, in float64."""
    args = train_options("--hidden", "4", *options.split())
    ta.manual_seed(0)
    settings = model_options(args, PAIRS)
    return new_model(settings, tokenize(PAIRS, settings)).double()


@pytest.mark.parametrize("options", MODELS)
def test_the_whole_translator_passes_gradcheck(options: str) -> None:
    """Sources of unequal length in one batch, masked attention, loss without padding."""
    model = tiny(options)
    (batch,) = batches(model.ids(PAIRS[:3]), 3)
    gold = ta.from_numpy(batch.target_out.T.reshape(-1))

    def loss(scores: ta.Tensor) -> ta.Tensor:
        return F.cross_entropy(scores.flatten(0, 1), gold, ignore_index=PAD)

    assert ta.gradcheck_module(model, (batch,), loss, samples=3)


@pytest.mark.parametrize("options", MODELS)
def test_step_by_step_is_the_whole_sentence_and_padding_changes_nothing(options: str) -> None:
    """What is kept between steps, a state or the keys and values, loses nothing."""
    model = tiny(options).eval()
    (batch,) = batches(model.ids(PAIRS), len(PAIRS))
    with ta.no_grad():
        whole = model(batch).numpy()
        state = model.model.start(batch)
        for t, tokens in enumerate(batch.target_in.T):
            scores, weights, state = model.model.next(ta.from_numpy(tokens), state)
            np.testing.assert_allclose(scores.numpy(), whole[t], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(weights.numpy().sum(axis=1), 1)
            assert not weights.numpy()[batch.source == PAD].any()
        for row, place in enumerate(batch.index):
            (alone,) = batches(model.ids([PAIRS[place]]), 1)
            scores = model(alone).numpy()[:, 0]
            np.testing.assert_allclose(scores, whole[: len(scores), row], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", MODELS)
def test_a_saved_model_translates_the_same(options: str, tmp_path: Path) -> None:
    model = tiny(options)
    data = Data([], [], PAIRS[:1], 0, np.array([3, -4]), "")
    save_model(model, data, tmp_path)
    again, _, test, seen = load_model(str(tmp_path))
    assert (test, seen) == (PAIRS[:1], {3, -4})
    assert again.options == model.options
    sentences = ["三二一", "一", "四四四四"]
    both = model.translate(sentences), again.double().translate(sentences)
    for before, after in zip(*both, strict=True):
        assert before.text == after.text
        np.testing.assert_array_equal(before.weights, after.weights)


@pytest.mark.parametrize("options", MODELS)
def test_training_lowers_the_loss(options: str) -> None:
    model = tiny(options)
    (batch,) = batches(model.ids(PAIRS), len(PAIRS))
    optimizer = ta.optim.Adam(model.parameters(), lr=0.03)
    losses = []
    for _ in range(30):
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all(p.grad is not None for p in model.parameters())


SENTENCES = ["三二一", "一", "四四四四", "二一三", "三"]


@pytest.mark.parametrize("options", MODELS)
def test_a_beam_of_one_is_greedy(options: str) -> None:
    model = tiny(options).eval()
    lengths = [len(sentence) for sentence in SENTENCES]
    (batch,) = batches(model.encode([(list(s), []) for s in SENTENCES]), len(SENTENCES))
    start = model.model.start
    with ta.no_grad():
        found = greedy(model.model.next, start(batch), batch.lengths)
        beams = beam(model.model.next, model.model.select, start(batch), batch.lengths, size=1)
    assert sorted(lengths, reverse=True) == batch.lengths.tolist()
    for one, other in zip(found, beams, strict=True):
        assert one.ids == other.found().ids
        np.testing.assert_allclose(one.weights, other.found().weights, rtol=1e-12)


@pytest.mark.parametrize("options", MODELS)
def test_the_probability_of_a_hypothesis_is_that_of_its_tokens_one_after_another(
    options: str,
) -> None:
    """What was reordered and left out on the way is what a search of these tokens alone has."""
    model = tiny(options).eval()
    search = Search(beam=4, n_best=4, max_tokens=5)
    for sentence, candidates in zip(SENTENCES, model.candidates(SENTENCES, search), strict=True):
        assert len(candidates) == 4
        for one in candidates:
            ids = model.encode([(list(sentence), one.target)])
            (batch,) = batches(ids, 1)
            with ta.no_grad():
                log_probs = model(batch).log_softmax(-1)[:, 0].numpy()
            gold = batch.target_out[0][: len(one.weights)]
            total = sum(log_probs[t, token] for t, token in enumerate(gold))
            assert one.score == pytest.approx(total / ((5 + len(gold)) / 6) ** 0.6, rel=1e-9)
            with ta.no_grad():
                state = model.model.start(batch)
                for token, row in zip(batch.target_in[0], one.weights, strict=False):
                    _, weights, state = model.model.next(ta.tensor([token]), state)
                    np.testing.assert_allclose(row, weights[0].numpy(), rtol=1e-9)


@pytest.mark.parametrize("options", MODELS[3:6] + MODELS[-1:])
def test_a_sentence_is_translated_alone_as_in_any_batch(options: str) -> None:
    model = tiny(options)
    for search in (
        Search(),
        Search(beam=3, n_best=3, max_tokens=6),
        Search(sample=True, n_best=2, seed=5, max_tokens=6),
    ):
        together = model.candidates(SENTENCES, search, first=7)
        assert search == Search() or len({one.text for found in together for one in found}) > 1
        for number, sentence in enumerate(SENTENCES):
            (alone,) = model.candidates([sentence], search, first=7 + number)
            assert [one.text for one in alone] == [one.text for one in together[number]]


def test_an_unknown_word_is_copied_from_where_the_model_looks_and_marked() -> None:
    """The attention points at the second of three words; one of another sentence has no say."""
    words = [("Rex barks !", "rex bellt !")] * 2
    args = train_options("--hidden", "4", "--min-count", "2")
    model = new_model(model_options(args, words), tokenize(words, model_options(args, words)))
    source = ["Rex", "␣Ａn", "!"]
    weights = np.array([[0.1, 0.8, 0.1, 0.0], [0.7, 0.2, 0.1, 0.0], [0.0, 0.0, 1.0, 0.0]])
    ids = [UNK, model.target.id("bellt")]
    one = model.written(source, Scored(Found(ids, weights, True), None))
    assert (one.text, one.marked) == ("Ａn bellt", "⟨Ａn⟩ bellt")
    assert one.target == ["Ａn", "bellt"]
    assert one.weights.shape == (3, 3)


def test_the_query_is_the_state_before_or_after_the_last_word_is_read() -> None:
    """With a query before, the weights at a step don't know the word that the step reads."""
    for query, same in (("before", True), ("after", False)):
        model = tiny(f"--query {query}").eval()
        (batch,) = batches(model.ids(PAIRS[:1]), 1)
        weights = []
        for token in (4, 5):
            with ta.no_grad():
                _, seen, _ = model.model.next(ta.tensor([token]), model.model.start(batch))
            weights.append(seen.numpy())
        assert np.array_equal(*weights) == same


def test_a_model_saved_before_there_was_a_choice_looks_before_it_reads(tmp_path: Path) -> None:
    model = tiny("--query before")
    save_model(model, Data([], [], PAIRS[:1], 0, np.array([3]), ""), tmp_path)
    saved = ta.load(tmp_path / "model.safetensors")
    del saved["options"]["query"]
    ta.save(saved, tmp_path / "old")
    old = load_model(str(tmp_path / "old")).model
    assert old.options["query"] == "before"
    assert old.double().translate(["三二一"])[0].text == model.translate(["三二一"])[0].text


def test_a_score_is_the_libraries_or_uniform() -> None:
    assert KINDS["rnn"].options["score"] == SCORES
