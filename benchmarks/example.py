"""The program examples/translate.py as a module: its folder is put where Python looks for the files
beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import translate

__all__ = ["translate"]
