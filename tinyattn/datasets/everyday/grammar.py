"""The synchronous grammar: functions that write a Chinese sentence and its English together.

Look first at `CONSTRUCTIONS` at the end, the table of sentence patterns, then at `passive` or
`reason`, two of them. Their parts (people, things, times, tenses) are in phrases.py, the words in
lexicon.py. Whatever English must express (tense, number, article, verb) follows from the Chinese,
so that a sentence has one translation; `generate` checks that.
"""

from collections.abc import Callable, Sequence
from random import Random

from tinyattn.datasets._arguments import whole
from tinyattn.datasets.everyday.english import (
    article,
    be,
    gerund,
    participle,
    past,
    plural,
    present,
    superlative,
    was,
)
from tinyattn.datasets.everyday.lexicon import (
    ACTIONS,
    ACTIVITIES,
    ADJECTIVES,
    ADVERBS,
    ANYONES,
    BAD,
    BETWEEN_CITIES,
    BY_MISTAKE,
    BY_OTHERS,
    CAREERS,
    COLOURS,
    COMPARED,
    CRITICAL,
    FEW,
    GIVING,
    GOOD,
    IN_TOWN,
    JOBS,
    KIN,
    LOCAL,
    MEANWHILE,
    NUMBERS,
    ON_PURPOSE,
    PLACES,
    PRONOUNS,
    PUNCTUAL,
    QUALITIES,
    RESULTS,
    SIDES,
    SKILLS,
    SMALL_THINGS,
    SPOTS,
    STATES,
    STILL,
    SUPREME,
    TREATMENTS,
    VEHICLES,
    Person,
)
from tinyattn.datasets.everyday.phrases import (
    FRAMES,
    NOTHING,
    Action,
    Noun,
    Phrase,
    activity,
    any_action,
    company,
    described,
    family,
    finite,
    future_time,
    known,
    lasting_action,
    listener,
    name,
    other,
    outdoor_action,
    past_time,
    person,
    place,
    plain_action,
    predicate,
    question,
    some,
    statement,
    that,
    that_person,
    things,
    timed,
    words,
)

Pair = tuple[str, str]
Construction = Callable[[Random], Pair]


def sentence(zh: str, en: str, mark: str = ".") -> Pair:
    """A pair with its end mark; the English begins with a capital letter."""
    return zh + {".": "。", "?": "？"}[mark], en[0].upper() + en[1:] + mark


# --- one event ------------------------------------------------------------------------------------


def event(r: Random) -> Pair:
    """One event in the past or the future, or one that did not or will not happen.

    罗静两年前没学习。 Luo Jing didn't study two years ago.
    """
    subject, kind = person(r), r.random()
    if kind < 0.45:
        action = any_action(r, ACTIONS)
        frame, when = timed(r, "past", action, 0.75)
    elif kind < 0.75:
        action = any_action(r)
        frame, when = timed(r, "future, going", action)
    else:
        action = plain_action(r)
        frame, when = timed(r, "not past, not future", action)
    where, friend = place(r, action), company(r, subject)
    return sentence(*statement(r, subject, frame, action, when, where, friend))


def habit(r: Random) -> Pair:
    """What someone does often or at fixed times.

    我哥哥很少喝茶。 My older brother seldom drinks tea.
    """
    subject, action = person(r), activity(r)
    where, friend = place(r, action), company(r, subject)
    if r.random() < 0.5:
        frame, when = timed(r, "habit")
        return sentence(*statement(r, subject, frame, action, when, where, friend))
    adverb, en = r.choice(list(ADVERBS.items()))
    verb = present(action.en, subject.agree)
    return sentence(
        subject.zh + adverb + predicate(FRAMES["habit"], action, where, friend),
        words(subject.en, en, verb, where.en, friend.en),
    )


def going_on(r: Random) -> Pair:
    """正在: what someone is doing now.

    她姑姑正在学英语。 Her aunt is studying English.
    """
    subject, action = person(r), lasting_action(r)
    where, friend = place(r, action, 0.7), company(r, subject, 0.25)
    return sentence(*statement(r, subject, FRAMES["now"], action, NOTHING, where, friend))


def experience(r: Random) -> Pair:
    """过: what someone has done before, or never has.

    王军从来没爬过山。 Wang Jun has never climbed mountains.
    """
    subject, action = person(r), r.choice((activity, plain_action))(r)
    frame, _ = timed(r, "perfect, never")
    where, friend = place(r, action, 0.6), company(r, subject, 0.2)
    return sentence(*statement(r, subject, frame, action, NOTHING, where, friend))


def wish_or_duty(r: Random) -> Pair:
    """想, 打算, 应该, 必须, 可以: what someone wants, plans, should, must or can do.

    叶斌明天不应该休息。 Ye Bin shouldn't rest tomorrow.
    """
    subject, action = person(r), plain_action(r)
    moods = "want, not want, plan, need, should, should not, must, can, cannot"
    frame, when = timed(r, moods, action, 0.6)
    where, friend = place(r, action), company(r, subject)
    return sentence(*statement(r, subject, frame, action, when, where, friend))


def skill(r: Random) -> Pair:
    """会 without a time: what someone has learnt to do.

    郭蓉会做饭，但是不会跳舞。 Guo Rong can cook, but can't dance.
    """
    subject = r.choice((name, family, that_person))(r)
    first, second = r.sample(SKILLS, 2)
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


EVENTS = "past, not past, future, not future, going, want, must, should"


