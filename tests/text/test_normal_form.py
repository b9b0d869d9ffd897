"""One sentence has one spelling, and one key for all of its spellings."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyattn.text import normalize, source_key

any_text = st.text(st.characters() | st.sampled_from("a \u200b\u200c\u200d\u0301\ufeff\u00ad가ﬁ"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe\u0301，", "café，"),
        ("\u3000a \n b ", "a b"),
        ("\ufeffa\u200bb\ufeff", "ab"),
        ("a\u200b\u0301", "á"),
        ("co\u00adoperate \u200ehere\u202c", "cooperate here"),
        ("a \u200b b", "a b"),
        ("Quoi\u00a0? Oui\u202f!", "Quoi ? Oui !"),
    ],
)
def test_what_is_not_seen_and_steers_lines_goes(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian: two parts of a word that must not be written together
        "क्\u200dष",  # Hindi: the half form of a letter
        "👨\u200d👩\u200d👧",
        "❤\ufe0f",
        "？，",
    ],
)
def test_what_words_and_emoji_depend_on_stays(text: str) -> None:
    assert normalize(text) == text


@given(any_text)
def test_the_normal_form_is_its_own_normal_form(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(any_text)
def test_a_text_and_its_normal_form_have_one_key(text: str) -> None:
    assert source_key(normalize(text)) == source_key(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("我爱你。", "我\u200b爱你\ufeff。"),
        ("我爱你。", "我 爱 你 。"),
        ("He left.", "he  LEFT."),
        ("Straße", "STRASSE"),
        ("好吗？", "好吗?"),
        ("می\u200cخواهم", "میخواهم"),
        ("❤\ufe0f", "❤"),
        ("cafe\u0301", "CAFÉ"),
    ],
)
def test_spellings_of_one_sentence_have_one_key(one: str, other: str) -> None:
    assert source_key(one) == source_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("resume", "résumé"), ("a.", "a!"), ("1990", "1991"), ("他", "她")]
)
def test_different_sentences_have_different_keys(one: str, other: str) -> None:
    assert source_key(one) != source_key(other)


def test_a_key_is_what_is_seen_in_small_letters() -> None:
    assert source_key("Ｈello,  \u200bWorld!") == "hello,world!"
