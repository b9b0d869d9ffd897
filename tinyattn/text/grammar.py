"""The built-in corpus: a synchronous grammar that makes Chinese sentences and their English together.

Look first at `CONSTRUCTIONS` at the end, the table of sentence patterns, then at `FRAMES`, which turn one
action into any tense, and at `passive` or `relative_object` for how a pattern is written. The words are in
lexicon.py. Everything English decides (tense, number, articles, which verb) can be read off the Chinese, so
that a source has one target.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tinyattn.text.lexicon import (
    ACTIONS,
    ACTIVITIES,
    ADJECTIVES,
    ADVERBS,
    BY_OTHERS,
    BY_OWNER,
    CAREERS,
    CHILDREN,
    COLOURED,
    COLOURS,
    DAYS,
    DOUBLED,
    FEW,
    FUTURE,
    GIVEN_NAMES,
    GIVING,
    HABIT,
    IRREGULAR,
    JOBS,
    KIN,
    NUMBERS,
    PARTS,
    PAST,
    PLACES,
    PLURALS,
    PRONOUNS,
    QUALITIES,
    RESULTS,
    SIDES,
    SKILLS,
    SPOTS,
    STATES,
    SURNAMES,
    THINGS,
    TITLES,
    TREATMENTS,
    VEHICLES,
    Person,
)

Pair = tuple[str, str]


class Phrase(NamedTuple):
    """A piece of both sentences."""

    zh: str
    en: str


class Noun(NamedTuple):
    """A noun phrase with its determiner; `agree` as in Person."""

    zh: str
    en: str
    agree: str


class Action(NamedTuple):
    """A verb with its object: 打|篮球 "play basketball"; `groups` of places where it is done.

    `bare`: the object has no determiner, so that 了 closes the sentence (打篮球了, but 打了那个男孩).
    """

    verb: str
    object: str
    en: str
    groups: tuple[str, ...]
    bare: bool


NOTHING = Phrase("", "")

# --- English words --------------------------------------------------------------------------------


def article(words: str) -> str:
    """`words` with "a" or "an" by sound: an honest man, a useful book."""
    vowel = words[0] in "aeiou" and not words.startswith("use") or words.startswith("honest")
    return f"an {words}" if vowel else f"a {words}"


def plural(noun: str) -> str:
    """cups of coffee, older brothers, knives."""
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
    verb, space, rest = phrase.partition(" ")
    return change(verb) + space + rest


def past(phrase: str) -> str:
    return _inflected(phrase, lambda v: IRREGULAR[v][0] if v in IRREGULAR else _with_ed(v))


def participle(phrase: str) -> str:
    return _inflected(phrase, lambda v: IRREGULAR[v][1] if v in IRREGULAR else _with_ed(v))


def _with_ed(verb: str) -> str:
    if verb in DOUBLED:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


def _ing(verb: str) -> str:
    if verb in DOUBLED:
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def gerund(phrase: str) -> str:
    return _inflected(phrase, _ing)


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "x", "ch", "sh", "o")) else "s")


def present(phrase: str, agree: str) -> str:
    return _inflected(phrase, _third) if agree == "s" else phrase


def be(agree: str) -> str:
    return {"I": "am", "s": "is", "p": "are"}[agree]


def was(agree: str) -> str:
    return "were" if agree == "p" else "was"


def superlative(comparative: str) -> str:
    """the biggest, the most beautiful."""
    if comparative.startswith("more "):
        return "most" + comparative[4:]
    return comparative[:-1] + "st"


# --- tenses and moods -----------------------------------------------------------------------------


class Frame(NamedTuple):
    """What turns an action into a tense or mood.

    Chinese: `before` stands before place and verb, `after` behind the verb. English: `aux` is an
    auxiliary, "past" or "present"; `form` is what stands after it, with {} for the bare verb phrase,
    {ing} and {pp} for its forms.
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
    "not habit": Frame("不", "", "don't"),
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
    """The English verb group: as in a statement, and as auxiliary and rest for a question.

    Verb phrases that begin with "be" (passives, adjectives) need no "do".
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


def name(r: Random) -> Person:
    """王伟, "Wang Wei"; 王先生, "Mr. Wang"."""
    surname = r.choice(list(SURNAMES))
    if r.random() < 0.2:
        zh, en, again = r.choice(TITLES)
        full = f"{en} {SURNAMES[surname]}"
    else:
        zh, en, again = r.choice(GIVEN_NAMES)
        full = f"{SURNAMES[surname]} {en}"
    return Person(surname + zh, full, full, full + "'s", "s", again)


def relative(r: Random) -> Person:
    """我爸爸, "my father"; 王伟的同事, "Wang Wei's colleague"."""
    zh, en, again = r.choice(KIN)
    if r.random() < 0.6:
        owner = PRONOUNS[r.choice("我你他她")]
        zh = owner.zh + zh
    else:
        owner = name(r)
        zh = f"{owner.zh}的{zh}"
    en = f"{owner.poss} {en}"
    return Person(zh, en, en, en + "'s", "s", again)


def that_person(r: Random, jobs: Sequence[list[str]] = JOBS) -> Person:
    """那位老师, "that teacher"; 这两个学生, "these two students"."""
    zh, classifier, en, again = r.choice(jobs)
    near, this, these = r.choice((("这", "this", "these"), ("那", "that", "those")))
    if r.random() < 0.7:
        en = f"{this} {en}"
        return Person(f"{near}{classifier}{zh}", en, en, en + "'s", "s", again)
    number = r.choice(FEW)
    en = f"{these} {NUMBERS[number]} {plural(en)}"
    return Person(f"{near}{number}{classifier}{zh}", en, en, en, "p", again + "们")


def person(r: Random, *without: str) -> Person:
    """Anyone; `without` names pronouns that would sound odd."""
    kind = r.random()
    if kind < 0.35:
        return PRONOUNS[r.choice([p for p in PRONOUNS if p not in without])]
    if kind < 0.65:
        return name(r)
    return relative(r) if kind < 0.85 else that_person(r)


def other(r: Random, first: Person) -> Person:
    """Somebody else than `first`, named without a pronoun, fit for any clause beside it."""
    while True:
        second = r.choice((name, name, relative, that_person))(r)
        if second.zh not in first.zh and first.zh not in second.zh:
            return second


def listener(r: Random) -> Person:
    """The subject of a question: not oneself."""
    return person(r, "我", "我们")


# --- things ---------------------------------------------------------------------------------------


def things(words: str) -> list[list[str]]:
    """The rows of THINGS, JOBS or CHILDREN that a column of kinds or single words asks for."""
    asked = words.split()
    if asked in (["jobs"], ["children"]):
        return [[zh, cl, en, "person"] for zh, cl, en, _ in (JOBS if asked == ["jobs"] else CHILDREN)]
    found = [row for row in THINGS if row[3] in asked or row[0] in asked]
    if "children" in asked:
        found += [[zh, cl, en, "person"] for zh, cl, en, _ in CHILDREN]
    return found


def described(r: Random, row: list[str], chance: float = 0.35) -> tuple[str, str]:
    """The noun, now and then with an adjective: 有意思的书, "interesting book"."""
    zh, _, en, kind = row
    if r.random() >= chance:
        return zh, en
    if kind in COLOURED and r.random() < 0.5:
        colour = r.choice(list(COLOURS))
        return f"{colour}色的{zh}", f"{COLOURS[colour]} {en}"
    before, word, _ = ADJECTIVES[r.choice(QUALITIES[kind])]
    return before + zh, f"{word} {en}"


def some(r: Random, row: list[str], numbers: Sequence[str] = FEW) -> Noun:
    """一本书, "a book"; 三本有意思的书, "three interesting books"."""
    zh, en = described(r, row)
    if r.random() < 0.5:
        return Noun(f"一{row[1]}{zh}", article(en), "s")
    number = r.choice(numbers)
    return Noun(f"{number}{row[1]}{zh}", f"{NUMBERS[number]} {plural(en)}", "p")


def that(r: Random, row: list[str]) -> Noun:
    """这本书, 那些书, 那三本书, 我的书, 王伟的书: this, those, those three, my, Wang Wei's."""
    near, this, these = r.choice((("这", "this", "these"), ("那", "that", "those")))
    kind = r.random()
    if kind < 0.3 and row[3] != "person" and " of " not in row[2]:
        owner = r.choice((*PRONOUNS.values(), *(name(r) for _ in PRONOUNS)))
        return Noun(f"{owner.zh}的{row[0]}", f"{owner.poss} {row[2]}", "s")
    if kind < 0.7:
        zh, en = described(r, row, 0.2)
        return Noun(f"{near}{row[1]}{zh}", f"{this} {en}", "s")
    if kind < 0.85 and " of " not in row[2]:
        return Noun(f"{near}些{row[0]}", f"{these} {plural(row[2])}", "p")
    number = r.choice(FEW)
    en = f"{these} {NUMBERS[number]} {plural(row[2])}"
    return Noun(f"{near}{number}{row[1]}{row[0]}", en, "p")


