import json

import jinja2
import pytest
from jinja2.sandbox import SandboxedEnvironment
from tokenizers import Tokenizer

from training.pocket.evaluate import Pocket, verdicts
from training.pocket.shape import FOLDER, Shape, generation_config, hugging_face_config
from training.pocket.tokenizer import BOS, EOS, SPECIAL, TEMPLATE, special_ids, tokenizer_config


@pytest.fixture(scope="module")
def pocket() -> Pocket:
    return Pocket(FOLDER)


def test_plain_questions_get_right_whole_answers(pocket: Pocket) -> None:
    judged = list(verdicts(pocket))
    assert len(judged) >= 25
    assert [verdict for verdict in judged if verdict.lacks] == []


def test_a_follow_up_is_understood(pocket: Pocket) -> None:
    question = {"role": "user", "content": "What does the cache do?"}
    first, _ = pocket.answer([question])
    answer = {"role": "assistant", "content": first}
    second, _ = pocket.answer([question, answer, {"role": "user", "content": "And the next one?"}])
    assert "router" in second


def test_a_system_message_changes_nothing_of_substance(pocket: Pocket) -> None:
    system = {"role": "system", "content": "You are a helpful assistant."}
    answer, _ = pocket.answer([system, {"role": "user", "content": "Which port is Triton on?"}])
    assert "8001" in answer


def test_a_prompt_as_long_as_the_context_is_read(pocket: Pocket) -> None:
    pocket.sampling.max_new_tokens = 4
    answer, _ = pocket.ask("cache " * (Shape().context_tokens - 20))
    assert answer


def test_all_files_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 12_000_000


def test_stored_configuration_is_the_one_in_the_code() -> None:
    ids = special_ids()
    expected = {
        "config.json": hugging_face_config(Shape(), ids),
        "generation_config.json": generation_config(ids),
        "tokenizer_config.json": tokenizer_config(Shape().context_tokens),
    }
    for name, content in expected.items():
        assert json.loads((FOLDER / name).read_text(encoding="utf-8")) == content, name
    assert (FOLDER / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE


def test_special_tokens_have_the_ids_that_the_code_expects() -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == list(range(len(SPECIAL)))
    assert tokenizer.get_vocab_size() == Shape().vocabulary


def render(messages: list[dict[str, object]]) -> str:
    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    template = SandboxedEnvironment().from_string(TEMPLATE)
    return template.render(
        messages=messages,
        bos_token=BOS,
        eos_token=EOS,
        add_generation_prompt=True,
        raise_exception=raise_exception,
    )


def test_the_template_writes_every_role() -> None:
    call = {"function": {"name": "look", "arguments": '{"at": 1}'}}
    assert render(
        [
            {"role": "system", "content": " Be kind. "},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "one"},
        ]
    ) == (
        "<|begin|><|system|>Be kind.<|end|><|user|>Hi<|end|>"
        '<|assistant|>\nlook {"at": 1}<|end|><|tool|>one<|end|><|assistant|>'
    )


def test_the_template_refuses_an_unknown_role() -> None:
    with pytest.raises(jinja2.TemplateError, match="unknown role wizard"):
        render([{"role": "wizard", "content": "abracadabra"}])
