"""The safety link alone, as a process."""

from collections.abc import Sequence

from services.chain import ORDER, SAFETY
from services.checks import checking
from services.process import Process, main
from services.safety import Safety, SafetyChecker, SafetyUnary, set_up
from services.server import Service, generation
from services.unary import services


async def build(process: Process) -> Sequence[Service]:
    """Build the link in front of the cache's process."""
    policies, inspector = await set_up(process)
    max_chars = process.config.safety.max_prompt_chars
    link = Safety(process.upstream_of(SAFETY), policies, inspector, max_chars)
    unary = SafetyUnary(process.unary_of(ORDER[-1]), policies, inspector, max_chars)
    return [
        generation(process.hop(SAFETY, link), process.tracing),
        *services(process.unary_hop(SAFETY, unary), process.tracing),
        checking(SafetyChecker(policies, inspector.looking, max_chars), process.tracing),
    ]


if __name__ == "__main__":
    main(SAFETY, build)