def known(r: Random, row: list[str]) -> Noun:
    """The object of 把: bare is "the book", else as in `that`."""
    if r.random() < 0.4 and " of " not in row[2]:
        return Noun(row[0], f"the {row[2]}", "s")
    return that(r, row)


# --- actions, places, times -----------------------------------------------------------------------

PUNCTUAL = "丢 收到 见 批评 感谢 打 借 穿 戴 开 买 卖".split()  # not said with 正在


def activity(r: Random) -> Action:
    verb, obj, en, groups = r.choice(ACTIVITIES)
    return Action(verb, "" if obj == "-" else obj, en, tuple(groups.split()), True)


def deed(
    r: Random, determine: Callable[[Random, list[str]], Noun], verbs: Sequence[list[str]] = ACTIONS
) -> Action:
    """A verb with one object of a kind it takes; `determine` is `some`, `that` or `known`."""
    verb, en, kinds, groups = r.choice(verbs)
    row = r.choice(things(kinds))
    noun = that(r, row) if row[3] == "person" else determine(r, row)
    return Action(verb, noun.zh, f"{en} {noun.en}", tuple(groups.split()), False)


LASTING = [row for row in ACTIONS if row[0] not in PUNCTUAL]


def any_action(r: Random) -> Action:
    return activity(r) if r.random() < 0.45 else deed(r, r.choice((some, that)))


def plain_action(r: Random) -> Action:
    """For sentences in which a number of objects would sound odd."""
    return activity(r) if r.random() < 0.6 else deed(r, that)


def lasting_action(r: Random) -> Action:
    return activity(r) if r.random() < 0.6 else deed(r, that, LASTING)


def place(r: Random, action: Action, chance: float = 0.6) -> Phrase:
    rows = [row for row in PLACES if row[3] in action.groups]
    if not rows or r.random() >= chance:
        return NOTHING
    group = r.choice([g for g in action.groups if g != "-"])
    zh, en, _, _ = r.choice([row for row in rows if row[3] == group])
    return Phrase(f"在{zh}", en)


def company(r: Random, subject: Person, chance: float = 0.12) -> Phrase:
    if r.random() >= chance:
        return NOTHING
    friend = other(r, subject)
    return Phrase(f"跟{friend.zh}一起", f"with {friend.obj}")


def _day(r: Random, zh: str, en: str, short: str) -> Phrase:
    """昨天早上, "yesterday morning"; 昨天早上八点半, "at half past eight yesterday morning"."""
    part = r.choice(list(PARTS))
    word, hours = PARTS[part]
    if r.random() < 0.5:
        return Phrase(zh + part, f"{en} {word}")
    hour = r.choice(hours)
    if r.random() < 0.3:
        return Phrase(f"{zh}{part}{hour}点半", f"at half past {NUMBERS[hour]} {short} {word}")
    return Phrase(f"{zh}{part}{hour}点", f"at {NUMBERS[hour]} o'clock {short} {word}")


def past_time(r: Random) -> Phrase:
    kind = r.random()
    if kind < 0.25:
        return Phrase("昨天", "yesterday")
    if kind < 0.5:
        return _day(r, "昨天", "yesterday", "yesterday")
    if kind < 0.75:
        return Phrase(*r.choice(list(PAST.items())))
    if kind < 0.88:
        day = r.choice(list(DAYS))
        return Phrase(f"上个星期{day}", f"last {DAYS[day]}")
    number = r.choice(FEW)
    zh, en = r.choice((("天", "days"), ("年", "years"), ("个月", "months"), ("个星期", "weeks")))
    return Phrase(f"{number}{zh}前", f"{NUMBERS[number]} {en} ago")


