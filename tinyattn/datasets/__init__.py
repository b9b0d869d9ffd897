"""Floor 6: data sets that come with the package, or that it reads from packages of the reader.

Each module's docstring says what the data set is, what can be decided in it, where it comes from,
and its licence. Look first at everyday/__init__.py, Chinese sentences and their translation. The
others belong to the programs of examples/: morse to speech.py, canvas to caption.py and
question.py, stories to summary.py, sessions to recommend.py, reviews to sentiment.py.
"""

from tinyattn.datasets import canvas, everyday, morse, reviews, sessions, stories

__all__ = ["canvas", "everyday", "morse", "reviews", "sessions", "stories"]
