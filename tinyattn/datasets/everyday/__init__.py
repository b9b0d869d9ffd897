"""Everyday sentences in Chinese with their English translation, written by a grammar.

Look first at grammar.py: its table `CONSTRUCTIONS`, at the end, lists the sentence patterns.

**What it is.** A synchronous grammar: each of 35 patterns writes a Chinese sentence and its English
translation together, from the same choices. About 450 entries (lexicon.py) are put together to
people, things, times and tenses (phrases.py) in their English forms (english.py). In 100,000 pairs
there are 577 different Chinese characters and 862 English words; a sentence has 5 to 34 characters,
15 on average, and 10 English words.

**How many sentences.** More than 44,000 million different Chinese sentences: so many say already
what three people with names of their own have in common. The patterns are drawn by the weights in
`CONSTRUCTIONS`, so that no pattern is more than one sentence in nine. `generate` never writes a
Chinese sentence twice.

**What is decidable.** All of it: each Chinese sentence has exactly one English translation, the
same for every seed, so a translator can be right in every sentence. All that English demands can
be read off the Chinese: the tense (了, 过, 正在, 会, words of time), the number and the article
(numerals, 一, 那, 这些), the pronoun (他, 她), and the English verb (看 is "read" with a book,
"watch" with a film, "look at" with a picture). It is hard in the places where the two languages
differ in order: place and time before the verb, relative clauses before the noun, 把, 被, 比,
because-clauses, question words. What Chinese leaves open never occurs, for example a noun without
any sign of its number where English needs one.

**Origin and licence.** Grammar and words were written for tinyattn; no text of others is in it. It
has tinyattn's licence (MIT).

>>> from tinyattn.datasets import everyday
>>> for chinese, english in everyday.generate(2, seed=0):
...     print(chinese, english)
谁把那四张床修好了？ Who repaired those four beds?
会踢足球的那个男人很年轻。 The man who can play soccer is very young.
"""

from tinyattn.datasets.everyday.grammar import CONSTRUCTIONS, generate
from tinyattn.datasets.everyday.links import links

__all__ = ["CONSTRUCTIONS", "generate", "links"]
