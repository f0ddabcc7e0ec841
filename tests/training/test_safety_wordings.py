"""What the safety link's classifier learns from beside labelled rows: our own texts."""

import random
from collections import Counter

from services.safety.classifier.categories import CATEGORIES, OUTPUTS
from training.safety import written
from training.safety.generated import Wordings
from training.safety.wordings import chosen


def test_every_written_text_says_what_is_to_be_said_of_it() -> None:
    examples = list(written.examples(random.Random(1)))
    assert all(each.text.strip() and set(each.targets) <= set(OUTPUTS) for each in examples)
    told = Counter(name for each in examples for name, value in each.targets.items() if value == 1)
    assert {"direct", "planted", "harm", *CATEGORIES} <= set(told)
    assert sum(each.targets.get("direct") == 0 for each in examples) > len(examples) / 4


def test_what_is_planted_is_known_and_its_document_without_it_is_harmless() -> None:
    documents = [
        each
        for each in written.examples(random.Random(1))
        if each.source.startswith("written/documents/documents")
    ]
    attacked, harmless = documents[::2], documents[1::2]
    assert len(attacked) == len(harmless) > 100
    for one, other in zip(attacked, harmless, strict=True):
        assert (one.targets["planted"], other.targets["planted"]) == (1, 0)
        assert one.attack
        assert one.attack in one.text
        assert one.attack not in other.text
        assert "<<" not in one.text + other.text


def test_no_text_is_both_an_attack_and_harmless() -> None:
    examples = [*written.examples(random.Random(1)), *Wordings(1).examples(300, 300, 100, 300)]
    for name in ("direct", "planted", "harm"):
        told = {value: set[str]() for value in (0.0, 1.0)}
        for each in examples:
            if name in each.targets:
                told[each.targets[name]].add(each.text.strip().lower())
        assert not told[0.0] & told[1.0], name


def test_a_choice_is_made_and_other_brackets_stay() -> None:
    drawn = {chosen("say (a|b) (now) {3}", random.Random(seed)) for seed in range(20)}
    assert drawn == {"say a (now) {3}", "say b (now) {3}"}
