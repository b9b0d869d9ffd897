"""Which Chinese word an English word of the built-in corpus renders."""

from tinyattn.datasets.everyday import generate, links
from tinyattn.datasets.everyday.links import equivalents


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
