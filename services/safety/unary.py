"""The safety link's part in what is no stream: texts to embed, and conversations to count."""

from collections.abc import Sequence
from dataclasses import dataclass

from catenary.v1 import embeddings_pb2, tokens_pb2
from services.link import Call
from services.safety import passages
from services.safety.inspection import Case, Inspector
from services.safety.policies import Policies
from services.safety.profile import Profile, Rule
from services.unary import Unary


@dataclass(frozen=True, slots=True)
class SafetyUnary:
    """Passes on texts without what may not go up.

    A vector follows no instruction, and does no harm: detectors that judge texts as a whole are not
    asked. What these would find is found where the text reaches a model that answers.
    """

    upstream: Unary
    policies: Policies
    inspector: Inspector
    max_chars: int

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text, as it may go up.

        Raises:
            MeshError: what `Inspector.inspect` raises, or the upstream's own.
        """
        case = self._case(call)
        rules = _spanning(case.profile)
        passed = await self.inspector.inspect(
            request, passages.of_texts, rules, case, self.max_chars, field="texts"
        )
        return await self.upstream.embed(passed.request, call)

    async def count_tokens(
        self, request: tokens_pb2.CountTokensRequest, call: Call
    ) -> tokens_pb2.CountTokensResponse:
        """Return the tokens of the prompt that a conversation makes, as it may go up.

        Raises:
            MeshError: what `Inspector.inspect` raises, or the upstream's own.
        """
        case = self._case(call)
        rules = _spanning(case.profile)
        passed = await self.inspector.inspect(
            request, passages.of_conversation, rules, case, self.max_chars
        )
        return await self.upstream.count_tokens(passed.request, call)

    def _case(self, call: Call) -> Case:
        policy = self.policies.policy
        return Case(policy, policy.profile(call.tenant, ""), call)


def _spanning(profile: Profile) -> Sequence[Rule]:
    return [rule for rule in profile.rules_for("input", "documents") if rule.detector.reach]
