"""Tokenisers cut where they should, and put together what they cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyattn.text.tokenize import TOKENISERS, normalize

CHAR, WORD, SPACE = (TOKENISERS[name] for name in ("char", "word", "space"))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't go!", ["Don't", "go", "!"]),
        ("Li Na's brother is here.", ["Li", "Na", "'s", "brother", "is", "here", "."]),
        ("He’s in Xi'an.", ["He", "’s", "in", "Xi'an", "."]),
        ("It costs $3,000.50, or 5%.", ["It", "costs", "$", "3,000.50", ",", "or", "5", "%", "."]),
        ("Dr. Wu lives in the U.S. now", ["Dr", ".", "Wu", "lives", "in", "the", "U.S.", "now"]),
        ("a well-known café", ["a", "well-known", "café"]),
    ],
)
def test_word_cuts_words_and_punctuation(text: str, tokens: list[str]) -> None:
    assert WORD.tokenize(text) == tokens
    assert WORD.detokenize(tokens) == text


@pytest.mark.parametrize(
    "text",
    [
        'He said "hello, Tom" to her.',
        "“Really?” she asked (twice).",
        "the students' room",
        "She isn't as tall as I'm told they've been.",
        "Wait… what?! No; never: 8:30 at most.",
        "Does he know Wang Wei's father?",
    ],
)
def test_word_detokenises_ordinary_sentences(text: str) -> None:
    assert WORD.detokenize(WORD.tokenize(text)) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我有3本书，你呢？", ["我", "有", "3", "本", "书", "，", "你", "呢", "？"]),
        ("他买了iPhone 15。", ["他", "买", "了", "iPhone", "15", "。"]),
        (
            "“好”，他说：“走吧！”",
            ["“", "好", "”", "，", "他", "说", "：", "“", "走", "吧", "！", "”"],
        ),
        ("Tom在DVD店。", ["Tom", "在", "DVD", "店", "。"]),
        ("圆周率是3.14吗？", ["圆", "周", "率", "是", "3.14", "吗", "？"]),
    ],
)
def test_char_cuts_characters_and_keeps_latin_runs(text: str, tokens: list[str]) -> None:
    assert CHAR.tokenize(text) == tokens
    assert CHAR.detokenize(tokens) == text


def test_space_cuts_at_white_space_only() -> None:
    assert SPACE.tokenize(" 你好,  world! \t ok\n") == ["你好,", "world!", "ok"]
    assert SPACE.detokenize(["你好,", "world!"]) == "你好, world!"


def test_normal_form_is_nfc_so_that_wide_punctuation_stays() -> None:
    assert CHAR.tokenize("cafe\u0301，") == ["café", "，"]
    assert normalize("\u3000a \n b ") == "a b"


@pytest.mark.parametrize("name", TOKENISERS)
@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_nothing_in_nothing_out(name: str, text: str) -> None:
    assert TOKENISERS[name].tokenize(text) == []
    assert TOKENISERS[name].detokenize([]) == ""


western = st.lists(
    st.from_regex(r"[A-Za-z]{1,8}(n't|'s|'re)?|[0-9]{1,4}", fullmatch=True), min_size=1, max_size=12
)
chinese = st.text(
    st.sampled_from("我你他昨天在公园打篮球了吗的书，。？！：“”（）") | st.sampled_from("，。"),
    min_size=1,
)


@given(western, st.sampled_from([".", "?", "!", "..."]))
def test_word_round_trip(words: list[str], end: str) -> None:
    text = " ".join(words) + end
    assert WORD.detokenize(WORD.tokenize(text)) == text


@given(chinese)
def test_char_round_trip(text: str) -> None:
    assert CHAR.detokenize(CHAR.tokenize(text)) == text


@pytest.mark.parametrize("name", TOKENISERS)
@given(text=st.text(max_size=40))
def test_no_character_is_lost_and_none_is_space(name: str, text: str) -> None:
    tokens = TOKENISERS[name].tokenize(text)
    assert "".join(tokens) == "".join(normalize(text).split())
    assert all(token and not token.isspace() for token in tokens)


@pytest.mark.parametrize("name", TOKENISERS)
@given(text=st.text(st.sampled_from("ab1 .,'\"-()“”我，。$"), max_size=30))
def test_what_was_put_together_is_cut_the_same_way_again(name: str, text: str) -> None:
    tokeniser = TOKENISERS[name]
    once = tokeniser.detokenize(tokeniser.tokenize(text))
    assert "".join(tokeniser.tokenize(once)) == "".join(tokeniser.tokenize(text))
