"""English word forms for the built-in corpus: articles, plurals, tenses, comparison.

Look first at `past` and `plural`: a phrase is changed at its head (take off -> took off, cup of
tea -> cups of tea), by rule unless lexicon.py lists it.
"""

from collections.abc import Callable

from tinyattn.datasets.everyday.lexicon import DOUBLED, IRREGULAR, PLURALS


def article(words: str) -> str:
    """`words` with "a" or "an" by sound: an honest man, a useful book."""
    vowel = (words[0] in "aeiou" and not words.startswith("use")) or words.startswith("honest")
    return f"an {words}" if vowel else f"a {words}"


def plural(noun: str) -> str:
    """cups of coffee, older brothers, knives."""
    head, of, rest = noun.partition(" of ")
    before, space, last = head.rpartition(" ")
    if last in PLURALS:
        last = PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return before + space + last + of + rest


def _inflected(phrase: str, change: Callable[[str], str]) -> str:
    verb, space, rest = phrase.partition(" ")
    return change(verb) + space + rest


def past(phrase: str) -> str:
    return _inflected(phrase, lambda v: IRREGULAR[v][0] if v in IRREGULAR else _with_ed(v))


def participle(phrase: str) -> str:
    return _inflected(phrase, lambda v: IRREGULAR[v][1] if v in IRREGULAR else _with_ed(v))


def _with_ed(verb: str) -> str:
    if verb in DOUBLED:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


def _ing(verb: str) -> str:
    if verb in DOUBLED:
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def gerund(phrase: str) -> str:
    return _inflected(phrase, _ing)


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "x", "ch", "sh", "o")) else "s")


def present(phrase: str, agree: str) -> str:
    return _inflected(phrase, _third) if agree == "s" else phrase


def be(agree: str) -> str:
    return {"I": "am", "s": "is", "p": "are"}[agree]


def was(agree: str) -> str:
    return "were" if agree == "p" else "was"


def superlative(comparative: str) -> str:
    """the biggest, the most beautiful."""
    if comparative.startswith("more "):
        return "most" + comparative[4:]
    return comparative[:-1] + "st"
