"""Tokenisers: text to a list of tokens and back, without loss.

Look first at `TOKENISERS`, the table of names: "char" for scripts written without spaces, as
Chinese (one token a character), "word" for others (words and punctuation), "space" for text that is
already cut. Upper and lower case are kept as they are.

The usual spacing (no space before a comma, none between Chinese characters) decides where spaces
stand when tokens are put together. Where it would be wrong, a mark at the edge of a token says what
is right: ‿ (U+203F) for no space, ␣ (U+2423) for a space. A French question mark is the token "␣?",
the second plus of C++ is "‿+". A token of the text that has ‿ or ␣ itself at an edge always gets a
mark there, so that the two cannot be confused.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from tinyattn.text.normal_form import normalize

JOINED, APART = MARKS = "‿␣"


class Tokeniser(NamedTuple):
    """`detokenize(tokenize(s)) == normalize(s)` for every string `s`.

    `detokenize` takes any tokens, also in an order in which no text has them.

    >>> TOKENISERS["word"].tokenize("Don't learn C++!")
    ["Don't", 'learn', 'C', '‿+', '‿+', '!']
    >>> TOKENISERS["word"].detokenize(["Don't", "learn", "C", "‿+", "‿+", "!"])
    "Don't learn C++!"
    >>> TOKENISERS["char"].tokenize("我有3本书。")
    ['我', '有', '3', '本', '书', '。']
    """

    tokenize: Callable[[str], list[str]]
    detokenize: Callable[[Sequence[str]], str]


# Letters of scripts written without spaces, with what stands between them: Chinese and kana; Thai
# and Lao; Burmese; Khmer.
_UNSPACED = (
    r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    r"\uff66-\uff9f\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_WIDE = re.compile(rf"[{_UNSPACED}\u3000-\u303f\uff00-\uffef]+")

# A clitic is cut off (Na 's), so that a name is one token with or without it; "don't" stays whole.
_CLITIC = r"['’](?:s|re|ve|ll|d|m)(?!\w)"
_ABBREVIATION = r"(?:[A-Za-z]\.){2,}"
_JOINER = rf"(?!{_CLITIC})(?:['’-]|(?<=\d)[.,:](?=\d))"

_TIGHT_LEFT = frozenset(".,!?;:)]}%'’”…/—،؛؟।")  # no space before these
_TIGHT_RIGHT = frozenset("([{‘“„¿¡$€£#@/—")  # no space after these


@cache
def _pattern(unspaced: str) -> re.Pattern[str]:
    """What a token is. Letters of the class `unspaced` are tokens of one character each.

    A character keeps what is put on it (accents, vowel signs, the colour of a skin), and emoji that
    are joined stay together.
    """
    on_top = _on_top()
    letter = rf"[^\W{unspaced}]"
    run = rf"{letter}+(?:{on_top}+{letter}*)*"
    symbol = rf"[^\w\s](?:{on_top}|[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f])*"
    kinds = [
        _ABBREVIATION,
        rf"(?:(?<=\w)|(?<={on_top})){_CLITIC}",
        rf"{run}(?:{_JOINER}{run})*",
        "[\U0001f1e6-\U0001f1ff]{2}",  # a flag
        rf"{symbol}(?:(?<=\u200d){symbol})*",
    ]
    if unspaced:
        kinds.insert(0, rf"[{unspaced}]{on_top}*")
    return re.compile("|".join(kinds))


@cache
def _on_top() -> str:
    """A pattern for one character that is put on top of another, or joins two (ZWNJ, ZWJ)."""
    high = [*range(0x10000, 0x1F000), *range(0xE0100, 0xE01F0)]
    low_ones, high_ones = (
        "".join(filter(_is_on_top, map(chr, codes))) for codes in (range(0x300, 0x10000), high)
    )
    # `re` finds low characters in a table, but goes through a list for high ones: they come last.
    return rf"(?:[\u200c\u200d{low_ones}]|(?=[\U00010000-\U0010ffff])[{high_ones}])"


def _is_on_top(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


# The usual spacing: whether a space stands between two tokens, from the last character of the one
# and the first of the other.


@lru_cache(maxsize=1 << 16)
def _apart_in_word(end: str, start: str) -> bool:
    # Wide punctuation is never spaced; words of Han characters were apart, so they stay so.
    wide = any(_WIDE.match(c) and not _in_word(c) for c in (end, start))
    return not (wide or end in _TIGHT_RIGHT or start in _TIGHT_LEFT)


@lru_cache(maxsize=1 << 16)
def _apart_in_char(end: str, start: str) -> bool:
    wide = _WIDE.match(end) or _WIDE.match(start)
    # Of curly quotes only the neighbours tell the script: “红”“黄” has no space in it.
    punctuation = not (_in_word(end) or _in_word(start))
    return not (wide or punctuation or end in _TIGHT_RIGHT or start in _TIGHT_LEFT)


def _in_word(character: str) -> bool:
    return character.isalnum() or _is_on_top(character)


Apart = Callable[[str, str], bool]


def _usual(texts: Sequence[str], apart: Apart) -> list[bool]:
    """Whether a space stands before each text. Straight double quotes open and close in turn; a
    straight single quote alone is an apostrophe at the end of a word (the students' room)."""
    ends = [text[-1] for text in texts[:-1]]
    starts = [text[0] for text in texts[1:]]
    spaces = [False, *map(apart, ends, starts)]
    if '"' in texts:
        inside = False
        for i, (left, right) in enumerate(pairwise(texts), start=1):
            inside ^= left == '"'
            if inside and '"' in (left, right):
                spaces[i] = False
    return spaces


def _put_together(texts: Sequence[str], spaces: Sequence[bool]) -> str:
    spaced = zip(texts, spaces, strict=False)
    return "".join([" " + text if space else text for text, space in spaced])


# Marks, where the usual spacing is wrong.


def _marked(texts: Sequence[str], spaces: Sequence[bool], usual: Sequence[bool]) -> list[str]:
    """Tokens that say what is not usual; punctuation bears the mark rather than a word, so that
    a word stays the same token."""
    marks = [APART if space else JOINED for space in spaces] + [JOINED]
    front = [text[0] in MARKS for text in texts]
    end = [text[-1] in MARKS for text in texts]
    for i, (space, expected) in enumerate(zip(spaces, usual, strict=True)):
        if space != expected:
            if _is_word(texts[i]) and not _is_word(texts[i - 1]):
                end[i - 1] = True
            else:
                front[i] = True
    return [marks[i] * front[i] + text + marks[i + 1] * end[i] for i, text in enumerate(texts)]


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _spaces_of(text: str, texts: Sequence[str]) -> list[bool]:
    """Whether a space stands before each of the texts that `text` was cut into."""
    spaces, end = [], 0
    for part in texts:
        start = text.index(part, end)
        spaces.append(start > end)
        end = start + len(part)
    return spaces


@lru_cache(maxsize=1 << 17)
def _parts(token: str) -> tuple[str, str, str]:
    """The mark at the front, the text, the mark at the end; a mark that isn't there is ""."""
    front = token[0] if len(token) > 1 and token[0] in MARKS else ""
    token = token.removeprefix(front)
    end = token[-1] if len(token) > 1 and token[-1] in MARKS else ""
    return front, token.removesuffix(end), end


def _tokeniser(unspaced: str, apart: Apart) -> Tokeniser:
    def tokenize(text: str) -> list[str]:
        text = normalize(text)
        texts = _pattern(unspaced).findall(text)
        if unspaced and _WIDE.fullmatch(text):  # no space is in it, and none is usual
            return texts
        usual = _usual(texts, apart)
        has_marks = JOINED in text or APART in text
        if not has_marks and _put_together(texts, usual) == text:
            return texts
        return _marked(texts, _spaces_of(text, texts), usual)

    def detokenize(tokens: Sequence[str]) -> str:
        parts = [_parts(token) for token in tokens if token]
        texts = [text for _, text, _ in parts]
        spaces = _usual(texts, apart)
        for i, ((_, _, end), (front, _, _)) in enumerate(pairwise(parts), start=1):
            if mark := front or end:
                spaces[i] = mark == APART
        return _put_together(texts, spaces)

    return Tokeniser(tokenize, detokenize)


def _cut_at_spaces(text: str) -> list[str]:
    return normalize(text).split()


TOKENISERS: dict[str, Tokeniser] = {
    "char": _tokeniser(_UNSPACED, _apart_in_char),
    "word": _tokeniser("", _apart_in_word),
    "space": Tokeniser(_cut_at_spaces, " ".join),
}


def is_unspaced(character: str) -> bool:
    """Whether it is of a script written without spaces, or its punctuation."""
    return _WIDE.match(character) is not None


def guess_tokeniser(texts: Iterable[str]) -> str:
    """The name in `TOKENISERS` that suits these texts: "char" where more than half of the letters
    are of scripts written without spaces, else "word".

    >>> guess_tokeniser(["你好吗", "OK"]), guess_tokeniser(["Bonjour !"])
    ('char', 'word')
    """
    counts = Counter(chain.from_iterable(texts))
    letters = {c: count for c, count in counts.items() if c.isalpha()}
    unspaced = sum(count for c, count in letters.items() if _WIDE.match(c))
    return "char" if 2 * unspaced > sum(letters.values()) else "word"
