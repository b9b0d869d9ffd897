"""Floor 6: text for a translator: tokenisers, vocabularies, pairs and batches, and the searches.

Look first at data.py. Data sets stand in tinyattn/datasets/.
"""

from tinyattn.text.data import (
    Batch,
    DataError,
    batches,
    count_batches,
    drop_long,
    lines_of,
    read_pairs,
    split_by_source,
)
from tinyattn.text.normal_form import normalize, source_key
from tinyattn.text.search import Found, greedy
from tinyattn.text.search_beam import Beam, Hypothesis, beam
from tinyattn.text.search_sample import sample
from tinyattn.text.subwords import learn_subwords, pieces_of, subword_tokeniser, word_starts
from tinyattn.text.tokenize import TOKENISERS, Tokeniser, guess_tokeniser
from tinyattn.text.vocab import BOS, EOS, PAD, UNK, Vocab

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "TOKENISERS",
    "UNK",
    "Batch",
    "Beam",
    "DataError",
    "Found",
    "Hypothesis",
    "Tokeniser",
    "Vocab",
    "batches",
    "beam",
    "count_batches",
    "drop_long",
    "greedy",
    "guess_tokeniser",
    "learn_subwords",
    "lines_of",
    "normalize",
    "pieces_of",
    "read_pairs",
    "sample",
    "source_key",
    "split_by_source",
    "subword_tokeniser",
    "word_starts",
]