def future_time(r: Random) -> Phrase:
    kind = r.random()
    if kind < 0.25:
        return Phrase("明天", "tomorrow")
    if kind < 0.5:
        return _day(r, "明天", "tomorrow", "tomorrow")
    if kind < 0.85:
        return Phrase(*r.choice(list(FUTURE.items())))
    day = r.choice(list(DAYS))
    return Phrase(f"下个星期{day}", f"next {DAYS[day]}")


def habit_time(r: Random) -> Phrase:
    kind = r.random()
    if kind < 0.6:
        return Phrase(*r.choice(list(HABIT.items())))
    if kind < 0.8:
        return _day(r, "每天", "every", "every")
    day = r.choice(list(DAYS))
    return Phrase(f"每个星期{day}", f"every {DAYS[day]}")


# --- from parts to sentences ----------------------------------------------------------------------


def words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def predicate(frame: Frame, action: Action, where: Phrase, friend: Phrase) -> str:
    """The Chinese of a verb with all that stands between time and object: 跟她一起在家看了那本书."""
    if frame.before == "正在" and where.zh and not friend.zh:
        before = frame.before + where.zh.removeprefix("在")
    else:
        before = frame.before + friend.zh + where.zh
    if frame.after == "了" and action.bare:
        return before + action.verb + action.object + "了"
    return before + action.verb + frame.after + action.object


def statement(
    r: Random, subject: Person, frame: Frame, action: Action, when: Phrase, where: Phrase, friend: Phrase
) -> Phrase:
    """Subject, time, company, place, verb, object; in English the three in the middle come last."""
    zh = predicate(frame, action, where, friend)
    early = when.zh and r.random() < 0.3
    zh = when.zh + subject.zh + zh if early else subject.zh + when.zh + zh
    verb, _, _ = finite(frame, subject.agree, action.en)
    return Phrase(zh, words(subject.en, verb, where.en, friend.en, when.en))


def question(
    ask: str, subject: Person, frame: Frame, verb: str, *rest: str
) -> str:
    """ "why", he, past, "go", "to school": Why did he go to school?"""
    _, aux, base = finite(frame, subject.agree, verb)
    return words(ask, aux, subject.en, base, *rest)


def sentence(zh: str, en: str, mark: str = ".") -> Pair:
    ends = {".": "。", "?": "？"}
    return zh + ends[mark], en[0].upper() + en[1:] + mark


# --- constructions: plain statements --------------------------------------------------------------


def past_event(r: Random) -> Pair:
    subject, action = person(r), any_action(r)
    where, friend = place(r, action), company(r, subject)
    return sentence(
        *statement(r, subject, FRAMES["past"], action, past_time(r), where, friend)
    )


def future_event(r: Random) -> Pair:
    subject, action = person(r), any_action(r)
    frame = FRAMES[r.choice(("future", "going"))]
    where, friend = place(r, action), company(r, subject)
    return sentence(*statement(r, subject, frame, action, future_time(r), where, friend))


def negative_event(r: Random) -> Pair:
    subject, action = person(r), plain_action(r)
    frame, time = r.choice(((FRAMES["not past"], past_time), (FRAMES["not future"], future_time)))
    where, friend = place(r, action), company(r, subject)
    return sentence(*statement(r, subject, frame, action, time(r), where, friend))


def habit(r: Random) -> Pair:
    subject, action = person(r), activity(r)
    where, friend = place(r, action, 0.8), company(r, subject)
    if r.random() < 0.5:
        return sentence(
            *statement(r, subject, FRAMES["habit"], action, habit_time(r), where, friend)
        )
    adverb = r.choice(list(ADVERBS))
    zh = subject.zh + adverb + predicate(FRAMES["habit"], action, where, friend)
    verb = present(action.en, subject.agree)
    return sentence(zh, words(subject.en, ADVERBS[adverb], verb, where.en, friend.en))


def going_on(r: Random) -> Pair:
    subject, action = person(r), lasting_action(r)
    where, friend = place(r, action, 0.8), company(r, subject, 0.3)
    return sentence(*statement(r, subject, FRAMES["now"], action, NOTHING, where, friend))


def experience(r: Random) -> Pair:
    subject, action = person(r), plain_action(r)
    frame = FRAMES[r.choice(("perfect", "never"))]
    where, friend = place(r, action, 0.7), company(r, subject, 0.3)
    return sentence(*statement(r, subject, frame, action, NOTHING, where, friend))


MOODS = "want,not want,plan,need,should,should not,must,can,cannot".split(",")


def wish_or_duty(r: Random) -> Pair:
    subject, action = person(r), plain_action(r)
    frame = FRAMES[r.choice(MOODS)]
    when = future_time(r) if r.random() < 0.6 else NOTHING
    where, friend = place(r, action), company(r, subject)
    return sentence(*statement(r, subject, frame, action, when, where, friend))


def skill(r: Random) -> Pair:
    """会 without a time is "can"."""
    subject = person(r)
    first, second = r.sample([a for a in ACTIVITIES if a[0] + a[1] in SKILLS], 2)
    if r.random() < 0.5:
        also = other(r, subject)
        zh, en = r.choice((("会", "can both"), ("喜欢", "both like to")))
        return sentence(
            f"{subject.zh}和{also.zh}都{zh}{first[0]}{first[1]}",
            f"{subject.en} and {also.en} {en} {first[2]}",
        )
    return sentence(
        f"{subject.zh}会{first[0]}{first[1]}，但是不会{second[0]}{second[1]}",
        f"{subject.en} can {first[2]}, but can't {second[2]}",
    )


CITIES = [row for row in PLACES if row[3] == "city"]


def journey(r: Random) -> Pair:
    """坐火车从上海去北京: the vehicle comes first in Chinese, last in English."""
    subject, friend = person(r), NOTHING
    here, there = r.sample(CITIES, 2)
    vehicle = r.choice("坐火车 坐飞机 坐船 坐公共汽车 开车".split())
    frame, time = r.choice(EVENTS)
    start = NOTHING
    if r.random() < 0.6:
        start = Phrase(f"从{here[0]}", "from " + here[1].removeprefix("in "))
    else:
        friend = company(r, subject, 0.6)
    go = words("go", start.en, there[2], VEHICLES[vehicle])
    action = Action(f"{vehicle}{start.zh}去", there[0], go, (), True)
    return sentence(*statement(r, subject, FRAMES[frame], action, time(r), NOTHING, friend))