def journey(r: Random) -> Pair:
    """A journey: the vehicle comes first in Chinese and last in English.

    王敏明天要坐地铁去医院。 Wang Min is going to go to the hospital by subway tomorrow.
    """
    subject, start, friend = person(r), NOTHING, NOTHING
    if r.random() < 0.5:
        vehicle = r.choice(BETWEEN_CITIES)
        here, there = r.sample([row for row in PLACES if row[3] == "city"], 2)
        if vehicle == "坐飞机" and r.random() < 0.6:
            there = r.choice([row for row in PLACES if row[3] == "abroad"])
        if r.random() < 0.6:
            start = Phrase(f"从{here[0]}", "from " + here[1].removeprefix("in "))
        frames = EVENTS
    else:
        vehicle = r.choice(IN_TOWN)
        there = r.choice([row for row in PLACES if row[3] in LOCAL])
        frames = r.choice(("habit", EVENTS))
    if not start.zh:
        friend = company(r, subject, 0.3)
    go = words("go", start.en, there[2], VEHICLES[vehicle])
    action = Action(f"{vehicle}{start.zh}去", there[0], go, (there[3],), True)
    frame, when = timed(r, frames, action)
    return sentence(*statement(r, subject, frame, action, when, NOTHING, friend))


def errand(r: Random) -> Pair:
    """去: going somewhere to do something.

    刚才孙敏去公司开会了。 Sun Min went to the company to have meetings just now.
    """
    subject = person(r)
    while True:
        action = plain_action(r)
        places = [row for row in PLACES if row[3] in action.groups and row[3] in LOCAL]
        if places:
            break
    zh, _, to, _ = r.choice(places)
    frame, when = timed(r, EVENTS)
    going = Action(f"去{zh}", action.verb + action.object, f"go {to} to {action.en}", (), True)
    return sentence(*statement(r, subject, frame, going, when, NOTHING, company(r, subject)))


def duration(r: Random) -> Pair:
    """How long: between verb and object in Chinese, after the object in English.

    她明天会吃三十分钟西餐。 She will eat Western food for thirty minutes tomorrow.
    """
    action = activity(r)
    while action.groups == ("-",):
        action = activity(r)
    where = place(r, action)
    if r.random() < 0.25:
        asked = listener(r)
        frame, when = timed(r, "past")
        return sentence(
            f"{asked.zh}{when.zh}{where.zh}{action.verb}了多长时间{action.object}",
            question("how long", asked, frame, action.en, where.en, when.en),
            "?",
        )
    subject = person(r)
    numbers, unit, en = r.choice(
        ((FEW[:4], "个小时", "hours"), (("十", "二十", "三十", "五十"), "分钟", "minutes"))
    )
    number = r.choice(numbers)
    frame, when = timed(r, "past, future, habit, want")
    timed_action = action._replace(object=f"{number}{unit}{action.object}", bare=False)
    zh, _ = statement(r, subject, frame, timed_action, when, where)
    verb, _, _ = finite(frame, subject.agree, action.en)
    return sentence(zh, words(subject.en, verb, where.en, f"for {NUMBERS[number]} {en}", when.en))


# --- being, having, comparing ---------------------------------------------------------------------


def being(r: Random) -> Pair:
    """是 with a profession, 有 with things.

    胡珊有七个书包。 Hu Shan has seven schoolbags.
    """
    if r.random() < 0.4:
        owner = person(r)
        kinds = "clothes headwear car bike small animal reading"
        owned = some(r, r.choice(things(kinds)))
        verb = present("have", owner.agree)
        return sentence(f"{owner.zh}有{owned.zh}", f"{owner.en} {verb} {owned.en}")
    subject = family(r) if r.random() < 0.5 else name(r, titled=0)
    zh, classifier, en, _ = r.choice(CAREERS)
    if r.random() < 0.6:
        zh, en = described(r, [zh, classifier, en, "person"], 0.9)
        return sentence(f"{subject.zh}是一{classifier}{zh}", f"{subject.en} is {article(en)}")
    also = name(r, titled=0)
    return sentence(
        f"{subject.zh}和{also.zh}都是{zh}", f"{subject.en} and {also.en} are both {plural(en)}"
    )


def spot(r: Random) -> Phrase:
    """A place at a piece of furniture or a container: 桌子下面, "under the table"."""
    zh, en, sides = r.choice(SPOTS)
    side = r.choice(sides.split())
    return Phrase(zh + side, f"{SIDES[side]} the {en}")


def existence(r: Random) -> Pair:
    """有: what there is at a place.

    门后面有几个瓶子？ How many bottles are there behind the door?
    """
    where, row = spot(r), r.choice(things(SMALL_THINGS))
    if r.random() < 0.25:
        zh, classifier, en, _ = row
        return sentence(
            f"{where.zh}有几{classifier}{zh}", f"how many {plural(en)} are there {where.en}", "?"
        )
    zh, en, agree = some(r, row)
    if r.random() < 0.4:
        more = some(r, r.choice(things(SMALL_THINGS)))
        zh, en = f"{zh}和{more.zh}", f"{en} and {more.en}"
    return sentence(f"{where.zh}有{zh}", f"there {be(agree)} {en} {where.en}")


DEGREES = (("很{}", "very"), ("非常{}", "extremely"), ("太{}了", "too"), ("有点儿{}", "a little"))
OPPOSITES = {frozenset("高矮"), frozenset("胖瘦"), frozenset("新旧"), frozenset("大小")}


def degree(r: Random, adjective: str) -> Phrase:
    """How far an adjective goes: 太贵了, "too expensive". Praise takes neither 太 nor 有点儿."""
    zh, en = r.choice(DEGREES if adjective in CRITICAL or adjective in STATES else DEGREES[:2])
    return Phrase(zh.format(adjective), f"{en} {ADJECTIVES[adjective][1]}")


