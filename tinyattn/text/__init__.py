"""Floor 6: text for a translator: tokenisers, vocabularies, pairs and batches, greedy search.

Look first at data.py. Data sets stand in tinyattn/datasets/.
"""

from tinyattn.text.data import Batch, DataError, batches, read_pairs, split_by_source
from tinyattn.text.search import greedy
from tinyattn.text.tokenize import TOKENISERS, guess_tokeniser
from tinyattn.text.vocab import BOS, EOS, PAD, UNK, Vocab

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "TOKENISERS",
    "UNK",
    "Batch",
    "DataError",
    "Vocab",
    "batches",
    "greedy",
    "guess_tokeniser",
    "read_pairs",
    "split_by_source",
]