EVENTS: list[tuple[str, Callable[[Random], Phrase]]] = [
    ("past", past_time),
    ("not past", past_time),
    ("future", future_time),
    ("not future", future_time),
    ("going", future_time),
    ("want", future_time),
    ("must", future_time),
    ("should", future_time),
]


def errand(r: Random) -> Pair:
    """去书店买那本书: going somewhere to do something."""
    subject, action, places = person(r), plain_action(r), []
    while not places:
        action = plain_action(r)
        groups = [group for group in action.groups if group not in ("home", "city")]
        places = [row for row in PLACES if row[3] in groups]
    zh, _, to, _ = r.choice(places)
    frame, time = r.choice(EVENTS)
    going = Action(f"去{zh}", action.verb + action.object, f"go {to} to {action.en}", (), True)
    friend = company(r, subject)
    return sentence(*statement(r, subject, FRAMES[frame], going, time(r), NOTHING, friend))


def being(r: Random) -> Pair:
    """是 with a profession, 有 with things."""
    if r.random() < 0.4:
        subject = person(r)
        kinds = "clothes headwear car bike small animal reading"
        owned = some(r, r.choice(things(kinds)), list(NUMBERS))
        verb = present("have", subject.agree)
        return sentence(f"{subject.zh}有{owned.zh}", f"{subject.en} {verb} {owned.en}")
    subject = r.choice((name, relative))(r)
    zh, classifier, en, _ = r.choice(CAREERS)
    if r.random() < 0.6:
        zh, en = described(r, [zh, classifier, en, "person"], 0.9)
        return sentence(f"{subject.zh}是一{classifier}{zh}", f"{subject.en} is {article(en)}")
    also = other(r, subject)
    return sentence(
        f"{subject.zh}和{also.zh}都是{zh}", f"{subject.en} and {also.en} are both {plural(en)}"
    )


def spot(r: Random) -> Phrase:
    """桌子下面, "under the table"."""
    zh, en, sides = r.choice(SPOTS)
    side = r.choice(sides.split())
    return Phrase(zh + side, f"{SIDES[side]} the {en}")


SMALL_THINGS = "small reading picture dish fruit headwear"


def existence(r: Random) -> Pair:
    where = spot(r)
    if r.random() < 0.25:
        zh, classifier, en, _ = r.choice(things(SMALL_THINGS))
        return sentence(
            f"{where.zh}有几{classifier}{zh}", f"how many {plural(en)} are there {where.en}", "?"
        )
    found = some(r, r.choice(things(SMALL_THINGS)))
    if r.random() < 0.4:
        more = some(r, r.choice(things(SMALL_THINGS)))
        found = Noun(f"{found.zh}和{more.zh}", f"{found.en} and {more.en}", found.agree)
    return sentence(f"{where.zh}有{found.zh}", f"there {be(found.agree)} {found.en} {where.en}")


def quality(r: Random) -> Pair:
    """又…又…, 太, 很, 有点儿; 不够."""
    kind = r.choice(list(QUALITIES))
    if kind == "person":
        subject: Noun | Person = person(r)
    else:
        subject = that(r, r.choice(things(kind)))
    one, two = r.sample(QUALITIES[kind], 2)
    first, second = ADJECTIVES[one][1], ADJECTIVES[two][1]
    verb = be(subject.agree)
    if r.random() < 0.6 and frozenset((one, two)) not in OPPOSITES:
        return sentence(
            f"{subject.zh}又{one}又{two}", f"{subject.en} {verb} both {first} and {second}"
        )
    degree, very = r.choice((("很", "very"), ("太", "too"), ("有点儿", "a little"), ("非常", "extremely")))
    end = "了" if degree == "太" else ""
    thinker = name(r)
    return sentence(
        f"{thinker.zh}觉得{subject.zh}{degree}{one}{end}",
        f"{thinker.en} thinks {subject.en} {verb} {very} {first}",
    )


OPPOSITES = {
    frozenset(pair)
    for pair in ("新旧", "大小", "高矮", "胖瘦", "重轻", ("贵", "便宜"), ("有意思", "无聊"))
}


def duration(r: Random) -> Pair:
    """打了两个小时篮球: how long stands between verb and object."""
    subject, action = person(r), activity(r)
    while not [group for group in action.groups if group != "-"]:
        action = activity(r)
    where = place(r, action)
    if r.random() < 0.2:
        asked = listener(r)
        when = past_time(r)
        return sentence(
            f"{asked.zh}{when.zh}{where.zh}{action.verb}了多长时间{action.object}",
            question("how long", asked, FRAMES["past"], action.en, where.en, when.en),
            "?",
        )
    number = r.choice(FEW)
    unit, en = r.choice((("个小时", "hours"), ("分钟", "minutes")))
    if unit == "分钟":
        number = r.choice(("十", "二十", "三十", "五十"))
    length = Phrase(number + unit, f"for {NUMBERS[number]} {en}")
    frame, time = r.choice(
        (("past", past_time), ("future", future_time), ("habit", habit_time), ("want", future_time))
    )
    timed = action._replace(object=length.zh + action.object, bare=False)
    zh, en = statement(r, subject, FRAMES[frame], timed, when := time(r), where, NOTHING)
    return sentence(zh, words(en.removesuffix(when.en).rstrip(), length.en, when.en))


# --- constructions: word order turned round -------------------------------------------------------


def treated(r: Random, verbs: Sequence[str]) -> tuple[list[str], Noun]:
    """A row of RESULTS and a thing that suits it."""
    row = r.choice([row for row in RESULTS if row[0] in verbs])
    return row, known(r, r.choice(things(row[2])))


def disposal(r: Random) -> Pair:
    """把: the thing comes before the verb in Chinese, after it in English."""
    subject = person(r)
    kind = r.random()
    if kind < 0.5:
        (zh, en, _), noun = treated(r, BY_OWNER)
        en = en.format(noun.en)
    elif kind < 0.75:
        noun, where = known(r, r.choice(things(SMALL_THINGS))), spot(r)
        zh, verb = r.choice((("放在", "put"), ("忘在", "leave"), ("藏在", "hide")))
        zh, en = zh + where.zh, f"{verb} {noun.en} {where.en}"
    else:
        _, verb, zh, kinds = r.choice(GIVING)
        noun, receiver = known(r, r.choice(things(kinds))), other(r, subject)
        zh, en = zh + receiver.zh, f"{verb} {noun.en} to {receiver.obj}"
    order = r.random()
    if order < 0.15:
        return sentence(f"请把{noun.zh}{zh}", f"please {en}")
    if order < 0.25:
        return sentence(f"别把{noun.zh}{zh}", f"don't {en}")
    frame, time = r.choice(
        (("past", past_time), ("past", None), ("not past", None), ("already", None),
         ("future", future_time), ("want", None), ("should", None), ("should not", None))
    )
    action = Action(f"把{noun.zh}{zh}", "", en, (), True)
    when = time(r) if time else NOTHING
    return sentence(*statement(r, subject, FRAMES[frame], action, when, NOTHING, NOTHING))


