"""Parts of sentences, each in both languages: people, things, actions, times, tenses.

Look first at `FRAMES`, which turn an action into any tense or mood, and at `statement`, which puts
a sentence together. The sentence patterns of grammar.py consist of these.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tinyattn.datasets.everyday.english import (
    article,
    be,
    gerund,
    participle,
    past,
    plural,
    present,
    was,
)
from tinyattn.datasets.everyday.lexicon import (
    ACTIONS,
    ACTIVITIES,
    ADJECTIVES,
    AGO,
    AGO_FAR,
    CHILDREN,
    COLOURED,
    COLOURS,
    DAYS,
    FEW,
    FUTURE,
    FUTURE_FAR,
    GIVEN_NAMES,
    HABIT,
    JOBS,
    KIN,
    LASTING,
    NUMBERS,
    PARTS,
    PAST,
    PAST_FAR,
    PLACES,
    PRONOUNS,
    QUALITIES,
    SURNAMES,
    THINGS,
    TITLES,
    WILLED,
    Person,
)


class Phrase(NamedTuple):
    """A part of a sentence in both languages."""

    zh: str
    en: str


class Noun(NamedTuple):
    """A noun phrase with its determiner in both languages; `agree` as in `Person`."""

    zh: str
    en: str
    agree: str


class Action(NamedTuple):
    """A verb with its object: 打 and 篮球, "play basketball".

    `groups` are the groups of places where it is done. `bare` says that the object has no
    determiner: then 了 stands at the end (打篮球了), otherwise after the verb (打了那个男孩).
    """

    verb: str
    object: str
    en: str
    groups: tuple[str, ...]
    bare: bool


NOTHING = Phrase("", "")

# --- tenses and moods -----------------------------------------------------------------------------


class Frame(NamedTuple):
    """What turns an action into a tense or mood.

    In Chinese, `before` stands before place and verb, and `after` stands after the verb. In
    English, `aux` is an auxiliary, "past" or "present", and `form` is what follows it: {} is the
    bare verb phrase, {ing} its -ing form, {pp} its past participle.
    """

    before: str
    after: str
    aux: str
    form: str = "{}"


FRAMES = {
    "past": Frame("", "了", "past"),
    "not past": Frame("没", "", "didn't"),
    "future": Frame("会", "", "will"),
    "not future": Frame("不会", "", "won't"),
    "going": Frame("要", "", "be", "going to {}"),
    "habit": Frame("", "", "present"),
    "now": Frame("正在", "", "be", "{ing}"),
    "perfect": Frame("", "过", "have", "{pp}"),
    "never": Frame("从来没", "过", "have", "never {pp}"),
    "already": Frame("已经", "了", "have", "already {pp}"),
    "want": Frame("想", "", "present", "want to {}"),
    "not want": Frame("不想", "", "don't", "want to {}"),
    "plan": Frame("打算", "", "present", "plan to {}"),
    "need": Frame("需要", "", "present", "need to {}"),
    "like": Frame("喜欢", "", "present", "like to {}"),
    "should": Frame("应该", "", "should"),
    "should not": Frame("不应该", "", "shouldn't"),
    "must": Frame("必须", "", "must"),
    "can": Frame("可以", "", "can"),
    "cannot": Frame("不能", "", "can't"),
}


def finite(frame: Frame, agree: str, phrase: str) -> tuple[str, str, str]:
    """An English verb phrase in a tense or mood: whole, its auxiliary, and the rest.

    A statement takes the whole; a question takes auxiliary and rest, with the subject between them.

    Phrases that begin with "be" (passives) need no "do". `agree` as in `Person`.
    """
    being = phrase.startswith("be ")
    rest = frame.form.format(
        phrase,
        ing=("being" + phrase[2:]) if being else gerund(phrase),
        pp=("been" + phrase[2:]) if being else participle(phrase),
    )
    simple = frame.aux in ("past", "present", "didn't", "don't")
    if simple and rest.startswith("be "):
        verb = be(agree) if frame.aux in ("present", "don't") else was(agree)
        if frame.aux.endswith("n't"):
            verb = "am not" if verb == "am" else verb + "n't"
        return verb + rest[2:], verb, rest[3:]
    if frame.aux == "past":
        return past(rest), "did", rest
    if frame.aux == "present":
        return present(rest, agree), "does" if agree == "s" else "do", rest
    if frame.aux == "be":
        aux = be(agree)
    elif frame.aux == "have":
        aux = "has" if agree == "s" else "have"
    elif frame.aux == "don't":
        aux = "doesn't" if agree == "s" else "don't"
    else:
        aux = frame.aux
    return f"{aux} {rest}", aux, rest


# --- people ---------------------------------------------------------------------------------------


def name(r: Random, titled: float = 0.2) -> Person:
    """Somebody by name: 王伟, "Wang Wei"; with the probability `titled` 王先生, "Mr. Wang"."""
    surname = r.choice(list(SURNAMES))
    if r.random() < titled:
        zh, en, again = r.choice(TITLES)
        full = f"{en} {SURNAMES[surname]}"
    else:
        zh, en, again = r.choice(GIVEN_NAMES)
        full = f"{SURNAMES[surname]} {en}"
    return Person(surname + zh, full, full, full + "'s", "s", again)


def family(r: Random) -> Person:
    """Somebody by relation: 我爸爸, "my father"; 王伟的同事, "Wang Wei's colleague"."""
    zh, en, again = r.choice(KIN)
    if r.random() < 0.5:
        owner = PRONOUNS[r.choice("我你他她")]
        zh = owner.zh + zh
    else:
        owner = name(r)
        zh = f"{owner.zh}的{zh}"
    en = f"{owner.poss} {en}"
    return Person(zh, en, en, en + "'s", "s", again)


def that_person(r: Random, jobs: Sequence[list[str]] = JOBS) -> Person:
    """Somebody by profession: 那位老师, "that teacher"; 这两个学生, "these two students"."""
    zh, classifier, en, again = r.choice(jobs)
    near, this, these = r.choice((("这", "this", "these"), ("那", "that", "those")))
    if r.random() < 0.7:
        en = f"{this} {en}"
        return Person(f"{near}{classifier}{zh}", en, en, en + "'s", "s", again)
    number = r.choice(FEW[:4])
    en = f"{these} {NUMBERS[number]} {plural(en)}"
    return Person(f"{near}{number}{classifier}{zh}", en, en, en, "p", again + "们")


def person(r: Random, *without: str) -> Person:
    """Somebody of any sort, but none of the pronouns in `without`."""
    kind = r.random()
    if kind < 0.27:
        return PRONOUNS[r.choice([p for p in PRONOUNS if p not in without])]
    if kind < 0.7:
        return name(r)
    return family(r) if kind < 0.88 else that_person(r)


def other(r: Random, first: Person) -> Person:
    """Somebody other than `first`, not named by a pronoun."""
    while True:
        second = r.choice((name, name, family, that_person))(r)
        if second.zh not in first.zh and first.zh not in second.zh:
            return second


def listener(r: Random) -> Person:
    """The subject of a question: anybody but the speaker."""
    return person(r, "我", "我们")


# --- things ---------------------------------------------------------------------------------------


def things(words: str) -> list[list[str]]:
    """The rows of THINGS, JOBS or CHILDREN that have one of these kinds or Chinese words."""
    asked = words.split()
    if asked in (["jobs"], ["children"]):
        return [
            [zh, cl, en, "person"] for zh, cl, en, _ in (JOBS if asked == ["jobs"] else CHILDREN)
        ]
    found = [row for row in THINGS if row[3] in asked or row[0] in asked]
    if "children" in asked:
        found += [[zh, cl, en, "person"] for zh, cl, en, _ in CHILDREN]
    return found


def described(r: Random, row: list[str], chance: float) -> tuple[str, str]:
    """The noun of a row, with an adjective with the probability `chance`: 有意思的书,
    "interesting book"."""
    zh, _, en, kind = row
    if r.random() >= chance:
        return zh, en
    if kind in COLOURED and r.random() < 0.5:
        colour = r.choice(list(COLOURS))
        return f"{colour}色的{zh}", f"{COLOURS[colour]} {en}"
    before, word, _ = ADJECTIVES[r.choice(QUALITIES[kind])]
    return before + zh, f"{word} {en}"


def some(r: Random, row: list[str], adjectives: float = 0.25) -> Noun:
    """Things not named before: 一本书, "a book"; 三本有意思的书, "three interesting books"."""
    zh, en = described(r, row, adjectives)
    if r.random() < 0.5:
        return Noun(f"一{row[1]}{zh}", article(en), "s")
    number = r.choice(FEW)
    return Noun(f"{number}{row[1]}{zh}", f"{NUMBERS[number]} {plural(en)}", "p")


def that(r: Random, row: list[str], adjectives: float = 0.2) -> Noun:
    """Things pointed at or owned: 这本书, "this book"; 那三本书, "those three books"; 王伟的书,
    "Wang Wei's book"."""
    near, this, these = r.choice((("这", "this", "these"), ("那", "that", "those")))
    kind = r.random()
    if kind < 0.3 and row[3] != "person" and " of " not in row[2]:
        owner = r.choice((PRONOUNS[r.choice("我你他她")], name(r)))
        return Noun(f"{owner.zh}的{row[0]}", f"{owner.poss} {row[2]}", "s")
    if kind < 0.7:
        zh, en = described(r, row, adjectives)
        return Noun(f"{near}{row[1]}{zh}", f"{this} {en}", "s")
    if kind < 0.85 and " of " not in row[2]:
        return Noun(f"{near}些{row[0]}", f"{these} {plural(row[2])}", "p")
    number = r.choice(FEW[:4])
    en = f"{these} {NUMBERS[number]} {plural(row[2])}"
    return Noun(f"{near}{number}{row[1]}{row[0]}", en, "p")


def known(r: Random, row: list[str]) -> Noun:
    """The object of 把: without a determiner it is "the book"; otherwise as in `that`."""
    if r.random() < 0.4 and " of " not in row[2]:
        return Noun(row[0], f"the {row[2]}", "s")
    return that(r, row)


# --- actions, places, times -----------------------------------------------------------------------


def activity(r: Random) -> Action:
    """An action with an object that is always the same: 打篮球, "play basketball"."""
    verb, obj, en, groups = r.choice(ACTIVITIES)
    return Action(verb, "" if obj == "-" else obj, en, tuple(groups.split()), True)


def deed(
    r: Random, determine: Callable[[Random, list[str]], Noun], verbs: Sequence[list[str]] = ACTIONS
) -> Action:
    """A verb with one of the objects that suit it. `determine` is `some`, `that` or `known`."""
    verb, en, kinds, groups = r.choice(verbs)
    row = r.choice(things(kinds))
    noun = that(r, row) if row[3] == "person" else determine(r, row)
    return Action(verb, noun.zh, f"{en} {noun.en}", tuple(groups.split()), False)


def any_action(r: Random, verbs: Sequence[list[str]] = WILLED) -> Action:
    """An activity, or a verb of `verbs` with any object."""
    return activity(r) if r.random() < 0.45 else deed(r, r.choice((some, that)), verbs)


def plain_action(r: Random) -> Action:
    """An action for sentences in which a number of objects would sound odd."""
    return activity(r) if r.random() < 0.6 else deed(r, that, WILLED)


def lasting_action(r: Random) -> Action:
    """An action that takes some time, so that it can be going on."""
    return activity(r) if r.random() < 0.6 else deed(r, that, LASTING)


def outdoor_action(r: Random) -> Action:
    """An action that bad weather can prevent."""
    while True:
        action = activity(r)
        if not {"outdoors", "water", "-"}.isdisjoint(action.groups) and action.verb not in (
            "打扫",
            "休息",
        ):
            return action


def place(r: Random, action: Action, chance: float = 0.35) -> Phrase:
    """A place where `action` is done, with the probability `chance`; otherwise nothing."""
    rows = [row for row in PLACES if row[3] in action.groups]
    if not rows or r.random() >= chance:
        return NOTHING
    group = r.choice([g for g in action.groups if g != "-"])
    zh, en, _, _ = r.choice([row for row in rows if row[3] == group])
    return Phrase(f"在{zh}", en)


def company(r: Random, subject: Person, chance: float = 0.05) -> Phrase:
    """ "With somebody", with the probability `chance`; otherwise nothing."""
    if r.random() >= chance:
        return NOTHING
    friend = other(r, subject)
    return Phrase(f"跟{friend.zh}一起", f"with {friend.obj}")


def _day(r: Random, zh: str, en: str, short: str) -> Phrase:
    """A part of a day: 昨天早上, "yesterday morning"; 昨天早上八点半, "at half past eight yesterday
    morning"."""
    part = r.choice(list(PARTS))
    word, hours = PARTS[part]
    if r.random() < 0.7:
        return Phrase(zh + part, f"{en} {word}")
    hour = r.choice(hours)
    if r.random() < 0.3:
        return Phrase(f"{zh}{part}{hour}点半", f"at half past {NUMBERS[hour]} {short} {word}")
    return Phrase(f"{zh}{part}{hour}点", f"at {NUMBERS[hour]} o'clock {short} {word}")