def quality(r: Random) -> Pair:
    """又…又… with two qualities, or what someone thinks of one quality.

    我又诚实又有名。 I am both honest and famous.
    """
    subject: Noun | Person
    if r.random() < 0.5:
        kind, subject = "person", person(r)
    else:
        kind = r.choice([kind for kind in QUALITIES if kind != "person"])
        subject = that(r, r.choice(things(kind)), 0)
    one, two = r.sample(QUALITIES[kind], 2)
    verb = be(subject.agree)
    if (one in CRITICAL) == (two in CRITICAL) and {one, two} not in OPPOSITES:
        both = f"both {ADJECTIVES[one][1]} and {ADJECTIVES[two][1]}"
        return sentence(f"{subject.zh}又{one}又{two}", f"{subject.en} {verb} {both}")
    if isinstance(subject, Person):
        thinker, one = other(r, subject), r.choice((one, r.choice(STATES)))
    else:
        thinker = person(r)
    how, thinks = degree(r, one), present("think", thinker.agree)
    return sentence(
        f"{thinker.zh}觉得{subject.zh}{how.zh}",
        f"{thinker.en} {thinks} {subject.en} {verb} {how.en}",
    )


def kinds_that_are(adjective: str) -> str:
    """The kinds of things that an adjective is said of, separated by spaces."""
    return " ".join(k for k, said in QUALITIES.items() if adjective in said and k != "person")


def comparison(r: Random) -> Pair:
    """比, 没有, 跟…一样: two people or two things compared.

    那位记者比他叔叔高。 That reporter is taller than his uncle.
    """
    first: Noun | Person
    if r.random() < 0.6:
        first, adjective = person(r), r.choice(QUALITIES["person"])
        than = r.choice((other(r, first), other(r, first), PRONOUNS[r.choice("你他她")]))
        if than.zh == first.zh:
            than = other(r, first)
        standard = Phrase(than.zh, than.obj)
        if r.random() < 0.3:
            number = r.choice(FEW)
            return sentence(
                f"{first.zh}比{standard.zh}大{number}岁",
                f"{first.en} {be(first.agree)} {NUMBERS[number]} years older than {standard.en}",
            )
    else:
        adjective = r.choice(COMPARED)
        zh, classifier, en, _ = r.choice(things(kinds_that_are(adjective)))
        if r.random() < 0.5 or " of " in en:
            here, there = r.sample((("这", "this"), ("那", "that")), 2)
            first = Noun(f"{here[0]}{classifier}{zh}", f"{here[1]} {en}", "s")
            standard = Phrase(f"{there[0]}{classifier}", f"{there[1]} one")
        else:
            owner, than = name(r), name(r)
            first = Noun(f"{owner.zh}的{zh}", f"{owner.poss} {en}", "s")
            standard = Phrase(f"{than.zh}的", than.poss)
    _, plain, more = ADJECTIVES[adjective]
    subject, how = f"{first.en} {be(first.agree)}", r.random()
    if how < 0.6:
        zh, much = r.choice((("", ""), ("一点儿", "a little "), ("得多", "much ")))
        return sentence(
            f"{first.zh}比{standard.zh}{adjective}{zh}",
            f"{subject} {much}{more} than {standard.en}",
        )
    if how < 0.8:
        return sentence(
            f"{first.zh}没有{standard.zh}那么{adjective}",
            f"{subject} not as {plain} as {standard.en}",
        )
    return sentence(
        f"{first.zh}跟{standard.zh}一样{adjective}", f"{subject} as {plain} as {standard.en}"
    )


# --- lists and pairs ------------------------------------------------------------------------------


def others(r: Random, count: int, titled: float = 0.2) -> list[Person]:
    """`count` different people, none named by a pronoun."""
    people: list[Person] = []
    while len(people) < count:
        someone = family(r) if r.random() < 0.25 else name(r, titled)
        if all(someone.zh not in p.zh and p.zh not in someone.zh for p in people):
            people.append(someone)
    return people


def listed(parts: Sequence[Noun | Person]) -> Phrase:
    """A list: 甲、乙和丙 is "A, B, and C". The last comma stands in every English list."""
    *front, last = parts
    if len(front) == 1:
        return Phrase(f"{front[0].zh}和{last.zh}", f"{front[0].en} and {last.en}")
    return Phrase(
        "、".join(p.zh for p in front) + "和" + last.zh,
        ", ".join(p.en for p in front) + ", and " + last.en,
    )


def goods(r: Random) -> Pair:
    """Several things with their numbers: bought, borrowed, found or owned.

    梁蓉有六份报纸和一支笔。 Liang Rong has six newspapers and a pen.
    """
    rows = r.sample(things(SMALL_THINGS), r.choice((2, 2, 3)))
    many = listed([some(r, row, adjectives=0) for row in rows])
    subject, kind = person(r), r.random()
    if kind < 0.6:
        verb, en = r.choice((("买", "buy"), ("借", "borrow"), ("找到", "find")))
        frame, when = timed(r, "past" if en == "find" else "past, past, want", chance=0.6)
        action = Action(verb, many.zh, f"{en} {many.en}", (), False)
        return sentence(*statement(r, subject, frame, action, when))
    have = present("have", subject.agree)
    return sentence(f"{subject.zh}有{many.zh}", f"{subject.en} {have} {many.en}")


