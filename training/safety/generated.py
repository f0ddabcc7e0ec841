"""Examples of our own wording: attacks, what looks like them, documents with and without one."""

import base64
import codecs
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence

from services.safety.classifier.categories import CATEGORIES, SEVERITIES
from training.safety.examples import Example
from training.safety.wordings import Lists, load, worded

_HARMLESS = {"direct": 0.0, "harm": 0.0, **dict.fromkeys(CATEGORIES, 0.0)}
_DOCUMENTS = ("bipia_email_clean/harmless", "openai_moderation/harmless", "piguard_valid/harmless")
_REQUESTS = 300
# How often a document or an attack is taken from the rows; how often a user asks about a document.
_FROM_ROWS, _ASKED = 0.5, 0.4
_SHORT = 400
# How often a harmless text is said several times.
_SAID_AGAIN = 0.03


class Wordings:
    """All our lists, and rows to put together with them; yields examples without end."""

    def __init__(self, seed: int, rows: Sequence[Example] = ()) -> None:
        self._chance = random.Random(seed)
        self._attacks = load("attacks")
        self._benign = load("benign")
        self._harm = load("harm")
        self._documents = load("documents")
        lists = {**load("phrases"), **self._benign, **self._documents}
        self._lists: Lists = lists
        lists["harm_request"] = [self._request(self._category()) for _ in range(_REQUESTS)]
        asked = [
            row.text.strip() for row in rows if row.targets.get("harm") and len(row.text) < _SHORT
        ]
        lists["harm_request"] += self._chance.sample(asked, min(_REQUESTS, len(asked)))
        self._attack_rows = [
            row for row in rows if row.targets.get("planted") and len(row.text) < _SHORT
        ]
        self._document_rows = [
            row for row in rows if row.targets.get("planted") == 0.0 and row.source in _DOCUMENTS
        ]
        lists["gibberish"] = [self._gibberish() for _ in range(100)]
        lists["blob"] = [self._blob(self._worded("{goal}")) for _ in range(100)]

    def examples(self, attacks: int, benign: int, harm: int, documents: int) -> Iterator[Example]:
        """Yield as many of each as asked."""
        for _ in range(attacks):
            family = self._chance.choice([name for name in self._attacks if name != "planted"])
            targets = {"direct": 1.0, "planted": 1.0}
            yield Example(self._cased(self._of(self._attacks, family)), f"own/{family}", targets)
        families = [
            "about_injection",
            "trigger_words",
            "role_play",
            "commands",
            "looks_unsafe",
            "support",
            "topicless",
            "foreign",
        ]
        for _ in range(benign):
            family = self._chance.choice(families)
            targets = _HARMLESS
            if family in {"about_injection", "topicless", "looks_unsafe", "foreign"}:
                targets = {**_HARMLESS, "planted": 0.0}
            text = self._cased(self._of(self._benign, family))
            yield Example(self._repeated(text), f"own/{family}/harmless", targets)
        for _ in range(harm):
            category = self._category()
            yield Example(self._cased(self._request(category)), "own/harm", _harmful(category))
        for _ in range(documents):
            yield self._document(attacked=self._chance.random() < 0.5)

    def _document(self, *, attacked: bool) -> Example:
        """Put a document together, of sentences of ours or of a row, with an attack or without."""
        chance = self._chance
        count = chance.randint(0 if attacked else 1, 6)
        sentences = [
            self._worded(chance.choice(["{sentence}", "{sentence}", "{polite}"]))
            for _ in range(count)
        ]
        if self._document_rows and chance.random() < _FROM_ROWS:
            row = chance.choice(self._document_rows)
            sentences = re.split(r"(?<=[.!?\n])\s+", row.text)[:12]
        attack = self._planted() if attacked else ""
        if attacked:
            place = chance.choice([0, len(sentences), chance.randint(0, len(sentences))])
            sentences.insert(place, attack)
        body = chance.choice([" ", " ", "\n", "\n\n"]).join(sentences)
        container = self._of(self._documents, "containers")
        if container.lstrip().startswith(("{", "[")):
            body, attack = json.dumps(body)[1:-1], json.dumps(attack)[1:-1]
        text = container.replace("<body>", body)
        targets: dict[str, float] = {"planted": 1.0} if attacked else {**_HARMLESS, "planted": 0.0}
        asked = chance.random() < _ASKED
        if asked:
            text = self._of(self._documents, "asks").replace("<document>", text)
        if asked and attacked:
            targets["direct"] = 1.0
        kind = "own/documents" if attacked else "own/documents/harmless"
        return Example(text, kind, targets, attack=attack)

    def _planted(self) -> str:
        if self._attack_rows and self._chance.random() < _FROM_ROWS:
            return self._chance.choice(self._attack_rows).text
        family = self._chance.choice(
            ["planted"] * 6 + ["override", "fake_system", "leak", "hijack"]
        )
        return self._cased(self._of(self._attacks, family))

    def _category(self) -> str:
        return self._chance.choice([name for name in self._harm if name in CATEGORIES])

    def _request(self, category: str) -> str:
        text = worded(self._chance.choice(self._harm[category]), self._harm, self._chance)
        return text + self._chance.choice(["?", ".", "", " please", "."])

    def _of(self, lists: Mapping[str, list[str]], family: str) -> str:
        return self._worded(self._chance.choice(lists[family]))

    def _worded(self, line: str) -> str:
        return worded(line, self._lists, self._chance)

    def _cased(self, text: str) -> str:
        """Write some texts in capitals, some without, some with a letter lost."""
        kind = self._chance.random()
        if kind < 0.04:
            return text.upper()
        if kind < 0.1 and len(text) > 20:
            place = self._chance.randrange(1, len(text) - 1)
            return text[:place] + text[place + 1 :]
        return text

    def _repeated(self, text: str) -> str:
        """Say some texts several times: that alone is no attack."""
        if self._chance.random() < _SAID_AGAIN:
            return self._chance.choice([" ", "\n"]).join([text] * self._chance.randint(2, 30))
        return text

    def _gibberish(self) -> str:
        parts = self._chance.choices(self._lists["splinter"], k=self._chance.randint(8, 20))
        return "".join(part + self._chance.choice(["", " "]) for part in parts)

    def _blob(self, text: str) -> str:
        content = text.encode()
        return self._chance.choice(
            [base64.b64encode(content).decode(), content.hex(), codecs.encode(text, "rot13")]
        )


def _harmful(category: str) -> dict[str, float]:
    targets = {"harm": 1.0, **dict.fromkeys(CATEGORIES, 0.0), category: 1.0}
    return targets | {"severity": float(SEVERITIES[category])}
