"""`python -m lessons` names the Chinese cells whose English cell has changed since they were
written. `python -m lessons 04_softmax` says that those of this lesson have been looked at: it
writes the new hashes."""

import sys

from lessons.cells import LESSONS, cells, stamp

for lesson in sys.argv[1:]:
    if lesson not in LESSONS:
        sys.exit(f"lessons: expected names among {', '.join(LESSONS)}, got {lesson}")
for lesson in sys.argv[1:]:
    print(f"zh/{lesson}.py: {stamp(lesson)} new hashes")
if not sys.argv[1:]:
    for lesson in LESSONS:
        twins = zip(cells("en", lesson), cells("zh", lesson), strict=False)
        for number, (english, chinese) in enumerate(twins, start=1):
            if english.is_text and english.hash() != chinese.source:
                first = english.content.partition("\n")[0].strip("# ")
                print(f'zh/{lesson}.py, cell {number} ("{first}"): source="{english.hash()}"')