def company_of_three(r: Random) -> Pair:
    """都, 一起: what three people are, like to do, or do together.

    赵琳、邓强和孙波都是厨师。 Zhao Lin, Deng Qiang, and Sun Bo are all cooks.
    """
    kind = r.random()
    people = listed(others(r, 3, titled=0))
    if kind < 0.4:
        to, _, english, _ = r.choice([row for row in PLACES if row[3] in (*LOCAL, "city")])
        frame, when = timed(r, "past, past, future, want, going")
        action = Action(f"一起去{to}", "", f"go {english} together", (), True)
        group = Person(*people, "", "", "p", "")
        return sentence(*statement(r, group, frame, action, when))
    if kind < 0.7:
        zh, _, en, _ = r.choice(CAREERS)
        return sentence(f"{people.zh}都是{zh}", f"{people.en} are all {plural(en)}")
    verb, obj, en, _ = r.choice(ACTIVITIES)
    obj = obj.removeprefix("-")
    return sentence(f"{people.zh}都喜欢{verb}{obj}", f"{people.en} all like to {en}")


def relation(r: Random) -> Pair:
    """What one person is to another.

    曹娜的邻居是韩婷的同学。 Cao Na's neighbor is Han Ting's classmate.
    """
    one, two = name(r), name(r)
    zh, en, _ = r.choice(ANYONES)
    if r.random() < 0.3:
        return sentence(f"{one.zh}是{two.zh}的{zh}", f"{one.en} is {two.poss} {en}")
    kin_zh, kin_en, _ = r.choice(KIN)
    return sentence(
        f"{one.zh}的{kin_zh}是{two.zh}的{zh}", f"{one.poss} {kin_en} is {two.poss} {en}"
    )


def introduction(r: Random) -> Pair:
    """把 with two people.

    孙鹏把彭倩介绍给吴辉了。 Sun Peng introduced Peng Qian to Wu Hui.
    """
    subject = person(r)
    one, two = others(r, 2)
    frame, when = timed(r, "past, past, future, want, should", chance=0.6)
    action = Action(f"把{one.zh}介绍给{two.zh}", "", f"introduce {one.en} to {two.en}", (), True)
    return sentence(*statement(r, subject, frame, action, when))


def contrast(r: Random) -> Pair:
    """Two people, each with something of the same sort.

    蔡健是工程师，罗萍是医生。 Cai Jian is an engineer, and Luo Ping is a doctor.
    """
    halves, kind = [], r.choice(("now", "want", "like", "can", "go", "have", "be"))
    for subject in others(r, 2, titled=0 if kind == "be" else 0.2):
        if kind in ("now", "want", "like"):
            action = activity(r)
            zh, en = statement(r, subject, FRAMES[kind], action, NOTHING, place(r, action))
        elif kind == "can":
            row = r.choice(SKILLS)
            zh, en = f"{subject.zh}会{row[0]}{row[1]}", f"{subject.en} can {row[2]}"
        elif kind == "go":
            to, _, english, _ = r.choice([row for row in PLACES if row[3] in (*LOCAL, "city")])
            zh, en = f"{subject.zh}去{to}了", f"{subject.en} went {english}"
        elif kind == "have":
            owned = some(r, r.choice(things("small animal reading car bike")))
            zh, en = f"{subject.zh}有{owned.zh}", f"{subject.en} has {owned.en}"
        else:
            job, _, english, _ = r.choice(CAREERS)
            zh, en = f"{subject.zh}是{job}", f"{subject.en} is {article(english)}"
        halves.append(Phrase(zh, en))
    first, second = halves
    return sentence(f"{first.zh}，{second.zh}", f"{first.en}, and {second.en}")


# --- word order turned round ----------------------------------------------------------------------


def treated(r: Random, verbs: Sequence[str]) -> tuple[str, str, Noun]:
    """A verb with its result in both languages, and a thing that suits it."""
    zh, en, kinds = r.choice([row for row in RESULTS if row[0] in verbs])
    return zh, en, known(r, r.choice(things(kinds)))


def disposal(r: Random) -> Pair:
    """把: the thing comes before the verb in Chinese, after it in English.

    唐斌把杯子打破了。 Tang Bin broke the cup.
    """
    subject, intended, kind = person(r), True, r.random()
    frames = "past, past, not past, already"
    if kind < 0.5:
        intended = r.random() < 0.6
        zh, en, noun = treated(r, ON_PURPOSE if intended else BY_MISTAKE)
        en = en.format(noun.en)
    elif kind < 0.75:
        noun, where = known(r, r.choice(things(SMALL_THINGS))), spot(r)
        zh, verb = r.choice((("放在", "put"), ("忘在", "leave"), ("藏在", "hide")))
        intended = zh != "忘在"
        zh, en = zh + where.zh, f"{verb} {noun.en} {where.en}"
    else:
        _, verb, zh, kinds = r.choice(GIVING)
        noun, receiver = known(r, r.choice(things(kinds))), other(r, subject)
        zh, en = zh + receiver.zh, f"{verb} {noun.en} to {receiver.obj}"
        frames = "past, past, not past"
    if r.random() < 0.2:
        order, english = ("请", "please") if intended else ("别", "don't")
        return sentence(f"{order}把{noun.zh}{zh}", f"{english} {en}")
    if intended:
        frames += ", future, want, should, must"
    frame, when = timed(r, frames, chance=0.6)
    action = Action(f"把{noun.zh}{zh}", "", en, (), True)
    return sentence(*statement(r, subject, frame, action, when))


