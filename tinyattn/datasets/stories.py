"""Short stories of who takes, gives and carries a thing, and the sentence that sums each up. Look
first at `generate`.

**What it is.** Three people with invented names, two things, four rooms. Each sentence is one
event: somebody goes to a room, takes a thing, or gives it to somebody. The question is where one
thing ends up: "the ball is with Toma in the kitchen". **What is decidable.** All of it: a thing is
with the one who got it last, and in the room that this one went to last. **Names never seen.** A
name has two syllables of 16; one in five names is for tests and never drawn for training.
**Origin and licence.** Written for tinyattn; its licence.
"""

from typing import NamedTuple

import numpy as np

from tinyattn.datasets._arguments import whole

THINGS = "ball", "book", "key", "lamp", "apple", "coin"
ROOMS = "kitchen", "garden", "hall", "cellar", "attic", "yard"
_FIRST = "Ba Da Fe Ga Ho Ka Le Mi No Pe Ra Su To Vi Ya Zu"
_NEXT = "bo da fi ga ko la me ni po ra su ti va wo ya zi"


class Story(NamedTuple):
    """A story in words, its summary in words, and the facts: what, who, where."""

    words: list[str]
    summary: list[str]
    thing: str
    holder: str
    room: str


def generate(count: int, seed: int, test: bool = False) -> list[Story]:
    """`count` stories, the same for the same seed; with `test`, of names that no other story has.

    >>> from tinyattn.datasets import stories
    >>> story = stories.generate(1, seed=3)[0]
    >>> " ".join(story.words[-17:])
    'Fega went to the garden . Feva went to the garden . where is the lamp ?'
    >>> " ".join(story.summary)
    'the lamp is with Toda in the kitchen'
    """
    count, rng = whole("count", count), np.random.default_rng(whole("seed", seed))
    return [_story(rng, test) for _ in range(count)]


def is_for_tests(name: str) -> bool:
    """Whether a name is one that only tests have: about one in five."""
    return sum(map(ord, name)) % 5 == 0


def _name(rng: np.random.Generator, test: bool) -> str:
    while True:
        name = str(rng.choice(_FIRST.split())) + str(rng.choice(_NEXT.split()))
        if is_for_tests(name) == test:
            return name


def _story(rng: np.random.Generator, test: bool) -> Story:
    people: list[str] = []
    while len(people) < 3:
        name = _name(rng, test)
        if name not in people:
            people.append(name)
    things = [str(thing) for thing in rng.choice(THINGS, 2, replace=False)]
    rooms = [str(room) for room in rng.choice(ROOMS, 4, replace=False)]
    place: dict[str, str] = {}
    holder: dict[str, str] = {}
    events: list[str] = []
    # Everybody goes somewhere, so that who went somewhere says nothing.
    later = ["give"] * int(rng.integers(1, 3)) + [*people, str(rng.choice(people))]
    for thing in things:
        holder[thing] = str(rng.choice(people))
        events.append(f"{holder[thing]} took the {thing} .")
    for kind in rng.permutation(later):
        if kind == "give":
            thing = things[int(rng.integers(2))]
            giver = holder[thing]
            holder[thing] = str(rng.choice([person for person in people if person != giver]))
            events.append(f"{giver} gave the {thing} to {holder[thing]} .")
        else:
            place[kind] = str(rng.choice(rooms))
            events.append(f"{kind} went to the {place[kind]} .")
    thing = things[int(rng.integers(2))]
    who, room = holder[thing], place[holder[thing]]
    words = " ".join([*events, f"where is the {thing} ?"]).split()
    return Story(words, f"the {thing} is with {who} in the {room}".split(), thing, who, room)
