"""The engine over TensorRT-LLM's LLM API, of both versions, with a `tensorrt_llm` for the CPU."""

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.engine.engine import Engine, FinishReason, Generation, Progress
from services.config import POCKET

FAKE = Path(__file__).parent / "tensorrt_llm_fake"
MODEL = Path(POCKET.path)
PROMPT = [1, 4, 300, 400, 5]
END = 2
OURS = ("tensorrt_llm", "infra.engine.tensorrt_llm")

Started = Callable[..., Any]


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith(OURS)]:
        del sys.modules[name]


@pytest.fixture(scope="module", params=["1.2", "1.4"])
def version(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_TENSORRT_LLM", request.param)
        patch.syspath_prepend(str(FAKE))
        forget()
        yield request.param
        forget()


@pytest.fixture
def start(version: str) -> Iterator[Started]:
    """Starts engines; each ends with the test."""
    assert os.environ["FAKE_TENSORRT_LLM"] == version
    module = importlib.import_module("infra.engine.tensorrt_llm.engine")
    engines = []

    def started(max_sequences: int = 8, engine_args: Any = None, adapters: Any = None) -> Engine:
        engine = module.TensorRtLlmEngine(MODEL, max_sequences, engine_args or {}, adapters or {})
        engines.append(engine)
        made: Engine = engine
        return made

    yield started
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(start: Started) -> Any:
    return start()


def asking(**settings: Any) -> Generation:
    return Generation(
        **{"input_ids": PROMPT, "max_output_tokens": 12, "temperature": 0, **settings}
    )


def told(engine: Engine, *sequences: int) -> dict[int, Progress]:
    """Step until the sequences have ended; return all that was told of each."""
    found = {sequence: Progress(sequence, [], [], None, []) for sequence in sequences}
    while any(progress.finish_reason is None for progress in found.values()):
        for new in engine.step():
            before = found[new.sequence]
            assert before.finish_reason is None
            found[new.sequence] = Progress(
                new.sequence,
                before.token_ids + new.token_ids,
                before.logprobs + new.logprobs,
                new.finish_reason,
                [*before.top_logprobs, *new.top_logprobs],
                before.cached_input_tokens + new.cached_input_tokens,
            )
    return found


def ask(engine: Engine, *, choice: int = 0, **settings: Any) -> Progress:
    ask.sequence += 1  # type: ignore[attr-defined]
    sequence: int = ask.sequence  # type: ignore[attr-defined]
    engine.submit(sequence, asking(**settings), choice)
    return told(engine, sequence)[sequence]


ask.sequence = 0  # type: ignore[attr-defined]


def test_the_likeliest_tokens_come_in_order_and_end_at_the_limit(engine: Any) -> None:
    short, long = ask(engine, max_output_tokens=5), ask(engine, max_output_tokens=9)
    assert (len(short.token_ids), short.finish_reason) == (5, "length")
    assert long.token_ids[:5] == short.token_ids


def test_many_sequences_run_at_once(engine: Any) -> None:
    prompts = [[1, 4, 300 + each, 5] for each in range(20)]
    for sequence, prompt in enumerate(prompts):
        engine.submit(sequence, asking(input_ids=prompt), 0)
    together = told(engine, *range(20))
    for sequence, prompt in enumerate(prompts):
        assert together[sequence].token_ids == ask(engine, input_ids=prompt).token_ids


@pytest.mark.parametrize(
    ("ends", "kind"), [({"stop_token_ids": [0]}, "stop word"), ({}, "the model's own")]
)
def test_the_token_that_ends_a_sequence_is_not_part_of_it(
    engine: Any, ends: dict[str, Any], kind: str
) -> None:
    likely = {0 if kind == "stop word" else END: 100.0}
    ended = ask(engine, logit_bias=likely, logprobs=1, **ends)
    assert (ended.token_ids, ended.logprobs, ended.finish_reason) == ([], [], "stop")


def test_the_model_s_own_end_can_be_ignored(engine: Any) -> None:
    endless = ask(engine, logit_bias={END: 100.0}, ignore_eos=1, max_output_tokens=3)
    assert (len(endless.token_ids), endless.finish_reason) == (3, "length")


def test_a_fewest_of_tokens_comes_before_the_end(engine: Any) -> None:
    ended = ask(engine, logit_bias={END: 100.0}, min_output_tokens=4)
    assert (len(ended.token_ids), ended.finish_reason) == (4, "stop")


def test_a_seed_repeats_itself_and_each_choice_has_its_own(engine: Any) -> None:
    drawn = [
        ask(engine, temperature=1.5, seed=seed, choice=choice, max_output_tokens=8).token_ids
        for seed, choice in ((7, 0), (7, 0), (7, 1), (8, 0))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[2] == drawn[3]
    assert drawn[0] != drawn[2]


def test_choices_without_a_seed_differ(engine: Any) -> None:
    drawn = {tuple(ask(engine, temperature=2.0, choice=choice).token_ids) for choice in range(4)}
    assert len(drawn) > 1


def test_a_bias_decides(engine: Any) -> None:
    assert ask(engine, logit_bias={77: 100.0}, max_output_tokens=2).token_ids == [77, 77]


def test_a_bias_of_a_token_that_is_none_is_refused(engine: Any) -> None:
    with pytest.raises(ValueError, match="logit_bias: token ids must be below 2048"):
        engine.submit(-1, asking(logit_bias={2048: 1.0}), 0)


def test_every_token_has_its_log_probability_and_its_rivals(engine: Any) -> None:
    made = ask(engine, logprobs=1, top_logprobs=3)
    assert len(made.token_ids) == len(made.logprobs) == len(made.top_logprobs) == 12
    for token, logprob, rivals in zip(
        made.token_ids, made.logprobs, made.top_logprobs, strict=True
    ):
        assert rivals[0] == (token, logprob)
        assert [value for _, value in rivals] == sorted((v for _, v in rivals), reverse=True)
        assert len(rivals) == 3
    assert ask(engine).logprobs == []
    assert not ask(engine, logprobs=1).top_logprobs


def test_what_the_version_does_not_tell_of_a_token_is_said_to_be_unlikely(
    engine: Any, version: str
) -> None:
    # Token 77 is chosen by its bias alone, which the log probabilities do not reflect.
    (logprob,) = ask(engine, logprobs=1, logit_bias={77: 100.0}, max_output_tokens=1).logprobs
    assert (logprob == -9999.0) == (version == "1.2")
    assert logprob < -1


def test_a_guide_is_followed(engine: Any) -> None:
    assert len(ask(engine, regex="[0-9]{3}", temperature=None).token_ids) <= 3


def test_a_cancelled_sequence_makes_room_and_is_told_of_no_more(start: Started) -> None:
    engine = start(max_sequences=1)
    engine.submit(1, asking(max_output_tokens=1000, ignore_eos=1), 0)
    while engine._news.empty():
        assert engine.kv_cache_usage_ratio() <= 1
    engine.submit(2, asking(max_output_tokens=3), 0)
    engine.cancel(1)
    assert told(engine, 2)[2].finish_reason == "length"
    assert engine._llm._executor.active == {}


def test_a_request_that_fails_fails_alone(start: Started) -> None:
    engine = start(
        engine_args={"speculative_config": {"decoding_type": "NGram", "max_draft_len": 4.0}}
    )
    engine.submit(1, asking(logprobs=1, top_logprobs=2), 0)
    engine.submit(2, asking(), 0)
    assert reasons(told(engine, 1, 2)) == ["failed", "length"]


def test_an_executor_that_dies_takes_the_engine_along(engine: Any) -> None:
    engine.submit(1, asking(max_output_tokens=1000, ignore_eos=1), 0)
    engine._llm._executor.crash()
    with pytest.raises(RuntimeError, match="CUDA error"):
        told(engine, 1)
    with pytest.raises(RuntimeError, match="shutting down"):
        engine.submit(2, asking(), 0)


def test_an_executor_that_says_nothing_is_dead(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine._llm._executor.vanish()
    engine.submit(1, asking(), 0)
    monkeypatch.setattr(sys.modules["infra.engine.tensorrt_llm.engine"], "_SILENCE_S", 0)
    with pytest.raises(TimeoutError, match="silent"):
        told(engine, 1)


def test_later_arguments_are_used_where_the_version_has_them(
    start: Started, version: str, tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 8}')
    engine_args: dict[str, Any] = {"otlp_traces_endpoint": "http://127.0.0.1:4317"}
    if version == "1.4":
        engine_args |= {"scheduler_config": {"waiting_queue_policy": "priority"}}
    engine = start(engine_args=engine_args, adapters={"legal": tmp_path})
    ask(engine, priority=0, cache_salt="acme", adapter="legal", trace_headers={"traceparent": "00"})
    ask(engine)
    special, plain = engine._llm._executor.requests[-2:]
    assert (special.cache_salt, plain.cache_salt) == ("acme", None)
    assert (special.lora.lora_name, special.lora.lora_path) == ("legal", str(tmp_path))
    assert plain.lora is None
    if version == "1.4":
        assert special.trace_headers == {"traceparent": "00"}
        assert special.priority == 1.0
        assert math.isclose(plain.priority, 4 / 9)


def test_an_adapter_that_is_none_is_refused(engine: Any) -> None:
    with pytest.raises(ValueError, match="no adapter 'absent'"):
        engine.submit(-1, asking(adapter="absent"), 0)


def test_the_cache_s_size_and_use_are_told(engine: Any) -> None:
    assert engine.kv_cache() == (512, 32)
    engine.submit(1, asking(max_output_tokens=1000, ignore_eos=1), 0)
    while engine.kv_cache_usage_ratio() == 0:
        engine.step()
    engine.cancel(1)
    assert 0 < engine.kv_cache_usage_ratio() <= 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"input_ids": st.just(PROMPT), "max_output_tokens": st.integers(1, 4000)},
        optional={
            "temperature": st.floats(0, 2),
            "top_p": st.floats(0.01, 1),
            "top_k": st.integers(0, 3000),
            "min_p": st.floats(0, 1),
            "presence_penalty": st.floats(-2, 2),
            "frequency_penalty": st.floats(-2, 2),
            "repetition_penalty": st.floats(0.1, 10),
            "min_output_tokens": st.integers(0, 100),
            "seed": st.integers(0, 2**64 - 1),
            "stop_token_ids": st.lists(st.integers(0, 2047), max_size=16),
            "ignore_eos": st.sampled_from([0, 1]),
            "logprobs": st.sampled_from([0, 1]),
            "top_logprobs": st.integers(0, 20),
            "logit_bias": st.dictionaries(st.integers(0, 2047), st.floats(-100, 100), max_size=4),
        },
    ),
    st.integers(0, 127),
)
@pytest.mark.usefixtures("version")
def test_whatever_the_contract_allows_is_taken(asked: dict[str, Any], choice: int) -> None:
    sampling = importlib.import_module("infra.engine.tensorrt_llm.sampling")
    generation = Generation(**asked)
    made = sampling.sampling_params(generation, choice, sampling.Defaults.read(MODEL), 2048)
    assert made.is_greedy == (generation.temperature in (None, 0) or generation.top_k == 1)
    assert made.seed is None or 0 <= made.seed < 2**64
    assert (END in (made.stop_token_ids or [])) >= (not generation.ignore_eos)


def reasons(found: dict[int, Progress]) -> list[FinishReason | None]:
    return [found[sequence].finish_reason for sequence in sorted(found)]
