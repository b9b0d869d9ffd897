"""What benchmarks use of examples/translator: its folder is put where Python looks for packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from translator.data import Data, prepare
from translator.evaluation import report
from translator.files import (
    Progress,
    load_tested,
    new_folder,
    quantized,
    save_quantized,
    use_best,
)
from translator.model import MODELS, Translator, loss_of
from translator.options import train_options
from translator.progress import ROWS, Run
from translator.ranks import loss_of_part
from translator.scores import perplexity, quality
from translator.searching import GREEDY, search
from translator.training import fit

__all__ = [
    "GREEDY",
    "MODELS",
    "ROWS",
    "Data",
    "Progress",
    "Run",
    "Translator",
    "fit",
    "load_tested",
    "loss_of",
    "loss_of_part",
    "new_folder",
    "perplexity",
    "prepare",
    "quality",
    "quantized",
    "report",
    "save_quantized",
    "search",
    "train_options",
    "use_best",
]
