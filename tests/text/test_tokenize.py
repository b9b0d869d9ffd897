"""Tokenisers cut where they should, and lose nothing: what they cut is put together again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyattn.text.tokenize import TOKENISERS, guess_tokeniser, normalize

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
        ("ﾃﾚﾋﾞを見る", ["ﾃ", "ﾚ", "ﾋ", "ﾞ", "を", "見", "る"]),  # half-width kana
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


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("हिन्दी में लिखो।", ["हिन्दी", "में", "लिखो", "।"]),
        ("مَرحبًا، كيف؟", ["مَرحبًا", "،", "كيف", "؟"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("می\u200cخواهم بروم.", ["می\u200cخواهم", "بروم", "."]),
        ("¿Qué tal? ¡Hola!", ["¿", "Qué", "tal", "?", "¡", "Hola", "!"]),
        ("Quoi ? Oui : non !", ["Quoi", "␣?", "Oui", "␣:", "non", "␣!"]),
        ("Il dit « bonjour ».", ["Il", "dit", "«", "bonjour", "»", "."]),
        ("Он сказал «привет».", ["Он", "сказал", "«‿", "привет", "‿»", "."]),
        ("Er sagte: „Hallo“.", ["Er", "sagte", ":", "„", "Hallo", "‿“", "."]),
        ("👨\u200d👩\u200d👧 👍🏽 ❤\ufe0f!", ["👨\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "!"]),
        ("🇩🇪🇫🇷 1\ufe0f\u20e3", ["🇩🇪", "‿🇫🇷", "1\ufe0f\u20e3"]),
        ("C++ and C#", ["C", "‿+", "‿+", "and", "C", "‿#"]),
        ("1990–2000", ["1990", "‿–‿", "2000"]),
        ("(a) well -known", ["(", "a", ")", "well", "-‿", "known"]),
    ],
)
def test_word_marks_what_the_usual_spacing_would_get_wrong(text: str, tokens: list[str]) -> None:
    assert WORD.tokenize(text) == tokens
    assert WORD.detokenize(tokens) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("น้ำใจดี", ["น้", "ำ", "ใ", "จ", "ดี"]),
        ("ខ្ញុំ", ["ខ្", "ញុំ"]),
        ("か\u3099く", ["が", "く"]),
        ("我用 iPhone 上网", ["我", "用", "␣iPhone", "␣上", "网"]),
        ("好吗 ?", ["好", "吗", "␣?"]),
        ("C++好", ["C", "‿+", "+", "好"]),
    ],
)
def test_char_keeps_vowel_signs_and_marks_spaces(text: str, tokens: list[str]) -> None:
    assert CHAR.tokenize(text) == tokens
    assert CHAR.detokenize(tokens) == normalize(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a ␣ b", ["a", "␣␣␣", "b"]),
        ("a‿b", ["a", "‿‿‿", "b"]),
        ("‿", ["‿‿‿"]),
        ("␣?", ["‿␣‿", "?"]),
        ("‿␣", ["‿‿‿", "‿␣‿"]),
    ],
)
def test_a_text_that_has_a_mark_itself_is_not_confused_with_one(
    text: str, tokens: list[str]
) -> None:
    assert WORD.tokenize(text) == tokens
    assert WORD.detokenize(tokens) == text


def test_a_mark_alone_is_a_text() -> None:
    assert WORD.detokenize(["a", "‿", "b"]) == "a ‿ b"


# Surrogates come from bytes that are not UTF-8; a program may hold them in a string.
anything = st.characters() | st.characters(categories=["Cs"])
delicate = st.sampled_from("ab1 .,'\"-()“”„«»?¿我，。$＄・ดี्ि゙́\u200d\u200c\u200b\ufe0f👧🏽🇩🇪‿␣")


@pytest.mark.parametrize("name", TOKENISERS)
@settings(max_examples=500)
@given(text=st.text(anything, max_size=40) | st.text(delicate, max_size=20))
def test_no_string_is_changed_but_by_its_normal_form(name: str, text: str) -> None:
    tokens = TOKENISERS[name].tokenize(text)
    assert TOKENISERS[name].detokenize(tokens) == normalize(text)
    assert all(tokens)
    assert not any(c.isspace() for token in tokens for c in token)


@pytest.mark.parametrize("name", TOKENISERS)
@given(st.lists(st.text(delicate, max_size=3)))
def test_tokens_of_a_model_can_be_put_together_whatever_they_are(
    name: str, tokens: list[str]
) -> None:
    text = TOKENISERS[name].detokenize(tokens)
    assert all(c in text for token in tokens for c in token if c not in "‿␣")


def test_scripts_without_spaces_are_cut_by_character() -> None:
    assert guess_tokeniser(["我有3本书。"]) == "char"
    assert guess_tokeniser(["สวัสดีครับ"]) == "char"
    assert guess_tokeniser(["हिन्दी में", "Tom 和"]) == "word"
    assert guess_tokeniser(["123"]) == "word"


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


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (
            ["He", "said", '"', "yes", '"', "to", '"', "no", '"', "."],
            'He said "yes" to "no".',
        ),
        (['"', "Yes", '"', ",", "he", "said", "."], '"Yes", he said.'),
        (["He", "said", '"', "yes"], 'He said "yes'),
        (["你好", "，", "世界"], "你好，世界"),
        (["你好", "A", "（", "B", "）", "C"], "你好 A（B）C"),
    ],
)
def test_usual_quotes_and_wide_punctuation_need_no_marks(tokens: list[str], text: str) -> None:
    assert WORD.tokenize(text) == tokens
    assert WORD.detokenize(tokens) == text


def test_more_than_half_of_the_letters_decide() -> None:
    assert guess_tokeniser(["你好abc"]) == "word"
    assert guess_tokeniser(["你好ab"]) == "word"
    assert guess_tokeniser(["ab你好吗"]) == "char"
