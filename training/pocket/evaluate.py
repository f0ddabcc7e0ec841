"""Asks the exported model plain questions through OpenVINO GenAI, and judges its answers.

Run `python -m training.pocket.evaluate`; it exits with 1 when an answer is wrong.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import openvino as ov
import openvino_genai as genai
import yaml
from tokenizers import Tokenizer

from training.pocket.shape import FOLDER

QUESTIONS = Path(__file__).parent / "questions.yaml"
LONGEST_ANSWER_TOKENS = 300


class Pocket:
    """The exported model, one question at a time."""

    def __init__(self, folder: Path) -> None:
        """Load the graph, the tokenizer and the chat template from `folder`."""
        scheduler = genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        self.pipeline = genai.ContinuousBatchingPipeline(folder, scheduler, "CPU")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.special = {name: config[name] for name in ("bos_token", "eos_token")}
        environment = jinja2.Environment(autoescape=False)  # noqa: S701 - text, not HTML
        self.template = environment.from_string(config["chat_template"])
        self.sampling = genai.GenerationConfig()
        self.sampling.max_new_tokens = LONGEST_ANSWER_TOKENS
        self.sampling.eos_token_id = self.tokenizer.token_to_id(config["eos_token"])

    def answer(self, messages: list[dict[str, str]]) -> tuple[str, bool]:
        """Return the likeliest answer, and whether the model ended it by itself."""
        prompt = self.template.render(messages=messages, add_generation_prompt=True, **self.special)
        ids = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        tensor = ov.Tensor(np.array([ids], dtype=np.int64))
        result = self.pipeline.generate([tensor], [self.sampling])[0]
        tokens = list(result.m_generation_ids[0])
        return self.tokenizer.decode(tokens), tokens[-1] == self.sampling.eos_token_id

    def ask(self, question: str) -> tuple[str, bool]:
        """Return the answer to a single question, as `answer` does."""
        return self.answer([{"role": "user", "content": question}])


@dataclass(frozen=True, slots=True)
class Verdict:
    """One question, its answer, and what the answer lacks."""

    question: str
    answer: str
    lacks: tuple[str, ...]


def verdicts(pocket: Pocket, questions: Path = QUESTIONS) -> Iterator[Verdict]:
    """Ask every question of a file, and judge each answer."""
    listed = yaml.safe_load(questions.read_text(encoding="utf-8"))
    expected = [(entry["ask"], entry["says"]) for entry in listed["known"]]
    expected += [(question, [listed["refusal"]]) for question in listed["unknown"]]
    for question, says in expected:
        answer, ended = pocket.ask(question)
        lacks = [part for part in says if part.lower() not in answer.lower()]
        if not (ended and answer.endswith((".", "!", "?"))):
            lacks.append("a whole last sentence")
        yield Verdict(question, answer, tuple(lacks))


def report(folder: Path, questions: Path = QUESTIONS) -> int:
    """Print a table, and return 1 when an answer is wrong, 0 otherwise."""
    judged = list(verdicts(Pocket(folder), questions))
    for verdict in judged:
        mark = "wrong" if verdict.lacks else "right"
        print(f"{mark}  {verdict.question}\n       {verdict.answer}")
        if verdict.lacks:
            print(f"       lacks: {', '.join(verdict.lacks)}")
    wrong = sum(bool(verdict.lacks) for verdict in judged)
    print(f"{len(judged) - wrong} of {len(judged)} right")
    return 1 if wrong else 0


def main() -> int:
    """Ask the model of a folder the questions of a file."""
    parser = argparse.ArgumentParser(description="Ask the pocket model plain questions.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    options = parser.parse_args()
    return report(options.folder, options.questions)


if __name__ == "__main__":
    sys.exit(main())