def passive(r: Random) -> Pair:
    """被: 那个杯子被李娜打破了, "That cup was broken by Li Na."."""
    victim: Noun | Person
    if r.random() < 0.65:
        (zh, en, _), victim = treated(r, BY_OTHERS)
        en = " ".join(participle(en.format("")).split())
    else:
        zh, en = r.choice(TREATMENTS)
        victim, en = person(r), participle(en)
    agent = r.choice((name, relative, that_person))(r)
    frame, time = r.choice(
        (("past", past_time), ("past", None), ("not past", None), ("already", None), ("future", future_time))
    )
    when = time(r) if time else NOTHING
    subject = Person(victim.zh, victim.en, "", "", victim.agree, "")
    before = FRAMES[frame].before
    _ = before
    action = Action(f"被{agent.zh}{zh}", "", f"be {en} by {agent.obj}", (), True)
    return sentence(*statement(r, subject, FRAMES[frame], action, when, NOTHING, NOTHING))


def giving(r: Random) -> Pair:
    """给: bought two books for him, gave him two books."""
    subject = person(r)
    receiver = person(r, subject.zh)
    if {subject.zh, receiver.zh} & {"我", "我们"} == {subject.zh, receiver.zh}:
        receiver = other(r, subject)
    frame, time = r.choice(
        (("past", past_time), ("future", future_time), ("going", future_time), ("want", future_time),
         ("should", future_time))
    )
    if r.random() < 0.5:
        verb, en, kinds = r.choice(FOR_SOMEONE)
        noun = some(r, r.choice(things(kinds)))
        action = Action(f"给{receiver.zh}{verb}", noun.zh, f"{en} {noun.en} for {receiver.obj}", (), False)
    else:
        verb, en, _, kinds = r.choice([row for row in GIVING if row[1] != "return"])
        noun = some(r, r.choice(things(kinds)))
        action = Action(f"{verb}给", receiver.zh + noun.zh, f"{en} {receiver.obj} {noun.en}", (), False)
    zh, en = statement(r, subject, FRAMES[frame], action, time(r), NOTHING, NOTHING)
    return sentence(zh.replace("给了", "给了"), en)


FOR_SOMEONE = [
    ("买", "buy", "reading clothes headwear fruit food drink small"),
    ("做", "make", "饺子 蛋糕 汉堡 玩具"),
    ("画", "draw", "animal building"),
    ("唱", "sing", "song"),
    ("写", "write", "信 歌 文章"),
]


def comparison(r: Random) -> Pair:
    """比, 没有, 跟…一样."""
    if r.random() < 0.6:
        subject: Noun | Person = person(r)
        first, adjective = subject, r.choice(QUALITIES["person"])
        than = PRONOUNS[r.choice("我你他她")] if r.random() < 0.3 else other(r, subject)
        if than.zh == first.zh:
            than = other(r, subject)
        standard = Phrase(than.zh, than.obj)
        if r.random() < 0.3:
            number = r.choice(FEW)
            return sentence(
                f"{first.zh}比{standard.zh}大{number}岁",
                f"{first.en} {be(first.agree)} {NUMBERS[number]} years older than {standard.en}",
            )
    else:
        kind = r.choice([kind for kind in QUALITIES if kind != "person"])
        row = r.choice(things(kind))
        adjective = r.choice(QUALITIES[kind])
        if r.random() < 0.5 or " of " in row[2]:
            one, two = r.choice((("这", "那"), ("那", "这")))
            english = {"这": "this", "那": "that"}
            first = Noun(f"{one}{row[1]}{row[0]}", f"{english[one]} {row[2]}", "s")
            standard = Phrase(f"{two}{row[1]}", f"{english[two]} one")
        else:
            owner, than = name(r), name(r)
            first = Noun(f"{owner.zh}的{row[0]}", f"{owner.poss} {row[2]}", "s")
            standard = Phrase(f"{than.zh}的", than.poss)
    _, plain, more = ADJECTIVES[adjective]
    verb = be(first.agree)
    kind_ = r.random()
    if kind_ < 0.6:
        zh, en = r.choice((("", ""), ("一点儿", "a little "), ("得多", "much ")))
        return sentence(
            f"{first.zh}比{standard.zh}{adjective}{zh}",
            f"{first.en} {verb} {en}{more} than {standard.en}",
        )
    if kind_ < 0.8:
        return sentence(
            f"{first.zh}没有{standard.zh}那么{adjective}",
            f"{first.en} {verb} not as {plain} as {standard.en}",
        )
    return sentence(
        f"{first.zh}跟{standard.zh}一样{adjective}",
        f"{first.en} {verb} as {plain} as {standard.en}",
    )


def clause_object(r: Random, verbs: Sequence[list[str]] | None = None) -> tuple[Noun, list[str]]:
    """我昨天买的那本书, "the book that I bought yesterday", and the row of the thing.

    Without a time and 正在, 想 or 要 it is past; 那 is "the".
    """
    verb, en, kinds, _ = r.choice(verbs or DEEDS_TO_THINGS)
    row = r.choice(things(kinds))
    zh, _, noun, _ = row
    subject = person(r)
    frame, time = r.choice(
        (("past", past_time), ("past", past_time), ("past", None), ("now", None), ("want", None))
    )
    if frame == "now" and verb in PUNCTUAL:
        frame = "past"
    when = time(r) if time else NOTHING
    verb_en, _, _ = finite(FRAMES[frame], subject.agree, en)
    before, agree = f"{row[1]}{zh}", "s"
    if r.random() < 0.3:
        number = r.choice(FEW)
        before, noun, agree = number + before, f"{NUMBERS[number]} {plural(noun)}", "p"
    # "that I looked for", but "that I turned on": the particle stays with its verb
    return Noun(
        f"{subject.zh}{when.zh}{FRAMES[frame].before}{verb}的那{before}",
        words("the", noun, "that", subject.en, verb_en, when.en),
        agree,
    ), row


