"""Which Chinese word an English word of the built-in corpus renders, where the lexicon says it.

Look first at `links`. Only content words count that have one Chinese equivalent in lexicon.py:
names, nouns, numbers, adjectives, days and verbs.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from tinyattn.datasets.everyday.english import gerund, participle, past, plural, present
from tinyattn.datasets.everyday.lexicon import (
    ACTIONS,
    ADJECTIVES,
    COLOURS,
    DAYS,
    GIVEN_NAMES,
    JOBS,
    KIN,
    NUMBERS,
    PLACES,
    SPOTS,
    SURNAMES,
    THINGS,
    TREATMENTS,
)

Span = tuple[int, int]  # of characters: from the first to before the second


def links(chinese: str, english: str) -> list[tuple[Span, Span]]:
    """For each English word that has one Chinese equivalent: its characters, and those of the
    Chinese word. A word that occurs twice, in either language, is left out.

    >>> links("那位记者有三只猫。", "That reporter has three cats.")
    [((5, 13), (2, 4)), ((18, 23), (5, 6)), ((24, 28), (7, 8))]
    """
    found = []
    for match in re.finditer(r"\w+", english):
        word = match[0]
        if match.start() == 0 and word not in equivalents():
            word = word.lower()
        (meant, *others) = equivalents().get(word, ("", ""))
        if others or chinese.count(meant) != 1:
            continue
        if len(re.findall(rf"\b{word}\b", english, re.IGNORECASE)) == 1:
            start = chinese.index(meant)
            found.append((match.span(), (start, start + len(meant))))
    return found


@cache
def equivalents() -> dict[str, list[str]]:
    """The Chinese words that each English content word renders."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for chinese, english in _entries():
        found[english].add(chinese)
    return {english: sorted(chinese) for english, chinese in found.items()}


def _entries() -> Iterator[tuple[str, str]]:
    """Chinese and English, an English form of one word each."""
    yield from SURNAMES.items()
    yield from ((zh, en) for zh, en, _ in GIVEN_NAMES)
    yield from NUMBERS.items()
    yield from ((f"星期{zh}", en) for zh, en in DAYS.items())
    yield from COLOURS.items()
    yield from ((zh, forms[1]) for zh, forms in ADJECTIVES.items())
    things = [(zh, en) for zh, _, en, _ in (*JOBS, *THINGS)]
    things += [(zh, en) for zh, en, _ in (*KIN, *SPOTS)]
    for zh, en in things:  # of two words the last: "old man", "older brother"
        if " of " not in en:
            yield from ((zh, form.split()[-1]) for form in (en, plural(en)))
    yield from ((zh, where.split()[-1]) for zh, where, _, _ in PLACES)
    for zh, en in [*((row[0], row[1]) for row in (*ACTIONS, *TREATMENTS))]:
        if " " not in en:
            forms = en, past(en), participle(en), gerund(en), present(en, "s")
            yield from ((zh, form) for form in forms)