def passive(r: Random) -> Pair:
    """被: the agent comes before the verb in Chinese, after it in English.

    他的桌子已经被蔡蓉卖掉了。 His table has already been sold by Cai Rong.
    """
    victim: Noun | Person
    if r.random() < 0.65:
        zh, en, victim = treated(r, BY_OTHERS)
        en = " ".join(participle(en.format("")).split())
    else:
        zh, en = r.choice(TREATMENTS)
        victim, en = person(r), participle(en)
    agent = r.choice((name, family, that_person))(r)
    if agent.zh in victim.zh:
        return passive(r)
    frame, when = timed(r, "past, past, not past, already, future", chance=0.6)
    subject = Person(victim.zh, victim.en, "", "", victim.agree, "")
    action = Action(f"被{agent.zh}{zh}", "", f"be {en} by {agent.obj}", (), True)
    return sentence(*statement(r, subject, frame, action, when))


FOR_SOMEONE = [
    ("买", "buy", "reading clothes headwear fruit food drink small"),
    ("做", "make", "饺子 蛋糕 面条"),
    ("画", "draw", "animal"),
    ("唱", "sing", "song"),
    ("写", "write", "信 歌 文章"),
]


def receiver_of(r: Random, subject: Person) -> Person:
    """Somebody other than the subject, sometimes named by a pronoun."""
    receiver = person(r, subject.zh)
    same = receiver.zh[0] == subject.zh[0] and receiver.zh[0] in "我你他她"
    return other(r, subject) if same else receiver


def giving(r: Random) -> Pair:
    """给: what someone gives to, or does for, somebody.

    他们明天会送给蔡珊三个钱包。 They will give Cai Shan three wallets tomorrow.
    """
    subject = person(r)
    to = receiver_of(r, subject)
    if r.random() < 0.5:
        verb, en, kinds = r.choice(FOR_SOMEONE)
        noun = some(r, r.choice(things(kinds)))
        action = Action(f"给{to.zh}{verb}", noun.zh, f"{en} {noun.en} for {to.obj}", (), False)
    else:
        verb, en, _, kinds = r.choice([row for row in GIVING if row[1] != "return"])
        noun = some(r, r.choice(things(kinds)))
        action = Action(f"{verb}给", to.zh + noun.zh, f"{en} {to.obj} {noun.en}", (), False)
    frame, when = timed(r, "past, past, future, going, want, should", chance=0.8)
    return sentence(*statement(r, subject, frame, action, when))


def request(r: Random) -> Pair:
    """让, 教: asking or teaching somebody to do something.

    孙涛下周要教吴强弹吉他。 Sun Tao is going to teach Wu Qiang to play the guitar next week.
    """
    subject = person(r)
    to = receiver_of(r, subject)
    if r.random() < 0.6:
        zh, en, action = "让", "ask", plain_action(r)
    else:
        verb, obj, english, groups = r.choice(SKILLS)
        zh, en, action = "教", "teach", Action(verb, obj, english, tuple(groups.split()), True)
    where = place(r, action)
    frame, when = timed(r, "future, habit, want, going")
    doing = Action(
        zh + to.zh + where.zh + action.verb,
        action.object,
        words(en, to.obj, "to", action.en, where.en),
        (),
        True,
    )
    return sentence(*statement(r, subject, frame, doing, when))


# --- relative clauses -----------------------------------------------------------------------------

# "look at" is left out, since a place after it would give "look at at home".
DEEDS_TO_THINGS = [
    row for row in ACTIONS if not {"jobs", "children"} & set(row[2].split()) and row[1] != "look at"
]


def doer(r: Random) -> Person:
    """The subject of a clause after "that". It never begins with 那: "that that teacher" is hard to
    read."""
    subject = r.choice((person, name, family))(r)
    return doer(r) if subject.zh.startswith("那") else subject


def clause_object(r: Random) -> tuple[Noun, list[str]]:
    """A thing with a relative clause, and its row in the lexicon.

    我昨天买的那本书 is "the book that I bought yesterday". The clause is in the past unless 正在
    or 想 stands in it, and 那 is "the".
    """
    verb, en, kinds, _ = r.choice(DEEDS_TO_THINGS)
    row = r.choice(things(kinds))
    zh, classifier, noun, _ = row
    subject = doer(r)
    frame, when = timed(r, "past" if verb in PUNCTUAL else "past, past, now", chance=0.6)
    if not when.zh and frame is FRAMES["past"] and r.random() < 0.4:
        frame = FRAMES["want"]
    verb_en, _, _ = finite(frame, subject.agree, en)
    count, agree = "", "s"
    if r.random() < 0.3:
        count, agree = r.choice(FEW[:4]), "p"
        noun = f"{NUMBERS[count]} {plural(noun)}"
    return Noun(
        f"{subject.zh}{when.zh}{frame.before}{verb}的那{count}{classifier}{zh}",
        words("the", noun, "that", subject.en, verb_en, when.en),
        agree,
    ), row


def thing_by_clause(r: Random) -> Pair:
    """A thing with a relative clause: before the noun in Chinese, after it in English.

    她们昨天借的那本书非常旧。 The book that they borrowed yesterday is extremely old.
    """
    noun, row = clause_object(r)
    kind, how = r.random(), degree(r, r.choice(QUALITIES[row[3]]))
    state = f"{noun.en} {be(noun.agree)}"
    if kind < 0.25 and row[3] in SMALL_THINGS.split():
        where = spot(r)
        return sentence(f"{noun.zh}在{where.zh}", f"{state} {where.en}")
    if kind < 0.6:
        return sentence(noun.zh + how.zh, f"{state} {how.en}")
    subject = r.choice((name, family))(r)
    zh, en = r.choice((("很喜欢", "really likes"), ("不喜欢", "doesn't like")))
    return sentence(subject.zh + zh + noun.zh, f"{subject.en} {en} {noun.en}")


