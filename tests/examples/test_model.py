"""The models of the example, each with its first weights, in float64."""

from pathlib import Path

import numpy as np
import pytest
from translator.data import Data
from translator.files import load_model, save_model
from translator.model import MODELS as KINDS
from translator.model import Translator, loss_of, new_model, tokenize
from translator.options import model_options, train_options

import tinyattn as ta
import tinyattn.nn.functional as F
from tinyattn.text import PAD, batches

SCORES = (
    *("dot", "scaled_dot", "general", "additive"),
    *("cosine", "neg_sq_distance", "geometric_mean", "uniform"),
)
MODELS = [
    *(f"--score {score}" for score in SCORES),
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


def test_a_score_is_the_libraries_or_uniform() -> None:
    assert KINDS["rnn"].options["score"] == SCORES
