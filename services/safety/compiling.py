"""Builds the rules of a profile of what the policy says, and refuses what makes no sense."""

from collections.abc import Sequence

from catenary.config.v1 import safety_pb2 as config_pb
from services.config.reader import Given
from services.safety import detectors
from services.safety.detector import Detector
from services.safety.profile import (
    ALLOW,
    BLOCK,
    PLACES,
    REWRITING,
    Handling,
    Profile,
    Rule,
    kind_of,
)

_DENY_S = 2.0
_WHOLE = ("injection", "harm", "topics", "language", "length")
"""What judges texts as a whole."""


def check_rules(given: Given[config_pb.SafetyPolicy]) -> None:
    """Refuse what can be told of rules without loading their detectors' models.

    Raises:
        ConfigError: a rule makes no sense.
    """
    for at, profile in enumerate(given.message.profiles):
        kinds: list[str] = []
        for index, rule in enumerate(profile.rules):
            field, kind = f"profiles[{at}].rules[{index}]", kind_of(rule)
            if kind in kinds:
                raise given.error(field, f"{kind} has a rule already")
            kinds.append(kind)
            _check_places(given, field, rule)
            try:
                detectors.check(rule)
            except ValueError as error:
                raise given.error(f"{field}.{kind}", str(error)) from None


def _check_places(
    given: Given[config_pb.SafetyPolicy], field: str, rule: config_pb.SafetyRule
) -> None:
    kind, places = kind_of(rule), _places(rule)
    if not places:
        raise given.error(field, "says nothing of input, documents or output")
    if kind == "prompt_leak" and places != ["output"]:
        raise given.error(field, "prompt_leak looks at output alone")
    for place in places:
        if kind in _WHOLE and getattr(rule, place).action in REWRITING:
            problem = f"{kind} judges texts as a whole: it can only allow or block them"
            raise given.error(f"{field}.{place}.action", problem)


def profile(
    given: Given[config_pb.SafetyPolicy],
    field: str,
    config: config_pb.SafetyProfile,
    denied: Sequence[str],
) -> Profile:
    """Build a profile that has been checked.

    Args:
        given: the policy.
        field: where in it the profile stands.
        config: the profile.
        denied: the phrases of mesh.yaml.

    Raises:
        ConfigError: a detector cannot be built.
    """
    rules = [_denied(denied)] if denied else []
    for index, rule in enumerate(config.rules):
        rules.append(_rule(given, f"{field}.rules[{index}]", rule, dry=config.dry_run))
    return Profile(
        name=config.name,
        rules=rules,
        allowed=frozenset(text.casefold() for text in config.allow),
        check_while_generating=config.check_while_generating,
        config=config,
    )


def _rule(
    given: Given[config_pb.SafetyPolicy], field: str, config: config_pb.SafetyRule, *, dry: bool
) -> Rule:
    kind, dry = kind_of(config), dry or config.dry_run
    try:
        detector = detectors.build(config)
    except (OSError, ValueError) as error:
        raise given.error(f"{field}.{kind}", str(error)) from None
    handlings = {
        place: _handling(given, f"{field}.{place}", getattr(config, place), detector, dry=dry)
        for place in _places(config)
    }
    mode = config.on_failure
    if mode == config_pb.FAILURE_MODE_UNSPECIFIED:
        acts = any(done.action != ALLOW for done in handlings.values())
        mode = config_pb.FAILURE_MODE_CLOSED if acts else config_pb.FAILURE_MODE_OPEN
    return Rule(
        kind=kind,
        detector=detector,
        handlings=handlings,
        fails_closed=mode == config_pb.FAILURE_MODE_CLOSED and not dry,
        deadline_s=config.deadline.ToNanoseconds() / 1e9,
    )


def _handling(
    given: Given[config_pb.SafetyPolicy],
    field: str,
    config: config_pb.SafetyHandling,
    detector: Detector,
    *,
    dry: bool,
) -> Handling:
    threshold = _exact(config.threshold) if config.HasField("threshold") else detector.threshold
    tell_from = _exact(config.tell_from) if config.HasField("tell_from") else threshold
    if tell_from > threshold:
        problem = f"is above the threshold, {threshold:g}: what is found from there on is told"
        raise given.error(f"{field}.tell_from", problem)
    if dry and config.action != ALLOW:
        return Handling(ALLOW, threshold, tell_from, would=config.action)
    return Handling(config.action, threshold, tell_from)


def _exact(score: float) -> float:
    """Return a score as it was written: in 32 bits 0.3 is a little more than it is in 64."""
    return round(score, 6)


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


def _places(rule: config_pb.SafetyRule) -> list[str]:
    return [place for place in PLACES if rule.HasField(place)]  # type: ignore[arg-type]  # the stubs want literals
