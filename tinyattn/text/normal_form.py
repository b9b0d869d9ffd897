"""One spelling for one sentence: the normal form of a text, and the key of a source.

Look first at `normalize`. Every other file of text/ works on its result. `source_key` is coarser:
`split_by_source` keeps together all sources that have one key.
"""

import re
import unicodedata

# Characters that are not seen and only steer how a line is shown: the soft hyphen, the zero-width
# space, the word joiner, the byte order mark, and the controls of the direction of writing.
# ZWNJ and ZWJ (U+200C, U+200D) stay: they tell words apart in Persian and Hindi and hold emoji
# together. Variation selectors stay, too, since they choose between two pictures.
_STEERING = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u206f\ufeff]")

# Unicode's property Default_Ignorable_Code_Point, and white space.
_NOT_SEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\\s]+"
)


def normalize(text: str) -> str:
    """The text in Unicode's NFC, with one space for every run of white space and none at the ends.

    Characters that are not seen and only steer how a line is shown are left out: the zero-width
    space, the byte order mark, the soft hyphen, the word joiner, the controls of direction. The
    zero-width joiner and non-joiner (U+200D, U+200C) stay, because words and emoji depend on them.

    It is NFC and not NFKC, which would turn the Chinese comma and question mark into Western ones.

    >>> normalize("  cafe\\u0301 \\u200b au\\tlait ")
    'café au lait'
    """
    return " ".join(unicodedata.normalize("NFC", _STEERING.sub("", text)).split())


def source_key(text: str) -> str:
    """What two spellings of the same sentence have in common: for comparing, not for reading.

    Upper and lower case, white space, wide and narrow characters (NFKC) and everything that is not
    seen make no difference. Two texts with the same normal form have the same key.

    >>> source_key("Ｈello,  World!") == source_key("hello,\\u200b world!")
    True
    """
    folded = unicodedata.normalize("NFKC", _NOT_SEEN.sub("", text)).casefold()
    return _NOT_SEEN.sub("", unicodedata.normalize("NFKC", folded))
