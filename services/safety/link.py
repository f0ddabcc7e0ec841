"""The link that lets nothing denied through, in either direction."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter

from catenary.config.v1 import mesh_pb2 as config_pb
from catenary.v1 import generation_pb2 as pb
from services import errors, telemetry
from services.link import Call, Events, Link
from services.safety.decisions import DENY_LIST, PROFILE, allowed_input
from services.safety.output import Output
from services.safety.phrases import Phrases
from services.safety.prompt import texts

_SLICE_CHARS = 16 * 1024
"""How much of a prompt is read before other calls have their turn: 1 to 3 ms of work."""


@dataclass(frozen=True, slots=True)
class Safety:
    """Refuses prompts that are too long or hold a denied phrase; cuts completions before one."""

    upstream: Link
    max_prompt_chars: int
    deny: Phrases
    findings: Counter

    @classmethod
    def configured(
        cls, upstream: Link, config: config_pb.SafetyConfig, registry: CollectorRegistry
    ) -> Self:
        """Build the link as the configuration says."""
        findings = Counter(
            telemetry.SAFETY_FINDINGS,
            "What safety found and acted on, by detector, verdict and direction (input, output).",
            ("detector", "verdict", "direction"),
            registry=registry,
        )
        return cls(upstream, config.max_prompt_chars, Phrases(config.deny), findings)

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream what may leave of the upstream's events.

        Raises:
            MeshError: INVALID_REQUEST for a prompt that is too long or a profile that does not
                exist, PROMPT_BLOCKED for a denied phrase; the upstream is not called then.
        """
        await self._check(request)
        output = Output(request, self.deny, self._count("output"))
        leaving: Sequence[pb.GenerateResponse] = ()
        async with aclosing(self.upstream.generate(request, call)) as events:
            async for event in events:
                if event.HasField("started"):
                    yield event
                    yield allowed_input()
                elif not self.deny:
                    yield event
                else:
                    leaving = list(output.read(event))
                    if output.blocked:
                        break
                    for safe in leaving:
                        yield safe
            else:
                return
        # Here the upstream has been stopped: what is blocked costs no more while the rest is read.
        for safe in leaving:
            yield safe
        yield output.cut()

    async def _check(self, request: pb.GenerateRequest) -> None:
        profile = request.controls.safety_profile
        if profile not in {"", PROFILE}:
            description = f"there is no safety profile {profile!r}; there is {PROFILE!r}"
            raise errors.invalid_field("controls.safety_profile", description)
        prompt = list(texts(request))
        chars = sum(map(len, prompt))
        if chars > self.max_prompt_chars:
            raise errors.prompt_too_long(chars, self.max_prompt_chars)
        if not self.deny:
            return
        for text in prompt:
            if await self._denies(text):
                self._count("input")()
                raise errors.prompt_blocked(DENY_LIST, DENY_LIST)

    async def _denies(self, text: str) -> bool:
        state = 0
        for start in range(0, len(text), _SLICE_CHARS):
            if start:
                await asyncio.sleep(0)
            piece = text[start : start + _SLICE_CHARS].casefold()
            state, match = self.deny.scan(state, piece)
            if match is not None:
                return True
        return False

    def _count(self, direction: str) -> Callable[[], None]:
        return self.findings.labels(DENY_LIST, "block", direction).inc
