"""Detectors that find fixed words, and policies made of them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.safety import detectors
from services.safety.detector import Finding, Text
from services.safety.policy import Policy, load


@dataclass
class Words:
    """Finds each of its words wherever it stands, in the order of the text."""

    name: str
    words: Sequence[str]
    reach: int = 32
    threshold: float = 0.5
    score: float = 1.0
    severity: int = 0
    asked: list[Text] = field(default_factory=list)
    waits: threading.Event | None = None
    """It looks only when this is set."""
    fails: bool = False

    def find(self, text: Text) -> Sequence[Finding]:
        self.asked.append(text)
        if self.waits is not None:
            assert self.waits.wait(30)
        if self.fails:
            raise ValueError(f"cannot read {text.raw!r}")
        found = []
        for word in self.words:
            start = text.raw.find(word)
            while start >= 0:
                end = start + len(word)
                found.append(Finding(start, end, self.name, word, self.score, self.severity))
                start = text.raw.find(word, end)
        return sorted(found)


def _toy(toy: Words, _: object) -> Words:
    return toy


def install(monkeypatch: pytest.MonkeyPatch, **toys: Words) -> None:
    """Let toys stand for the detectors of these names."""
    # What is built of toys must not outlive the test.
    built: Any = detectors._build
    monkeypatch.setattr(detectors, "_build", getattr(built, "__wrapped__", built))
    for kind, toy in toys.items():
        monkeypatch.setitem(detectors.FACTORIES, kind, partial(_toy, toy))


def policy(folder: Path, text: str) -> Policy:
    """Load the policy that a file of this text holds."""
    file = folder / "safety.yaml"
    file.write_text(text)
    return load(file)


def install_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a toy stand for every detector that a policy names."""
    install(
        monkeypatch,
        pii=Words("pii", ["anna"]),
        secrets=Words("secrets", ["key"]),
        harm=Words("harm", ["bomb"], reach=0),
        language=Words("language", [], reach=0),
        length=Words("length", [], reach=0),
        topics=Words("topics", [], reach=0),
        links=Words("links", []),
        prompt_leak=Words("prompt_leak", []),
        injection=Words("injection", ["ignore"], reach=0),
    )
