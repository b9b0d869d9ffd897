"""Which Chinese word an English word of the built-in corpus renders."""

import pytest

from tinyattn.datasets.everyday import generate, lexicon, links
from tinyattn.datasets.everyday.english import plural, present
from tinyattn.datasets.everyday.links import equivalents


@pytest.fixture(autouse=True)
def anew() -> None:
    equivalents.cache_clear()


def words(chinese: str, english: str) -> dict[str, str]:
    return {english[a:b]: chinese[c:d] for (a, b), (c, d) in links(chinese, english)}


def test_names_nouns_numbers_adjectives_days_and_verbs_are_linked() -> None:
    english = "Song Juan drew an expensive horse in the park on Wednesday."
    assert words("宋娟星期三在公园画一匹很贵的马。", english) == {
        "Song": "宋", "Juan": "娟", "drew": "画", "expensive": "贵", "horse": "马", "park": "公园",
        "Wednesday": "星期三",
    }  # fmt: skip


def test_the_first_word_of_a_sentence_is_found_in_either_case() -> None:
    assert words("三只猫很大。", "Three cats are big.") == {
        "Three": "三",
        "cats": "猫",
        "big": "大",
    }
    assert words("宋先生", "Song") == {"Song": "宋"}


def test_a_word_of_several_equivalents_or_that_comes_twice_is_left_out() -> None:
    english = "My brother has two books, you have three books."
    assert words("我哥哥有两本书，你有三本书。", english) == {"two": "两", "three": "三"}
    assert "wear" not in words("他们穿大衣。", "They wear coats.")


def test_links_are_plenty_and_each_is_in_the_lexicon() -> None:
    pairs = list(generate(300, seed=3))
    count = 0
    for chinese, english in pairs:
        for english_word, chinese_word in words(chinese, english).items():
            found = equivalents().get(english_word) or equivalents()[english_word.lower()]
            assert found == [chinese_word]
            count += 1
    assert count > 3 * len(pairs)


def test_each_table_of_the_lexicon_is_in_it_to_its_last_row() -> None:
    expected = [(zh, en) for zh, en, _ in lexicon.GIVEN_NAMES]
    expected += [(f"星期{zh}", en) for zh, en in lexicon.DAYS.items()]
    expected += [(zh, row[1]) for zh, row in lexicon.ADJECTIVES.items()]
    tables = (lexicon.JOBS, lexicon.THINGS, [(zh, "", en, "") for zh, en, _ in lexicon.KIN])
    tables = (*tables, [(zh, "", en, "") for zh, en, _ in lexicon.SPOTS])
    for table in tables:
        for zh, _, en, _ in table:
            if " of " not in en:
                expected += [(zh, en.split()[-1]), (zh, plural(en).split()[-1])]
    expected += [(row[0], row[1].split()[-1]) for row in lexicon.PLACES]
    verbs = [row[:2] for row in (*lexicon.ACTIONS, *lexicon.TREATMENTS) if " " not in row[1]]
    expected += [(zh, form) for zh, en in verbs for form in (en, present(en, "s"))]
    assert [(zh, en) for zh, en in expected if zh not in equivalents()[en]] == []
