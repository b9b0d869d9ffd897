"""Tokenisers: text to a list of tokens and back.

Look first at `TOKENISERS`, the table of names: "char" for Chinese (one token a Han character),
"word" for Western text (words and punctuation), "space" for text that is already cut. Case is
kept as it is. Text is brought to Unicode's NFC, not NFKC, which would turn the Chinese comma and
question mark into Western ones.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Tokeniser(NamedTuple):
    """`detokenize(tokenize(s)) == s` for a sentence with ordinary spacing and punctuation."""

    tokenize: Callable[[str], list[str]]
    detokenize: Callable[[list[str]], str]


# Scripts written without spaces (Han, kana), and their punctuation.
_HAN = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WIDE = re.compile(rf"[{_HAN}\u3000-\u303f\uff00-\uffef]")

# A clitic is cut off (Na 's), so that a name is one token with or without it; "don't" stays whole.
_CLITIC = r"['’](?:s|re|ve|ll|d|m)(?!\w)"
_ABBREVIATION = r"(?:[A-Za-z]\.){2,}"
_JOINER = rf"(?!{_CLITIC})(?:['’-]|(?<=\d)[.,:](?=\d))"

_WORD = re.compile(rf"{_ABBREVIATION}|(?<=\w){_CLITIC}|\w+(?:{_JOINER}\w+)*|[^\w\s]")
_CHAR = re.compile(
    rf"[{_HAN}]|{_ABBREVIATION}|(?<=\w){_CLITIC}"
    rf"|[^\W{_HAN}]+(?:{_JOINER}[^\W{_HAN}]+)*|[^\w\s]"
)
_IS_CLITIC = re.compile(_CLITIC)

_TIGHT_LEFT = frozenset(".,!?;:)]}%'’”…/—")  # no space before these
_TIGHT_RIGHT = frozenset("([{‘“$€£#@/—")  # no space after these


def normalize(text: str) -> str:
    """NFC, with every run of white space made one space and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _join(tokens: list[str], apart: Callable[[str, str], bool]) -> str:
    """Tokens with a space between them except where punctuation or script wants none.

    `apart` says of two characters whether their scripts may have a space between them. Straight
    double quotes open and close in turn; a straight single quote alone is an apostrophe at a word's
    end (the students' room).
    """
    parts: list[str] = []
    open_quote = glue = False
    for token in tokens:
        closes = token == '"' and open_quote
        tight = token in _TIGHT_LEFT or _IS_CLITIC.fullmatch(token) is not None
        if parts and not (glue or closes or tight) and apart(parts[-1][-1], token[0]):
            parts.append(" ")
        parts.append(token)
        if token == '"':
            open_quote = not open_quote
        glue = token in _TIGHT_RIGHT or (token == '"' and open_quote)
    return "".join(parts)


def _char_tokenize(text: str) -> list[str]:
    return _CHAR.findall(normalize(text))


def _char_detokenize(tokens: list[str]) -> str:
    def apart(left: str, right: str) -> bool:
        # Of curly quotes only the neighbours tell the script: “红”“黄” has no space in it.
        marks = not (left.isalnum() or right.isalnum())
        return not (marks or _WIDE.match(left) or _WIDE.match(right))

    return _join(tokens, apart)


def _word_tokenize(text: str) -> list[str]:
    return _WORD.findall(normalize(text))


def _word_detokenize(tokens: list[str]) -> str:
    def apart(left: str, right: str) -> bool:
        # Wide punctuation is never spaced; words of Han characters were apart, so they stay so.
        return not any(_WIDE.match(c) and not c.isalnum() for c in (left, right))

    return _join(tokens, apart)


def _space_tokenize(text: str) -> list[str]:
    return normalize(text).split()


def _space_detokenize(tokens: list[str]) -> str:
    return " ".join(tokens)


TOKENISERS: dict[str, Tokeniser] = {
    "char": Tokeniser(_char_tokenize, _char_detokenize),
    "word": Tokeniser(_word_tokenize, _word_detokenize),
    "space": Tokeniser(_space_tokenize, _space_detokenize),
}


def guess_tokeniser(texts: Iterable[str]) -> str:
    """ "char" where most letters are of scripts written without spaces, else "word"."""
    wide = letters = 0
    for text in texts:
        letters += sum(c.isalpha() for c in text)
        wide += sum(c.isalpha() and _WIDE.match(c) is not None for c in text)
    return "char" if 2 * wide > letters else "word"
