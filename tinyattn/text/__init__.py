"""Text for a translator: tokenisers, vocabularies, pairs and batches, greedy search, a corpus.

Look first at data.py, then at grammar.py, which writes the built-in corpus.
"""

from tinyattn.text.data import Batch, DataError, batches, read_pairs, split_by_source
from tinyattn.text.grammar import generate
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
    "generate",
    "greedy",
    "guess_tokeniser",
    "read_pairs",
    "split_by_source",
]
