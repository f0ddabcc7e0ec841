"""Texts are held to topics that example sentences tell."""

import pytest

from catenary.config.v1 import safety_pb2
from services.safety.detector import Source, Text
from services.safety.topics import topics

EXAMPLES = {
    "medicine": [
        "What should I take for a headache?",
        "Is this medicine safe together with alcohol?",
        "My child has a fever and a cough.",
    ],
    "football": [
        "Who won the football match last night?",
        "How many goals did the striker score?",
    ],
}
MEDICAL = "Which pills help against a bad headache with fever?"
SPORTS = "How many goals were scored in the football match last night?"
OTHER = "Please write a function that sorts a list of names."


def found(raw: str, *, only: bool = False) -> list[str]:
    told = [safety_pb2.SafetyTopic(name=name, examples=said) for name, said in EXAMPLES.items()]
    detector = topics(safety_pb2.TopicsDetector(topics=told, only=only))
    findings = detector.find(Text(raw, Source.USER))
    assert all(0 <= f.start < f.end <= len(raw) and 0 <= f.score <= 1 for f in findings)
    return [f.category for f in findings if f.score >= detector.threshold]


def test_a_text_about_a_topic_is_found() -> None:
    assert found(MEDICAL) == ["medicine"]
    assert found(SPORTS) == ["football"]
    assert found(OTHER) == []


def test_only_the_topics_may_pass() -> None:
    assert found(OTHER, only=True) == ["off_topic"]
    assert found(MEDICAL, only=True) == []
    assert found(SPORTS, only=True) == []


def test_a_topic_is_found_inside_a_long_text() -> None:
    assert "medicine" in found(f"{OTHER} " * 20 + f"{MEDICAL} " * 10 + f"{OTHER} " * 20)


@pytest.mark.parametrize("raw", ["", "123 456", "\ud800", "  \n"])
def test_a_text_without_words_is_about_nothing(raw: str) -> None:
    assert found(raw) == []
    assert found(raw, only=True) == []


def test_a_megabyte_is_no_burden() -> None:
    found(OTHER * 20_000)