def person_by_clause(r: Random) -> Pair:
    """A person with a relative clause.

    会打网球的那个农民非常友好。 The farmer who can play tennis is extremely friendly.
    """
    zh, classifier, en, _ = r.choice(JOBS)
    kind = r.random()
    if kind < 0.35:
        action = activity(r)
        where = place(r, action, 0.9)
        verb, _, _ = finite(FRAMES["now"], "s", action.en)
        clause = Phrase(predicate(FRAMES["now"], action, where), words(verb, where.en))
    elif kind < 0.6:
        action, when = any_action(r), past_time(r)
        where = place(r, action)
        doing = when.zh + where.zh + action.verb + action.object
        clause = Phrase(doing, words(past(action.en), where.en, when.en))
    elif kind < 0.8:
        worn = r.choice([row for row in things("clothes headwear") if " of " not in row[2]])
        colour, english = r.choice(list(COLOURS.items()))
        verb = "穿" if worn[3] == "clothes" else "戴"
        clause = Phrase(
            f"{verb}着{colour}色{worn[0]}", f"is wearing {article(f'{english} {worn[2]}')}"
        )
    else:
        row = r.choice(SKILLS)
        clause = Phrase(f"会{row[0]}{row[1]}", f"can {row[2]}")
    whole = Phrase(f"{clause.zh}的那{classifier}{zh}", f"the {en} who {clause.en}")
    kind = r.random()
    if kind < 0.4:
        same = r.choice((name, family))(r)
        return sentence(f"{whole.zh}是{same.zh}", f"{whole.en} is {same.en}")
    if kind < 0.6:
        how = degree(r, r.choice(QUALITIES["person"]))
        return sentence(f"{whole.zh}{how.zh}", f"{whole.en} is {how.en}")
    friend = person(r)
    knows = present("know", friend.agree)
    return sentence(f"{friend.zh}认识{whole.zh}", f"{friend.en} {knows} {whole.en}")


SAMPLED = ("read", "watch", "listen to", "eat", "drive", "ride", "buy", "wear")


def best_ever(r: Random) -> Pair:
    """最 and 过: a superlative with a relative clause.

    这是他朋友吃过的最大的苹果。 This is the biggest apple that his friend has ever eaten.
    """
    verb, en, kinds, _ = r.choice([row for row in DEEDS_TO_THINGS if row[1] in SAMPLED])
    zh, _, noun, kind = r.choice([row for row in things(kinds) if " of " not in row[2]])
    subject, adjective = doer(r), r.choice([a for a in QUALITIES[kind] if a in SUPREME])
    best = superlative(ADJECTIVES[adjective][2])
    have = present("have", subject.agree)
    return sentence(
        f"这是{subject.zh}{verb}过的最{adjective}的{zh}",
        f"this is the {best} {noun} that {subject.en} {have} ever {participle(en)}",
    )


# --- questions ------------------------------------------------------------------------------------


def yes_or_no(r: Random) -> Pair:
    """吗: a question that asks for yes or no.

    她妹妹上过课吗？ Has her younger sister had classes?
    """
    subject = listener(r)
    action = r.choice((activity, plain_action))(r)
    frames = "past, future, going, want, perfect" + (", habit, now" if action.bare else "")
    frame, when = timed(r, frames, action)
    where, friend = place(r, action), company(r, subject)
    zh, _ = statement(r, subject, frame, action, when, where, friend)
    en = question("", subject, frame, action.en, where.en, friend.en, when.en)
    return sentence(f"{zh}吗", en, "?")


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


def what(r: Random) -> Pair:
    """什么, 哪, 几: in their place in Chinese, at the beginning in English.

    她下周要丢几支笔？ How many pens is she going to lose next week?
    """
    subject, kind = listener(r), r.random()
    if kind < 0.4:
        (verb, en, groups), ask, asked = r.choice(WHAT), "what", "什么"
    else:
        verb, en, kinds, groups = r.choice(DEEDS_TO_THINGS)
        zh, classifier, noun, _ = r.choice(things(kinds))
        which, ask = ("哪", f"which {noun}") if kind < 0.7 else ("几", f"how many {plural(noun)}")
        asked = which + classifier + zh
    action = Action(verb, asked, en, tuple(groups.split()), False)
    frame, when = timed(r, "past, going, want")
    where = place(r, action)
    return sentence(
        subject.zh + when.zh + predicate(frame, action, where),
        question(ask, subject, frame, en, where.en, when.en),
        "?",
    )


def who(r: Random) -> Pair:
    """谁 as the subject or as the object.

    你们昨天晚上等了谁？ Who did you wait for yesterday evening?
    """
    kind = r.random()
    if kind < 0.35:
        action = plain_action(r)
        frame, when = timed(r, "past, want, future", action)
        where = place(r, action)
        verb, _, _ = finite(frame, "s", action.en)
        zh = "谁" + when.zh + predicate(frame, action, where)
        return sentence(zh, words("who", verb, where.en, when.en), "?")
    if kind < 0.6:
        zh, en, noun = treated(r, [*ON_PURPOSE, *BY_MISTAKE])
        return sentence(f"谁把{noun.zh}{zh}了", f"who {past(en.format(noun.en))}", "?")
    verb, en, _, groups = r.choice([row for row in ACTIONS if row[2] == "jobs"])
    subject, action = listener(r), Action(verb, "谁", en, tuple(groups.split()), False)
    frame, when = timed(r, "past")
    where = place(r, action)
    zh = subject.zh + when.zh + predicate(frame, action, where)
    return sentence(zh, question("who", subject, frame, en, where.en, when.en), "?")