def past_time(r: Random, action: Action | None = None) -> Phrase:
    """A time in the past that suits `action`: months and years only for what is done in cities."""
    kind = r.random()
    if kind < 0.3:
        return Phrase("昨天", "yesterday")
    if kind < 0.45:
        return _day(r, "昨天", "yesterday", "yesterday")
    if kind < 0.6:
        day = r.choice(list(DAYS))
        return Phrase(f"上个星期{day}", f"last {DAYS[day]}")
    far = action is not None and "city" in action.groups
    if kind < 0.85:
        return Phrase(*r.choice(list((PAST_FAR if far else PAST).items())))
    number = r.choice(FEW[:5])
    zh, en = r.choice(AGO_FAR if far else AGO)
    return Phrase(f"{number}{zh}前", f"{NUMBERS[number]} {en} ago")


def future_time(r: Random, action: Action | None = None) -> Phrase:
    """A time in the future that suits `action`, as `past_time` does."""
    kind = r.random()
    if kind < 0.3:
        return Phrase("明天", "tomorrow")
    if kind < 0.45:
        return _day(r, "明天", "tomorrow", "tomorrow")
    if kind < 0.65:
        day = r.choice(list(DAYS))
        return Phrase(f"下个星期{day}", f"next {DAYS[day]}")
    far = action is not None and "city" in action.groups
    return Phrase(*r.choice(list((FUTURE_FAR if far else FUTURE).items())))


