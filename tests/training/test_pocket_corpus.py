import random
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from training.pocket import corpus, evaluate
from training.pocket.grammar import expression, parse, wording
from training.pocket.noise import typed
from training.pocket.shape import FOLDER

CORPUS = corpus.load()
ASKED = [(fact, ask) for fact in (*CORPUS.facts.values(), *CORPUS.others) for ask in fact.asks]


def test_a_pattern_draws_each_of_its_wordings() -> None:
    chance = random.Random(1)
    names = {"link": "(cache|router)", "*": "mesh"}
    drawn = {wording("(what|who) is [the] {link} of *", names, chance) for _ in range(200)}
    assert drawn == {
        f"{word} is {the}{link} of mesh"
        for word in ("what", "who")
        for the in ("the ", "")
        for link in ("cache", "router")
    }


@pytest.mark.parametrize("broken", ["(a|b", "a)", "[a", "(a]", "}"])
def test_a_broken_pattern_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unexpected"):
        parse(broken)


def test_every_pattern_can_be_drawn() -> None:
    chance = random.Random(1)
    for fact, ask in ASKED:
        assert wording(ask, fact.names(CORPUS.phrases), chance)
    for follow in CORPUS.follows:
        assert wording(follow.ask, CORPUS.phrases, chance)


def test_follow_ups_name_facts_that_exist() -> None:
    for follow in CORPUS.follows:
        assert {follow.then, *follow.after} <= set(CORPUS.facts)


def test_every_answer_is_whole_sentences() -> None:
    for fact in (*CORPUS.facts.values(), *CORPUS.others):
        assert fact.answer.endswith((".", "!", "?")), fact.name
        assert "\n" not in fact.answer, fact.name


def test_the_same_seed_draws_the_same_conversations() -> None:
    first, second = random.Random(3), random.Random(3)
    for _ in range(50):
        assert CORPUS.conversation(first) == CORPUS.conversation(second)


def test_test_questions_stand_in_no_pattern() -> None:
    listed = yaml.safe_load(evaluate.QUESTIONS.read_text(encoding="utf-8"))
    plain = [
        re.sub(r"[?.!]+$", "", question.lower())
        for question in (*(entry["ask"] for entry in listed["known"]), *listed["unknown"])
    ]
    for fact, ask in ASKED:
        pattern = re.compile(expression(ask, fact.names(CORPUS.phrases)), re.IGNORECASE)
        assert not [question for question in plain if pattern.fullmatch(question)], (fact.name, ask)


@given(st.text("abcdefghij klmnop'", min_size=1).filter(str.strip), st.integers())
def test_any_question_survives_typing(question: str, seed: int) -> None:
    assert typed(question.strip(), random.Random(seed)).strip()


def test_the_tokenizer_gives_every_answer_back() -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    for fact in (*CORPUS.facts.values(), *CORPUS.others):
        ids = tokenizer.encode(fact.answer, add_special_tokens=False).ids
        assert tokenizer.decode(ids) == fact.answer


@given(st.text())
def test_the_tokenizer_gives_any_text_back(text: str) -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