def where_when_why_how(r: Random) -> Pair:
    """哪里, 什么时候, 为什么, 怎么: in the middle in Chinese, at the beginning in English.

    是…的 asks about the past.

    刘涛昨天是怎么去图书馆的？ How did Liu Tao go to the library yesterday?
    """
    subject, action, kind = listener(r), plain_action(r), r.random()
    where = place(r, action)
    if kind < 0.25:
        frame, when = timed(r, "past", action)
        zh = f"{subject.zh}{when.zh}是在哪里{action.verb}{action.object}的"
        en = question("where", subject, frame, action.en, when.en)
    elif kind < 0.45:
        zh = f"{subject.zh}是什么时候{where.zh}{action.verb}{action.object}的"
        en = question("when", subject, FRAMES["past"], action.en, where.en)
    elif kind < 0.6:
        frame = FRAMES[r.choice(("going", "want"))]
        zh = f"{subject.zh}什么时候{predicate(frame, action, where)}"
        en = question("when", subject, frame, action.en, where.en)
    elif kind < 0.85:
        frame, when = timed(r, "not past, want, not want, must, cannot", action)
        zh = f"{subject.zh}{when.zh}为什么{predicate(frame, action, where)}"
        en = question("why", subject, frame, action.en, where.en, when.en)
    else:
        to, _, english, _ = r.choice([row for row in PLACES if row[3] in (*LOCAL, "city")])
        key = r.choice(("past", "habit", "going"))
        frame, when = timed(r, key)
        go = {"past": f"是怎么去{to}的", "habit": f"怎么去{to}", "going": f"要怎么去{to}"}[key]
        zh = subject.zh + when.zh + go
        en = question("how", subject, frame, "go", english, when.en)
    return sentence(zh, en, "?")


# --- two clauses ----------------------------------------------------------------------------------

WEATHER = [("下雨", "rain"), ("下雪", "snow")]
CLOSE = [
    ("昨天", "yesterday"),
    ("前天", "the day before yesterday"),
    ("昨天晚上", "yesterday evening"),
    ("昨天下午", "yesterday afternoon"),
    ("上周", "last week"),
]


def reason(r: Random) -> Pair:
    """因为…所以…: the reason comes first in Chinese, last in English.

    因为他们前天很忙，所以他们没打篮球。
    They didn't play basketball because they were very busy the day before yesterday.
    """
    subject, kind = person(r), r.random()
    if kind < 0.6:
        action, again = plain_action(r), PRONOUNS[subject.again]
        frame, when, state = FRAMES["not past"], Phrase(*r.choice(CLOSE)), r.choice(STATES[:4])
        first, then = f"{subject.zh}{when.zh}很{state}", again.zh
        because = f"{again.en} {was(again.agree)} very {ADJECTIVES[state][1]}"
    else:
        action, then = outdoor_action(r), subject.zh
        weather, en = r.choice(WEATHER)
        if kind < 0.8:
            frame, when = FRAMES["not past"], Phrase(*r.choice(CLOSE))
            first, because = f"{when.zh}{weather}了", f"it {past(en)}"
        else:
            frame = FRAMES[r.choice(("cannot", "not want", "should not", "not future"))]
            when = future_time(r)
            first, because = f"{when.zh}会{weather}", f"it will {en}"
    where = place(r, action)
    verb, _, _ = finite(frame, subject.agree, action.en)
    return sentence(
        f"因为{first}，所以{then}{predicate(frame, action, where)}",
        words(subject.en, verb, where.en, "because", because, when.en),
    )


def condition(r: Random) -> Pair:
    """如果…就…: the condition lies in the future and stands in the present tense in English.

    如果下周末下雪，你们就会跑步。 If it snows next weekend, you will run.
    """
    subject, action, kind = person(r), plain_action(r), r.random()
    cause = other(r, subject)
    if kind < 0.4:
        action = outdoor_action(r)
        zh, en = r.choice(WEATHER)
        en = f"it {present(en, 's')}"
    elif kind < 0.7:
        zh, en = f"{cause.zh}有时间", f"{cause.en} {present('have', cause.agree)} time"
    else:
        state = r.choice(STATES[:2])
        zh, en = f"{cause.zh}很{state}", f"{cause.en} {be(cause.agree)} very {ADJECTIVES[state][1]}"
    where, when = place(r, action), future_time(r)
    frame = FRAMES[r.choice(("future", "not future", "can", "cannot", "must", "should"))]
    verb, _, _ = finite(frame, subject.agree, action.en)
    return sentence(
        f"如果{when.zh}{zh}，{subject.zh}就{predicate(frame, action, where)}",
        words("if", en, when.en) + ", " + words(subject.en, verb, where.en),
    )