def habit_time(r: Random) -> Phrase:
    """A time that comes again: 每天早上, "every morning"."""
    kind = r.random()
    if kind < 0.6:
        return Phrase(*r.choice(list(HABIT.items())))
    if kind < 0.8:
        return _day(r, "每天", "every", "every")
    day = r.choice(list(DAYS))
    return Phrase(f"每个星期{day}", f"every {DAYS[day]}")


def timed(
    r: Random, frames: str, action: Action | None = None, chance: float = 1.0
) -> tuple[Frame, Phrase]:
    """One of the frames named in `frames`, and a time for it with the probability `chance`."""
    key = r.choice(frames.split(", "))
    if key in ("now", "perfect", "never", "already") or r.random() >= chance:
        return FRAMES[key], NOTHING
    if key in ("past", "not past"):
        return FRAMES[key], past_time(r, action)
    return FRAMES[key], habit_time(r) if key == "habit" else future_time(r, action)


# --- from parts to sentences ----------------------------------------------------------------------


def words(*parts: str) -> str:
    """The parts that are not empty, with spaces between them."""
    return " ".join(part for part in parts if part)


def predicate(
    frame: Frame, action: Action, where: Phrase = NOTHING, friend: Phrase = NOTHING
) -> str:
    """The Chinese from company to object: 跟她一起在家看了那本书."""
    if frame.before == "正在" and where.zh and not friend.zh:
        before = frame.before + where.zh.removeprefix("在")
    else:
        before = frame.before + friend.zh + where.zh
    if frame.after == "了" and action.bare:
        return before + action.verb + action.object + "了"
    return before + action.verb + frame.after + action.object


def statement(
    r: Random,
    subject: Person,
    frame: Frame,
    action: Action,
    when: Phrase = NOTHING,
    where: Phrase = NOTHING,
    friend: Phrase = NOTHING,
) -> Phrase:
    """A statement in both languages, without end mark.

    The Chinese order is subject, time, company, place, verb, object, or the time comes first. In
    English, place, company and time come last.
    """
    rest = predicate(frame, action, where, friend)
    early = when.zh and r.random() < 0.3
    zh = when.zh + subject.zh if early else subject.zh + when.zh
    verb, _, _ = finite(frame, subject.agree, action.en)
    return Phrase(zh + rest, words(subject.en, verb, where.en, friend.en, when.en))


def question(ask: str, subject: Person, frame: Frame, verb: str, *rest: str) -> str:
    """An English question, its auxiliary before the subject: "why did he go to school"."""
    _, aux, base = finite(frame, subject.agree, verb)
    return words(ask, aux, subject.en, base, *rest)
