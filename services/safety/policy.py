"""The policy: safety.yaml, read into profiles, and which profile holds for whom."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from catenary.config.v1 import safety_pb2 as config_pb
from services import errors
from services.config import complete_policy
from services.config.reader import Given, read
from services.safety import detectors
from services.safety.profile import BLOCK, PLACES, Handling, Profile, Rule
from services.safety.strictness import laxer_rule

STANDARD = Path(__file__).with_name("standard.yaml")
"""The policy of a mesh that has none of its own."""

_DENY_S = 2.0
_FIELD = "controls.safety_profile"


@dataclass(frozen=True, slots=True)
class Policy:
    """Every profile, and whose it is."""

    profiles: Mapping[str, Profile]
    default: str
    """The profile of whoever has none of his own."""
    tenants: Mapping[str, str]
    """The profile of each tenant that has one."""
    config: config_pb.SafetyPolicy
    """What was read, with every default."""
    digest: str
    """Changes with anything that the policy says; a SHA-256 in hexadecimal."""

    def profile(self, tenant: str, asked: str) -> Profile:
        """Return the profile to apply: the tenant's own, or the stricter one that is asked for.

        Raises:
            MeshError: INVALID_REQUEST, for a profile that does not exist, or that is laxer.
        """
        own = self.profiles[self.tenants.get(tenant, self.default)]
        if asked in {"", own.name}:
            return own
        stricter = self.named(asked)
        laxer = laxer_rule(stricter, own)
        if laxer:
            problem = f"{asked!r} is laxer than your own, {own.name!r}, in its rule {laxer!r}"
            raise errors.invalid_field(_FIELD, problem)
        return stricter

    def named(self, name: str) -> Profile:
        """Return a profile, whoever it is for.

        Raises:
            MeshError: INVALID_REQUEST, for a profile that does not exist.
        """
        if name not in self.profiles:
            known = ", ".join(map(repr, self.profiles))
            problem = f"there is no safety profile {name!r}; there are {known}"
            raise errors.invalid_field(_FIELD, problem)
        return self.profiles[name]

    def open_to(self, tenant: str) -> list[str]:
        """Return the profiles that a tenant may ask for, its own first."""
        own = self.profiles[self.tenants.get(tenant, self.default)]
        others = (one for one in self.profiles.values() if one is not own)
        return [own.name, *(one.name for one in others if not laxer_rule(one, own))]


def load(file: Path, deny: Sequence[str] = ()) -> Policy:
    """Read the policy of a file; the one that ships, where there is no such file.

    Args:
        file: safety.yaml.
        deny: the phrases of mesh.yaml, denied in every profile.

    Raises:
        ConfigError: the file cannot be read, is not YAML, names an unknown field, or breaks a rule.
    """
    given = read(file if file.exists() else STANDARD, config_pb.SafetyPolicy)
    policy = given.message
    if not policy.profiles:
        policy.profiles.extend(read(STANDARD, config_pb.SafetyPolicy).message.profiles)
    if policy.audit.file:
        policy.audit.file = str(file.resolve().parent / policy.audit.file)
    complete_policy(policy)
    _check_names(given)
    return compiled(given, deny)


def compiled(given: Given[config_pb.SafetyPolicy], deny: Sequence[str]) -> Policy:
    """Build the detectors of a policy that is complete.

    Raises:
        ConfigError: a detector's configuration is no good.
    """
    policy = given.message
    denied = [_denied(deny)] if deny else []
    profiles = {
        profile.name: _profile(given, f"profiles[{index}]", profile, denied)
        for index, profile in enumerate(policy.profiles)
    }
    digest = hashlib.sha256(policy.SerializeToString(deterministic=True))
    digest.update("\0".join(("", *sorted(deny))).encode())
    return Policy(
        profiles=profiles,
        default=policy.default_profile or policy.profiles[0].name,
        tenants=dict(policy.tenants),
        config=policy,
        digest=digest.hexdigest(),
    )


def _check_names(given: Given[config_pb.SafetyPolicy]) -> None:
    policy = given.message
    names = [profile.name for profile in policy.profiles]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise given.error(f"profiles[{index}].name", f"{name!r} stands twice")
    wanted = {f"tenants.{tenant}": name for tenant, name in policy.tenants.items()}
    if policy.default_profile:
        wanted["default_profile"] = policy.default_profile
    for field, name in wanted.items():
        if name not in names:
            raise given.error(field, f"there is no profile {name!r}; there are {', '.join(names)}")


def _profile(
    given: Given[config_pb.SafetyPolicy],
    field: str,
    config: config_pb.SafetyProfile,
    denied: Sequence[Rule],
) -> Profile:
    rules: list[Rule] = []
    for index, rule in enumerate(config.rules):
        built = _rule(given, f"{field}.rules[{index}]", rule)
        if built.kind in [other.kind for other in rules]:
            raise given.error(f"{field}.rules[{index}]", f"{built.kind} has a rule already")
        rules.append(built)
    return Profile(
        name=config.name,
        rules=[*denied, *rules],
        allowed=frozenset(text.casefold() for text in config.allow),
        check_while_generating=config.check_while_generating,
        config=config,
    )


def _rule(given: Given[config_pb.SafetyPolicy], field: str, config: config_pb.SafetyRule) -> Rule:
    kind = config.WhichOneof("detector") or ""
    try:
        detector = detectors.build(config)
    except (OSError, ValueError) as error:
        raise given.error(f"{field}.{kind}", str(error)) from None
    handlings = {}
    for place in PLACES:
        if config.HasField(place):  # type: ignore[arg-type]  # the stubs want literals
            handling: config_pb.SafetyHandling = getattr(config, place)
            threshold = handling.threshold if handling.HasField("threshold") else detector.threshold
            handlings[place] = Handling(handling.action, threshold)
    if not handlings:
        raise given.error(field, "says nothing of input, documents or output")
    if kind == "prompt_leak" and handlings.keys() != {"output"}:
        raise given.error(field, "prompt_leak looks at output alone")
    mode = config.on_failure
    if mode == config_pb.FAILURE_MODE_UNSPECIFIED:
        may_block = any(handling.action == BLOCK for handling in handlings.values())
        mode = config_pb.FAILURE_MODE_CLOSED if may_block else config_pb.FAILURE_MODE_OPEN
    return Rule(
        kind=kind,
        detector=detector,
        handlings=handlings,
        fails_closed=mode == config_pb.FAILURE_MODE_CLOSED,
        deadline_s=config.deadline.ToNanoseconds() / 1e9,
    )


def _denied(phrases: Sequence[str]) -> Rule:
    """Return the rule for the phrases of mesh.yaml."""
    detector = detectors.build(config_pb.SafetyRule(deny=config_pb.DenyDetector(phrases=phrases)))
    block = Handling(BLOCK, detector.threshold)
    return Rule(
        kind="deny_list",
        detector=detector,
        handlings=dict.fromkeys(PLACES, block),
        fails_closed=True,
        deadline_s=_DENY_S,
    )
