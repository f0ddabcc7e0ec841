"""A policy on trial tells what it would do, and does nothing; and a policy's own words."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from catenary.v1 import decision_pb2
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import safety_pb2 as safety_pb
from services.errors import MeshError
from services.safety import SafetyChecker
from services.safety.policies import Policies
from tests.fakes import Scripted, call, delta, finished, request, started, text_of
from tests.guarding import guarded, inspector, policy
from tests.safety.toys import Words, install

RULES = """
profiles:
- name: own{profile}
  rules:
  - pii: {{}}
    input: {{action: pseudonymise}}
    output: {{action: block}}{rule}
  - harm: {{}}
    input: {{action: block}}
"""


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Words]:
    toys = {"pii": Words("pii", ["anna"]), "harm": Words("harm", ["bomb"], reach=0)}
    install(monkeypatch, **toys)
    return toys


def rules(profile: str = "", rule: str = "") -> str:
    return RULES.format(
        profile=f"\n  {profile}" if profile else "", rule=f"\n    {rule}" if rule else ""
    )


async def asked(
    text: str, answer: str, policy_text: str, registry: CollectorRegistry, deny: Sequence[str] = ()
) -> tuple[Scripted, list[pb.GenerateResponse]]:
    upstream = Scripted([started(), delta(answer), finished()])
    link = guarded(upstream, registry, text=policy_text, deny=deny)
    return upstream, [event async for event in link.generate(request(text), call())]


@pytest.mark.usefixtures("toys")
async def test_a_profile_that_runs_dry_only_tells() -> None:
    registry = CollectorRegistry()
    upstream, events = await asked(
        "anna wants a bomb", "so does anna", rules("dry_run: true"), registry
    )
    [passed] = upstream.requests
    assert passed.messages[0].content[0].text == "anna wants a bomb"
    assert text_of(events) == "so does anna"
    told = [event.decision.safety for event in events if event.decision.HasField("safety")]
    assert all(decision.verdict == decision_pb2.VERDICT_ALLOW for decision in told)
    assert [
        (finding.detector, finding.verdict, finding.would)
        for decision in told
        for finding in decision.findings
    ] == [
        ("harm", decision_pb2.VERDICT_ALLOW, decision_pb2.VERDICT_BLOCK),
        ("pii", decision_pb2.VERDICT_ALLOW, decision_pb2.VERDICT_PSEUDONYMISE),
        ("pii", decision_pb2.VERDICT_ALLOW, decision_pb2.VERDICT_BLOCK),
    ]
    counted = {
        sample.labels["verdict"]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "catenary_safety_findings_total"
    }
    assert counted == {"would_block", "would_pseudonymise"}


@pytest.mark.usefixtures("toys")
async def test_a_rule_may_run_dry_alone_and_what_the_mesh_denies_stays_denied() -> None:
    text = rules(rule="dry_run: true")
    upstream, _ = await asked("for anna", "anna", text, CollectorRegistry())
    assert upstream.requests[0].messages[0].content[0].text == "for anna"
    with pytest.raises(MeshError, match="blocked by the safety policy"):
        await asked("a bomb for anna", "", text, CollectorRegistry())
    with pytest.raises(MeshError, match="blocked by the safety policy"):
        await asked("open sesame", "", rules("dry_run: true"), CollectorRegistry(), ["sesame"])


async def test_a_detector_that_fails_in_a_dry_run_blocks_nothing(toys: dict[str, Words]) -> None:
    toys["harm"].fails = True
    text = rules("dry_run: true") + "    on_failure: closed\n"
    upstream, _ = await asked("fine", "fine", text, CollectorRegistry())
    assert upstream.requests


@pytest.mark.usefixtures("toys")
def test_a_profile_that_runs_dry_is_laxer_than_one_in_force() -> None:
    trial = "- {name: trial, extends: own, dry_run: true}\n"
    read = policy(rules() + trial)
    with pytest.raises(MeshError, match="laxer than your own, 'own', in its rule 'pii'"):
        read.profile("default", "trial")


@pytest.mark.usefixtures("toys")
async def test_a_check_tells_what_would_be_done() -> None:
    policies = Policies(policy(rules("dry_run: true")))
    checker = SafetyChecker(policies, inspector().looking, 1000)
    told = await checker.check(safety_pb.CheckRequest(text="for anna"), call())
    assert (told.verdict, told.text) == (decision_pb2.VERDICT_ALLOW, "for anna")
    assert told.findings[0].finding.would == decision_pb2.VERDICT_PSEUDONYMISE


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (rules("refusal: Ask the desk."), "Ask the desk."),
        (rules("refusal: Ask the desk.") + "    refusal: No bombs.\n", "No bombs."),
        (rules(), "the prompt was blocked by the safety policy (harm: bomb)"),
    ],
)
async def test_a_blocked_prompt_is_refused_in_the_policys_own_words(text: str, told: str) -> None:
    with pytest.raises(MeshError) as caught:
        await asked("a bomb", "", text, CollectorRegistry())
    assert caught.value.message == told
    assert caught.value.metadata == {"detector": "harm", "category": "bomb"}


@pytest.mark.usefixtures("toys")
async def test_an_answer_that_is_cut_tells_the_policys_own_words() -> None:
    text = rules(rule="refusal: That is private.")
    _, events = await asked("hello", "it is anna", text, CollectorRegistry())
    [told] = [
        event.decision.safety
        for event in events
        if event.decision.safety.verdict == decision_pb2.VERDICT_BLOCK
    ]
    assert told.refusal == "That is private."
