"""English word forms for the built-in corpus: articles, plurals, tenses, comparison.

Look first at `past` and `plural`: a phrase is changed at its head (take off -> took off, cup of
tea -> cups of tea), by rule unless lexicon.py lists it.
"""

from collections.abc import Callable

from tinyattn.datasets.everyday.lexicon import DOUBLED, IRREGULAR, PLURALS


def article(words: str) -> str:
    """`words` with "a" or "an", by the sound: "an honest man", "a useful book"."""
    vowel = (words[0] in "aeiou" and not words.startswith("use")) or words.startswith("honest")
    return f"an {words}" if vowel else f"a {words}"


def plural(noun: str) -> str:
    """The plural of a noun phrase: "cups of coffee", "older brothers", "knives"."""
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
    """`phrase` with its first word, the verb, changed."""
    verb, space, rest = phrase.partition(" ")
    return change(verb) + space + rest


def past(phrase: str) -> str:
    """The past tense of a verb phrase: "took it away", "studied"."""
    return _inflected(phrase, lambda v: IRREGULAR[v][0] if v in IRREGULAR else _with_ed(v))


def participle(phrase: str) -> str:
    """The past participle of a verb phrase: "taken it away", "studied"."""
    return _inflected(phrase, lambda v: IRREGULAR[v][1] if v in IRREGULAR else _with_ed(v))


def _with_ed(verb: str) -> str:
    """The regular past tense of a verb."""
    if verb in DOUBLED:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


def _ing(verb: str) -> str:
    """The -ing form of a verb."""
    if verb in DOUBLED:
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def gerund(phrase: str) -> str:
    """The -ing form of a verb phrase: "taking it away", "chatting"."""
    return _inflected(phrase, _ing)


def _third(verb: str) -> str:
    """The third person singular of a verb."""
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "x", "ch", "sh", "o")) else "s")


def present(phrase: str, agree: str) -> str:
    """The present tense of a verb phrase. `agree` is "I", "s" or "p", as in `Person`."""
    return _inflected(phrase, _third) if agree == "s" else phrase


def be(agree: str) -> str:
    """The present tense of "be". `agree` as in `Person`."""
    return {"I": "am", "s": "is", "p": "are"}[agree]


def was(agree: str) -> str:
    """The past tense of "be". `agree` as in `Person`."""
    return "were" if agree == "p" else "was"


def superlative(comparative: str) -> str:
    """The superlative of a comparative: "biggest" of "bigger", "most useful" of "more useful"."""
    if comparative.startswith("more "):
        return "most" + comparative[4:]
    return comparative[:-1] + "st"