DEEDS_TO_THINGS = [
    [verb, en, kinds, groups]
    for verb, en, kinds, groups in ACTIONS
    if kinds not in ("jobs", "children") and "children" not in kinds
]


def described_by_clause(r: Random) -> Pair:
    """A relative clause: before its noun in Chinese, after it in English."""
    noun, row = clause_object(r)
    kind = r.random()
    if kind < 0.5:
        adjective = r.choice(QUALITIES[row[3]])
        zh, en = r.choice((("很{}", "very"), ("太{}了", "too"), ("非常{}", "extremely")))
        return sentence(
            noun.zh + zh.format(adjective),
            f"{noun.en} {be(noun.agree)} {en} {ADJECTIVES[adjective][1]}",
        )
    if kind < 0.7 and row[3] in SMALL_THINGS.split():
        where = spot(r)
        return sentence(f"{noun.zh}在{where.zh}", f"{noun.en} {be(noun.agree)} {where.en}")
    who = r.choice((name, relative))(r)
    zh, en = r.choice((("很喜欢", "like {} very much"), ("不喜欢", "don't like {}"), ("想要", "want {}")))
    if zh == "不喜欢":
        return sentence(who.zh + zh + noun.zh, f"{who.en} doesn't like {noun.en}")
    return sentence(who.zh + zh + noun.zh, f"{who.en} {present(en, who.agree).format(noun.en)}")


def person_by_clause(r: Random) -> Pair:
    """正在公园跑步的那个男孩, "the boy who is running in the park"."""
    zh, classifier, en, _ = r.choice(JOBS)
    head = f"那{classifier}{zh}"
    kind = r.random()
    if kind < 0.35:
        action = activity(r)
        where = place(r, action, 0.9)
        verb, _, _ = finite(FRAMES["now"], "s", action.en)
        clause = predicate(FRAMES["now"], action, where, NOTHING)
        doing = words("who", verb, where.en)
    elif kind < 0.6:
        action, when = any_action(r), past_time(r)
        where = place(r, action)
        clause = when.zh + where.zh + action.verb + action.object
        doing = words("who", past(action.en), where.en, when.en)
    elif kind < 0.8:
        row = r.choice(things("clothes headwear"))
        verb_zh = "穿" if row[3] == "clothes" else "戴"
        colour = r.choice(list(COLOURS))
        worn = f"{COLOURS[colour]} {row[2]}"
        clause, doing = f"{verb_zh}着{colour}色{row[0]}", f"who is wearing {article(worn)}"
    else:
        skill_ = r.choice([a for a in ACTIVITIES if a[0] + a[1] in SKILLS])
        clause, doing = f"会{skill_[0]}{skill_[1]}", f"who can {skill_[2]}"
    subject = f"the {en} {doing}"
    end = r.random()
    if end < 0.4:
        who = r.choice((name, relative))(r)
        return sentence(f"{clause}的{head}是{who.zh}", f"{subject} is {who.en}")
    if end < 0.6:
        adjective = r.choice(QUALITIES["person"])
        return sentence(f"{clause}的{head}很{adjective}", f"{subject} is very {ADJECTIVES[adjective][1]}")
    who = person(r)
    verb = present("know", who.agree)
    return sentence(f"{who.zh}认识{clause}的{head}", f"{who.en} {verb} {subject}")


def best_ever(r: Random) -> Pair:
    """这是我看过的最有意思的书."""
    verb, en, kinds, _ = r.choice([row for row in DEEDS_TO_THINGS if row[0] in "看听吃穿开骑买"])
    zh, _, noun, kind = r.choice(things(kinds))
    subject = person(r)
    adjective = r.choice(QUALITIES[kind])
    _, _, more = ADJECTIVES[adjective]
    has = "has" if subject.agree == "s" else "have"
    return sentence(
        f"这是{subject.zh}{verb}过的最{adjective}的{zh}",
        f"this is the {superlative(more)} {noun} that {subject.en} {has} ever {participle(en)}",
    )


# --- constructions: questions ---------------------------------------------------------------------


def yes_or_no(r: Random) -> Pair:
    subject, action = listener(r), plain_action(r)
    frame, time = r.choice(
        (("past", past_time), ("future", future_time), ("habit", habit_time), ("want", future_time),
         ("perfect", None), ("now", None), ("going", future_time))
    )
    if frame in ("habit", "now"):
        action = activity(r)
    when = time(r) if time else NOTHING
    where, friend = place(r, action, 0.5), company(r, subject)
    zh, _ = statement(r, subject, FRAMES[frame], action, when, where, friend)
    return sentence(
        f"{zh}吗", question("", subject, FRAMES[frame], action.en, where.en, friend.en, when.en), "?"
    )


def what(r: Random) -> Pair:
    """什么, 哪, 几: which and how many open the English question."""
    subject = listener(r)
    frame, time = r.choice((("past", past_time), ("going", future_time), ("want", future_time)))
    when = time(r)
    kind = r.random()
    if kind < 0.4:
        verb, en, groups = r.choice(WHAT)
        action = Action(verb, "什么", en, tuple(groups.split()), False)
        ask = "what"
    else:
        verb, en, kinds, groups = r.choice(DEEDS_TO_THINGS)
        zh, classifier, noun, _ = r.choice(things(kinds))
        which, ask = ("哪", f"which {noun}") if kind < 0.7 else ("几", f"how many {plural(noun)}")
        action = Action(verb, which + classifier + zh, en, tuple(groups.split()), False)
    where = place(r, action, 0.5)
    zh = predicate(FRAMES[frame], action, where, NOTHING)
    return sentence(
        subject.zh + when.zh + zh,
        question(ask, subject, FRAMES[frame], en, where.en, when.en),
        "?",
    )


WHAT = [
    ("买", "buy", "shops city"),
    ("吃", "eat", "home eating"),
    ("喝", "drink", "home eating"),
    ("写", "write", "home study"),
    ("画", "draw", "study outdoors"),
    ("做", "do", "home work outdoors"),
    ("学", "learn", "study city"),
    ("卖", "sell", "shops city"),
]


