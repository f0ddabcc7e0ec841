"""The policy in force, from one moment to the next."""

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from catenary.config.v1 import safety_pb2 as config_pb
from services import reload
from services.config import ConfigError
from services.config.reader import Given
from services.process import Process
from services.safety.policy import STANDARD, Policy, compiled, load, read_policy

logger = logging.getLogger(__name__)


class Policies:
    """What holds now; a call keeps to its end what held when it came."""

    def __init__(self, policy: Policy, refusal: str = "") -> None:
        self.policy = policy
        self.refusal = refusal
        """Why the file, as it stands, is not the policy in force; empty while it is."""

    def refuse(self, error: ConfigError) -> None:
        """Keep what holds: the file has changed, and cannot be used."""
        self.refusal = error.refusal

    def take(self, policy: Policy) -> None:
        """Follow this policy from now on."""
        self.policy = policy
        self.refusal = ""


async def followed(process: Process) -> Policies:
    """Read the policy, and follow its file for as long as the process serves.

    It is read in a thread: its models take a second, in which the engines load theirs.

    Raises:
        ConfigError: the file cannot be used, and there is no policy that was in force before.
    """
    file, kept, deny = process.policy_file, process.policy_kept, process.config.safety.deny
    taken = reload.snapshot(file)
    policies = await asyncio.to_thread(_first, file, kept, deny)

    def following() -> Policy:
        policy = load(file, deny)
        _keep(policy, kept)
        return policy

    process.follow(file, taken, following, policies.take, policies.refuse)
    return policies


def _first(file: Path, kept: Path | None, deny: Sequence[str]) -> Policies:
    """Return the file's policy; the one that was in force last, where the file cannot be used."""
    before = kept if kept is not None and kept.exists() else None
    try:
        policy = _read(file, before, deny)
    except ConfigError as error:
        if before is None:
            raise
        logger.error("configuration refused", extra={"problem": str(error)})  # noqa: TRY400
        return Policies(_kept(file, before, deny), error.refusal)
    _keep(policy, kept)
    return Policies(policy)


def _read(file: Path, before: Path | None, deny: Sequence[str]) -> Policy:
    """Read the file's policy; the one that ships only where there was no other before.

    Raises:
        ConfigError: the file cannot be used, or is there no more.
    """
    policy = load(file, deny)
    if before and not policy.file and _kept(file, before, deny).digest != policy.digest:
        raise ConfigError(file, 0, "", reload.GONE)
    return policy


def _kept(file: Path, kept: Path, deny: Sequence[str]) -> Policy:
    """Build the policy that was in force last: this file's, or the one that ships."""
    policy = config_pb.SafetyPolicy.FromString(kept.read_bytes())
    ships = policy == read_policy(STANDARD).message
    return compiled(Given(STANDARD if ships else file, policy, {}), deny)


def _keep(policy: Policy, kept: Path | None) -> None:
    if kept is None:
        return
    try:
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=f".{kept.name}.") as beside:
            written = Path(beside) / kept.name
            # Words that are denied may be nobody's business.
            written.touch(0o600)
            written.write_bytes(policy.config.SerializeToString())
            written.replace(kept)
    except OSError as error:
        raise ConfigError(kept, 0, "", f"cannot be written: {error.strerror}") from None
