"""What benchmarks use of examples/translator: its folder is put where Python looks for packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from translator.data import prepare
from translator.evaluation import perplexity, quality, report
from translator.files import Progress, new_folder
from translator.model import MODELS, Translator
from translator.options import train_options
from translator.progress import Run
from translator.training import fit

__all__ = [
    "MODELS",
    "Progress",
    "Run",
    "Translator",
    "fit",
    "new_folder",
    "perplexity",
    "prepare",
    "quality",
    "report",
    "train_options",
]
