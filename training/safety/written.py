"""Our own texts that are written out, each a case of its own: what kind it is tells its file.

In a document `<<` and `>>` stand around what was planted; without it the document is harmless.
"""

import random
import re
from collections.abc import Iterator, Mapping

import yaml

from services.safety.classifier.categories import CATEGORIES, SEVERITIES
from training.safety.examples import Example
from training.safety.wordings import DATA, chosen

ATTACK = {"direct": 1.0, "planted": 1.0}
PLANTED = {"planted": 1.0}
ASKED = {"direct": 0.0, "harm": 0.0, **dict.fromkeys(CATEGORIES, 0.0)}
"""Harmless from a user; nothing is known of it in a document."""
HARMLESS = {**ASKED, "planted": 0.0}

# An order to a model is none of a document's business, however harmless.
_NO_ORDERS = {"looks_unsafe", "about_injection", "encoded", "multi_turn", "clean"}
_CONTENT = "content_"
_MARKED = re.compile(r"<<(.*?)>>", re.DOTALL)


def examples(chance: random.Random) -> Iterator[Example]:
    """Yield every text of the files in `data/written`, its choices drawn anew."""
    for file, family, text in _texts():
        drawn = chosen(text, chance)
        source = f"written/{file}/{family}"
        if file == "documents" and family == "documents":
            yield from _document(drawn, source)
        elif file == "languages" and family == "harm":
            category, _, said = drawn.partition(": ")
            yield Example(said, source, harmful(category))
        else:
            targets = _targets(file, family)
            harmless = "/harmless" if targets.get("direct") == 0.0 else ""
            yield Example(drawn, source + harmless, targets)


def harmful(category: str) -> dict[str, float]:
    """Return what is to be said of a text of a category of harm."""
    targets = {"harm": 1.0, **dict.fromkeys(CATEGORIES, 0.0), category: 1.0}
    return targets | {"severity": float(SEVERITIES[category])}


def _targets(file: str, family: str) -> Mapping[str, float]:
    category = family.removeprefix(_CONTENT)
    if category in CATEGORIES:
        return harmful(category)
    if family in {"instructions", "planted"}:
        return PLANTED
    if file == "harm" or family in _NO_ORDERS:
        return HARMLESS
    if file == "harmless" or family.startswith("harmless"):
        return ASKED
    return ATTACK


def _document(text: str, source: str) -> Iterator[Example]:
    found = _MARKED.search(text)
    if found is None:
        raise ValueError(f"nothing is planted in {text[:60]!r}")
    attacked = _MARKED.sub(r"\1", text)
    yield Example(attacked, source, PLANTED, attack=found[1].strip())
    yield Example(_MARKED.sub("", text), source + "/harmless", HARMLESS)


def _texts() -> Iterator[tuple[str, str, str]]:
    for path in sorted((DATA / "written").glob("*.yaml")):
        lists = yaml.safe_load(path.read_text(encoding="utf-8"))
        for family, texts in lists.items():
            for text in texts:
                yield path.stem, family, text
