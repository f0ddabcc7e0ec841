"""The same history has the same placeholders in the next turn."""

import json

import pytest

from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2
from services.safety import detectors
from services.safety.inspection import Case
from services.safety.passages import of_request
from tests import guarding
from tests.fakes import call, request
from tests.safety.stream.rules import Toy
from tests.safety.toys import install

POLICY = """
profiles:
- name: own
  rules:
  - pii: {}
    input: {action: pseudonymise}
    documents: {action: pseudonymise}
"""


async def test_a_later_turn_names_the_values_of_the_earlier_ones_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)
    # One kind for all values, so that they are numbered.
    pii = Toy("email", r"\w+@x\.example", 32)
    monkeypatch.setitem(detectors.FACTORIES, "pii", lambda _: pii)
    read, inspector = guarding.policy(POLICY), guarding.inspector()
    profile = read.profile("default", "")
    case, rules = Case(read, profile, call()), profile.rules
    whole = request("I am b@x.example")
    whole.messages.insert(0, request("a@x.example", role=message_pb2.ROLE_SYSTEM).messages[0])
    answer = whole.messages.add(role=message_pb2.ROLE_ASSISTANT)
    answer.content.add(text="d@x.example will know, b@x.example")
    answer.tool_calls.add(name="t", arguments='{"of": "b@x.example", "by": "e@x.example"}')
    whole.messages.add(role=message_pb2.ROLE_TOOL).content.add(text="c@x.example, f@x.example")
    whole.messages.add(role=message_pb2.ROLE_USER).content.add(text="and g@x.example?")
    before = pb.GenerateRequest()
    for turns in range(1, len(whole.messages) + 1):
        asked = pb.GenerateRequest(messages=whole.messages[:turns])
        # From turn to turn there may be more tools, and another form.
        asked.tools.add(name="t", description="asks c@x.example, then d@x.example")
        for at in range(turns):
            asked.tools.add(name=f"t{at}", description=f"asks t{at}@x.example")
        form = asked.response_format.json_schema
        form.name, form.schema = "form", json.dumps({"const": f"{'ah'[turns % 2]}@x.example"})
        now = (await inspector.inspect(asked, of_request, rules, case, 100_000)).request
        assert "@" not in str(now)
        assert now.messages[: turns - 1] == before.messages
        assert now.tools[: len(before.tools)] == before.tools
        before = now
    assert "[EMAIL_1]" in str(before.messages)
    assert "[SETUP_EMAIL_1]" in str(before.tools)
    inspector.close()