def who(r: Random) -> Pair:
    """谁 as subject and as object."""
    kind = r.random()
    if kind < 0.35:
        subject = Person("谁", "who", "", "", "s", "")
        action = plain_action(r)
        frame, time = r.choice((("past", past_time), ("want", future_time), ("will", future_time)))
        frame = "future" if frame == "will" else frame
        when, where = time(r), place(r, action)
        zh = "谁" + when.zh + predicate(FRAMES[frame], action, where, NOTHING)
        verb, _, _ = finite(FRAMES[frame], "s", action.en)
        return sentence(zh, words("who", verb, where.en, when.en), "?")
    if kind < 0.6:
        (zh, en, _), noun = treated(r, BY_OWNER)
        return sentence(f"谁把{noun.zh}{zh}了", f"who {past(en.format(noun.en))}", "?")
    subject, when = listener(r), past_time(r)
    verb, en, _, groups = r.choice([row for row in ACTIONS if row[2] == "jobs"])
    action = Action(verb, "谁", en, tuple(groups.split()), False)
    where = place(r, action)
    zh = subject.zh + when.zh + predicate(FRAMES["past"], action, where, NOTHING)
    return sentence(zh, question("who", subject, FRAMES["past"], en, where.en, when.en), "?")


def where_when_why_how(r: Random) -> Pair:
    """Asked in the middle of the Chinese, in front of the English; 是…的 asks about the past."""
    subject, action = listener(r), plain_action(r)
    where, when = place(r, action), past_time(r)
    kind = r.random()
    if kind < 0.25:
        zh = f"{subject.zh}{when.zh}是在哪里{action.verb}{action.object}的"
        en = question("where", subject, FRAMES["past"], action.en, when.en)
    elif kind < 0.45:
        zh = f"{subject.zh}是什么时候{where.zh}{action.verb}{action.object}的"
        en = question("when", subject, FRAMES["past"], action.en, where.en)
    elif kind < 0.6:
        frame = FRAMES[r.choice(("going", "want"))]
        zh = f"{subject.zh}什么时候{predicate(frame, action, where, NOTHING)}"
        en = question("when", subject, frame, action.en, where.en)
    elif kind < 0.85:
        frame, time = r.choice(
            (("not past", past_time), ("want", future_time), ("not want", future_time),
             ("must", future_time), ("cannot", future_time))
        )
        when = time(r)
        zh = f"{subject.zh}{when.zh}为什么{predicate(FRAMES[frame], action, where, NOTHING)}"
        en = question("why", subject, FRAMES[frame], action.en, where.en, when.en)
    else:
        to = r.choice(PLACES)
        frame, time, shape = r.choice(
            (("past", past_time, "是怎么去{}的"), ("habit", habit_time, "怎么去{}"),
             ("going", future_time, "要怎么去{}"))
        )
        when = time(r)
        zh = subject.zh + when.zh + shape.format(to[0])
        en = question("how", subject, FRAMES[frame], "go", to[2], when.en)
    return sentence(zh, en, "?")


# --- constructions: two clauses -------------------------------------------------------------------

WEATHER = [("下雨", "rain"), ("下雪", "snow")]


def pronoun_of(subject: Person) -> Person:
    return PRONOUNS[subject.again]


def reason(r: Random) -> Pair:
    """因为…所以…: the reason comes first in Chinese, last in English."""
    subject, action = person(r), plain_action(r)
    where = place(r, action)
    kind = r.random()
    if kind < 0.6:
        when = past_time(r)
        state = r.choice(STATES)
        zh = f"因为{subject.zh}{when.zh}很{state}，所以{subject.again}没"
        again = pronoun_of(subject)
        because = f"{subject.en} {was(subject.agree)} very {ADJECTIVES[state][1]} {when.en}"
        verb, _, _ = finite(FRAMES["not past"], again.agree, action.en)
        zh += predicate(FRAMES["habit"], action, where, NOTHING)
        return sentence(zh, words(again.en, verb, where.en, "because", because))
    weather, en = r.choice(WEATHER)
    if r.random() < 0.5:
        when, frame, because = past_time(r), FRAMES["not past"], past(en)
        zh = f"因为{when.zh}{weather}了"
    else:
        when, because = future_time(r), f"will {en}"
        frame = FRAMES[r.choice(("cannot", "not want", "should not", "not future"))]
        zh = f"因为{when.zh}会{weather}"
    verb, _, _ = finite(frame, subject.agree, action.en)
    zh += f"，所以{subject.zh}{predicate(frame, action, where, NOTHING)}"
    return sentence(zh, words(subject.en, verb, where.en, "because it", because, when.en))


def condition(r: Random) -> Pair:
    """如果…就…: a future told in the present."""
    subject, action = person(r), plain_action(r)
    where, when = place(r, action), future_time(r)
    kind = r.random()
    if kind < 0.4:
        weather, en = r.choice(WEATHER)
        zh, en = weather, f"it {present(en, 's')}"
    else:
        cause = other(r, subject)
        if kind < 0.7:
            zh, en = f"{cause.zh}有时间", f"{cause.en} {present('have', cause.agree)} time"
        else:
            state = r.choice(STATES)
            zh, en = f"{cause.zh}很{state}", f"{cause.en} {be(cause.agree)} very {ADJECTIVES[state][1]}"
    frame = FRAMES[r.choice(("future", "not future", "can", "cannot", "must", "should"))]
    verb, _, _ = finite(frame, subject.agree, action.en)
    then = predicate(frame, action, where, NOTHING)
    first = when.zh + zh
    return sentence(
        f"如果{first}，{subject.zh}就{then}",
        words("if", en, when.en) + ", " + words(subject.en, verb, where.en),
    )


def concession(r: Random) -> Pair:
    """虽然…但是…."""
    if r.random() < 0.5:
        subject, action = person(r), plain_action(r)
        again, state = pronoun_of(subject), r.choice(STATES)
        frame = FRAMES[r.choice(("going", "must", "want", "should"))]
        where = place(r, action)
        verb, _, _ = finite(frame, again.agree, action.en)
        then = predicate(frame, action, where, NOTHING)
        return sentence(
            f"虽然{subject.zh}很{state}，但是{subject.again}{then}",
            words(f"although {subject.en} {be(subject.agree)} very {ADJECTIVES[state][1]},",
                  again.en, verb, where.en),
        )
    good, bad = (
        r.choice([a for a in "便宜 漂亮 舒服 快 有意思 好吃 有用 可爱".split() if a in ADJECTIVES]),
        r.choice("贵 旧 小 重 奇怪".split()),
    )
    kinds = [kind for kind in QUALITIES if good in QUALITIES[kind] and bad in QUALITIES[kind]]
    if not kinds or {good, bad} == {"贵", "便宜"}:
        return concession(r)
    noun = that(r, r.choice(things(r.choice(kinds))))
    it = "it is" if noun.agree == "s" else "they are"
    return sentence(
        f"虽然{noun.zh}很{bad}，但是很{good}",
        f"although {noun.en} {be(noun.agree)} very {ADJECTIVES[bad][1]},"
        f" {it} very {ADJECTIVES[good][1]}",
    )