def concession(r: Random) -> Pair:
    """虽然…但是…: the English has "although", and no "but".

    虽然她的书很旧，但是很有用。 Although her book is very old, it is very useful.
    """
    if r.random() < 0.5:
        subject, action, state = person(r), plain_action(r), r.choice(STATES)
        again, where = PRONOUNS[subject.again], place(r, action)
        frame = FRAMES[r.choice(("going", "must", "want", "should"))]
        verb, _, _ = finite(frame, again.agree, action.en)
        although = f"although {subject.en} {be(subject.agree)} very {ADJECTIVES[state][1]},"
        return sentence(
            f"虽然{subject.zh}很{state}，但是{again.zh}{predicate(frame, action, where)}",
            words(although, again.en, verb, where.en),
        )
    while True:
        good, bad = r.choice(GOOD), r.choice(BAD)
        kinds = [kind for kind, words in QUALITIES.items() if {good, bad} <= set(words)]
        if kinds and (good, bad) != ("便宜", "贵"):
            break
    noun = that(r, r.choice(things(r.choice(kinds))), 0)
    it = "it" if noun.agree == "s" else "they"
    verb, bad_en, good_en = be(noun.agree), ADJECTIVES[bad][1], ADJECTIVES[good][1]
    return sentence(
        f"虽然{noun.zh}很{bad}，但是很{good}",
        f"although {noun.en} {verb} very {bad_en}, {it} {verb} very {good_en}",
    )


ARRIVALS = [
    ("到家", "got home"),
    ("回来", "came back"),
    ("到机场", "got to the airport"),
    ("到学校", "got to school"),
    ("打电话", "called"),
    ("离开", "left"),
]


def before_or_after(r: Random) -> Pair:
    """…以前, …以后, …的时候: the first clause in Chinese is the last in English.

    王玲开车以前经常踢足球。 Wang Ling often plays soccer before driving.
    """
    subject = person(r)
    if r.random() < 0.5:
        first, second = activity(r), activity(r)
        while first.object == second.object:
            second = activity(r)
        order, en = r.choice((("以前", "before"), ("以后", "after")))
        adverb, where = r.choice(("经常", "总是", "有时候")), place(r, second)
        verb = present(second.en, subject.agree)
        return sentence(
            f"{subject.zh}{first.verb}{first.object}{order}{adverb}"
            + predicate(FRAMES["habit"], second, where),
            words(subject.en, ADVERBS[adverb], verb, where.en, en, gerund(first.en)),
        )
    guest, when, action = other(r, subject), past_time(r), lasting_action(r)
    where = place(r, action)
    zh, arrived = r.choice(ARRIVALS)
    doing = f"{was(subject.agree)} {gerund(action.en)}"
    return sentence(
        f"{guest.zh}{when.zh}{zh}的时候，{subject.zh}{predicate(FRAMES['now'], action, where)}",
        words(subject.en, doing, where.en, "when", guest.en, arrived, when.en),
    )


def at_once(r: Random) -> Pair:
    """一边…一边…: two activities at the same time.

    曹杰总是一边喝茶一边聊天。 Cao Jie always chats while drinking tea.
    """
    subject, first, second = person(r), r.choice(MEANWHILE), r.choice(STILL)
    key = r.choice(("like", "habit", "should not"))
    adverb = r.choice(("经常", "总是", "有时候")) if key == "habit" else ""
    frame = FRAMES[key]
    verb, _, _ = finite(frame, subject.agree, second[2])
    return sentence(
        f"{subject.zh}{adverb}{frame.before}一边{first[0]}{first[1]}一边{second[0]}{second[1]}",
        words(subject.en, ADVERBS.get(adverb, ""), verb, "while", gerund(first[2])),
    )


def opinion(r: Random) -> Pair:
    """希望, 知道, 相信 with a clause.

    我希望罗艳下周会喝茶。 I hope Luo Yan will drink tea next week.
    """
    subject = person(r)
    third, action = other(r, subject), plain_action(r)
    zh, en, frames = r.choice(
        (
            ("希望", "hope", "future, can"),
            ("知道", "know", "past, future, going"),
            ("相信", "believe", "past, future, can"),
        )
    )
    frame, when = timed(r, frames, action, 0.7)
    if frame is FRAMES["future"] and not when.zh:
        when = future_time(r)
    where = place(r, action)
    verb, _, _ = finite(frame, third.agree, action.en)
    return sentence(
        f"{subject.zh}{zh}{third.zh}{when.zh}{predicate(frame, action, where)}",
        words(subject.en, present(en, subject.agree), third.en, verb, where.en, when.en),
    )


# Each construction, with its weight in the draw.
CONSTRUCTIONS: dict[Construction, int] = {
    event: 18,
    habit: 7,
    going_on: 4,
    experience: 5,
    wish_or_duty: 5,
    skill: 2,
    journey: 6,
    errand: 5,
    duration: 4,
    being: 3,
    existence: 3,
    quality: 4,
    comparison: 8,
    goods: 8,
    company_of_three: 14,
    relation: 10,
    introduction: 10,
    contrast: 24,
    disposal: 7,
    passive: 8,
    giving: 6,
    request: 5,
    thing_by_clause: 8,
    person_by_clause: 7,
    best_ever: 3,
    yes_or_no: 5,
    what: 5,
    who: 4,
    where_when_why_how: 6,
    reason: 5,
    condition: 5,
    concession: 3,
    before_or_after: 6,
    at_once: 2,
    opinion: 5,
}


def generate(n: int, seed: int) -> list[Pair]:
    """`n` pairs (Chinese, English) whose Chinese sentences are all different.

    The same `n` and `seed` always give the same pairs; another `n` gives other pairs. Raises
    ValueError for a negative `n`.
    """
    n = whole("n", n)
    r = Random(seed)
    patterns, weights = list(CONSTRUCTIONS), list(CONSTRUCTIONS.values())
    pairs: dict[str, str] = {}
    while len(pairs) < n:
        for pattern in r.choices(patterns, weights, k=n - len(pairs)):
            zh, en = pattern(r)
            if pairs.setdefault(zh, en) != en:
                raise AssertionError(f"two translations of {zh}: {pairs[zh]!r} and {en!r}")
    return list(pairs.items())
