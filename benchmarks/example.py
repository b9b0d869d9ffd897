"""What benchmarks use of examples/translator: its folder is put where Python looks for packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from translator.data import prepare
from translator.evaluation import report
from translator.files import Progress, new_folder, use_best
from translator.model import MODELS, Translator
from translator.options import train_options
from translator.progress import ROWS, Run
from translator.ranks import loss_of_part
from translator.scores import perplexity, quality
from translator.training import fit

__all__ = [
    "MODELS",
    "ROWS",
    "Progress",
    "Run",
    "Translator",
    "fit",
    "loss_of_part",
    "new_folder",
    "perplexity",
    "prepare",
    "quality",
    "report",
    "train_options",
    "use_best",
]
