"""Pages that show translations: `translate --page FILE` and `:page` at the prompt. Look first at
`write_page`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyattn.text import DataError
from tinyattn.text.subwords import scores_of
from tinyattn.viz import Page, attention_page
from translator.model import Translator
from translator.searching import GREEDY, Search
from translator.tracing import trace

MOST = 100  # sentences on a page: a browser reads them all when it opens it


def write_page(
    path: str | Path,
    model: Translator,
    sentences: Sequence[str],
    how: Search = GREEDY,
    with_model: bool = False,
) -> None:
    """Write a page of these sentences, of which those without a word that is known are left out.
    Raises DataError where none is left, where the page can't run the model, and where it can't be
    written."""
    page = page_of(model, sentences, how, with_model)
    try:
        page.save(path)
    except OSError as error:
        raise DataError(f"{path}: expected a file to write to: {error.strerror}") from None


def page_of(model: Translator, sentences: Sequence[str], how: Search, with_model: bool) -> Page:
    """The page of these sentences, with the model inside if wanted."""
    if len(sentences) > MOST:
        raise DataError(f"--page: expected at most {MOST} sentences, got {len(sentences)}")
    known = [any(token in model.source for token in model.read.tokenize(s)) for s in sentences]
    traces = [
        trace(model, sentence, how, number)
        for number, (sentence, fits) in enumerate(zip(sentences, known, strict=True))
        if fits
    ]
    if not traces:
        raise DataError("--page: expected a sentence with words of the training data, got none")
    try:
        return attention_page(traces, parts_of(model) if with_model else None, "Translation")
    except ValueError as error:
        raise DataError(f"--with-model: {str(error).removeprefix('model: ')}") from None


def parts_of(model: Translator) -> dict[str, Any]:
    """The model as `attention_page` takes it."""
    weights = {
        name.removeprefix("model."): weight.numpy() for name, weight in model.state_dict().items()
    }
    return {
        "options": model.options,
        "source": model.source.to_list(),
        "target": model.target.to_list(),
        "scores": {side: scores_of(content) for side, content in model.pieces.items()},
        "weights": weights,
    }