def before_or_after(r: Random) -> Pair:
    """…以前, …以后, …的时候: the first clause in Chinese is the last in English."""
    subject = person(r)
    if r.random() < 0.5:
        first, second = activity(r), activity(r)
        order, en = r.choice((("以前", "before"), ("以后", "after")))
        while first.verb + first.object == second.verb + second.object:
            second = activity(r)
        start = f"{en} {gerund(first.en)}"
        where = place(r, second)
        adverb = r.choice(("经常", "总是", "有时候"))
        return sentence(
            f"{subject.zh}{first.verb}{first.object}{order}{adverb}"
            + predicate(FRAMES["habit"], second, where, NOTHING),
            words(subject.en, ADVERBS[adverb], present(second.en, subject.agree), where.en, start),
        )
    guest, when, action = other(r, subject), past_time(r), lasting_action(r)
    where = place(r, action)
    zh, arrived = r.choice(ARRIVALS)
    doing = gerund(action.en)
    return sentence(
        f"{guest.zh}{when.zh}{zh}的时候，{subject.zh}"
        + predicate(FRAMES["now"], action, where, NOTHING),
        words(subject.en, was(subject.agree), doing, where.en, "when", guest.en, arrived, when.en),
    )


ARRIVALS = [
    ("到家", "got home"),
    ("回来", "came back"),
    ("到机场", "got to the airport"),
    ("到学校", "got to school"),
    ("打电话", "called"),
    ("离开", "left"),
]


def at_once(r: Random) -> Pair:
    """一边…一边…."""
    subject = person(r)
    first = r.choice([row for row in ACTIVITIES if row[1] in ("音乐", "电视", "咖啡", "茶", "歌")])
    second = activity(r)
    while second.object in (first[1], "觉", "步", "泳", "篮球", "足球", "网球", "乒乓球", "班", "课"):
        second = activity(r)
    frame = FRAMES[r.choice(("like", "habit", "should not"))]
    adverb = r.choice(list(ADVERBS)[:3]) if frame is FRAMES["habit"] else ""
    verb, _, _ = finite(frame, subject.agree, second.en)
    return sentence(
        f"{subject.zh}{adverb}{frame.before}一边{first[0]}{first[1]}一边{second.verb}{second.object}",
        words(subject.en, ADVERBS.get(adverb, ""), verb, "while", gerund(first[2])),
    )


def opinion(r: Random) -> Pair:
    """希望, 知道, 听说, 相信 with a clause."""
    subject = person(r)
    third, action = other(r, subject), plain_action(r)
    verb, en, frames = r.choice(
        (("希望", "hope", ("future", "can")), ("知道", "know", ("past", "future", "like")),
         ("相信", "believe", ("future", "past", "can")))
    )
    frame = r.choice(frames)
    if frame == "like":
        action = activity(r)
    when = past_time(r) if frame == "past" else future_time(r) if frame == "future" else NOTHING
    where = place(r, action)
    said = statement(Random(0), third, FRAMES[frame], action, NOTHING, where, NOTHING)
    zh = third.zh + when.zh + said.zh.removeprefix(third.zh)
    return sentence(
        f"{subject.zh}{verb}{zh}", words(subject.en, present(en, subject.agree), said.en, when.en)
    )


def request(r: Random) -> Pair:
    """让, 请, 教: to ask, invite or teach someone to do something."""
    subject = person(r)
    receiver = person(r, subject.zh)
    if {subject.zh[0], receiver.zh[0]} == {"我"} or {subject.zh[0], receiver.zh[0]} == {"你"}:
        receiver = other(r, subject)
    kind = r.random()
    if kind < 0.6:
        verb, en, action = "让", "ask", plain_action(r)
    else:
        row = r.choice([a for a in ACTIVITIES if a[0] + a[1] in SKILLS])
        action = Action(row[0], row[1], row[2], tuple(row[3].split()), True)
        verb, en = "教", "teach"
    frame, time = r.choice(
        (("future", future_time), ("habit", habit_time), ("want", None), ("going", future_time))
    )
    where, when = place(r, action, 0.5), time(r) if time else NOTHING
    asking = Action(
        verb, receiver.zh + where.zh + action.verb + action.object,
        words(en, receiver.obj, "to", action.en, where.en), (), True,
    )
    return sentence(*statement(r, subject, FRAMES[frame], asking, when, NOTHING, NOTHING))


# Each construction and how often it is drawn.
CONSTRUCTIONS: dict[Callable[[Random], Pair], int] = {
    past_event: 9,
    future_event: 6,
    negative_event: 6,
    habit: 6,
    going_on: 5,
    experience: 4,
    wish_or_duty: 6,
    skill: 3,
    journey: 6,
    errand: 5,
    being: 4,
    existence: 4,
    quality: 4,
    duration: 4,
    disposal: 8,
    passive: 7,
    giving: 6,
    comparison: 8,
    described_by_clause: 8,
    person_by_clause: 7,
    best_ever: 3,
    yes_or_no: 6,
    what: 5,
    who: 5,
    where_when_why_how: 7,
    reason: 6,
    condition: 5,
    concession: 4,
    before_or_after: 6,
    at_once: 2,
    opinion: 5,
    request: 4,
}


def generate(n: int, seed: int) -> list[Pair]:
    """`n` pairs (Chinese, English) of distinct Chinese sentences; the same for the same arguments."""
    if n < 0:
        raise ValueError(f"n: expected at least 0, got {n}")
    r = Random(seed)
    patterns, weights = list(CONSTRUCTIONS), list(CONSTRUCTIONS.values())
    pairs: dict[str, str] = {}
    while len(pairs) < n:
        for pattern in r.choices(patterns, weights, k=n - len(pairs)):
            zh, en = pattern(r)
            if pairs.setdefault(zh, en) != en:
                raise AssertionError(f"two translations of {zh}: {pairs[zh]!r} and {en!r}")
    return list(pairs.items())
