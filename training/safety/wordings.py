"""Many wordings from few lines.

`(a|b)` is a choice, and `{name}` a line of the list of that name; brackets around no choice stay.
"""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

Lists = Mapping[str, Sequence[str]]

DATA = Path(__file__).parent / "data"

_CHOICE = re.compile(r"\(([^()]*)\)")
# Stand for brackets that stay.
_OPEN, _CLOSE = "\x01", "\x02"
_NAME = re.compile(r"\{(\w+)\}")


def load(name: str) -> dict[str, list[str]]:
    """Return the lists of a file in `data`."""
    lists = yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: [str(line) for line in lines] for key, lines in lists.items()}


def worded(line: str, lists: Lists, chance: random.Random) -> str:
    """Return one wording of a line."""
    line = chosen(line, chance)
    return _NAME.sub(lambda found: worded(chance.choice(lists[found[1]]), lists, chance), line)


def chosen(line: str, chance: random.Random) -> str:
    """Return a line with its choices made."""

    def choose(found: re.Match[str]) -> str:
        options = found[1].split("|")
        return chance.choice(options) if len(options) > 1 else f"{_OPEN}{found[1]}{_CLOSE}"

    count = 1
    while count:
        line, count = _CHOICE.subn(choose, line)
    return line.replace(_OPEN, "(").replace(_CLOSE, ")")
