"""Which of two profiles is the stricter: a caller may ask for a stricter one, never a laxer one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catenary.config.v1 import safety_pb2 as pb
from services.safety.profile import PLACES, Profile, Rule, kind_of


def laxer_rule(asked: Profile, own: Profile) -> str:
    """Return the first rule of `own` to which `asked` holds less strictly; empty if there is none.

    The list of what is allowed counts as a rule, named `allow`.
    """
    if not asked.allowed <= own.allowed:
        return "allow"
    rules = {rule.kind: rule for rule in asked.rules}
    configs = {kind_of(rule): rule for rule in asked.config.rules}
    own_configs = {kind_of(rule): rule for rule in own.config.rules}
    for rule in own.rules:
        other = rules.get(rule.kind)
        if other is None or not _holds(other, rule):
            return rule.kind
        if rule.kind in own_configs and not _covers(configs[rule.kind], own_configs[rule.kind]):
            return rule.kind
    return ""


def _holds(asked: Rule, own: Rule) -> bool:
    for place in PLACES:
        if place not in own.handlings:
            continue
        if place not in asked.handlings:
            return False
        theirs, ours = asked.handlings[place], own.handlings[place]
        if theirs.action < ours.action or theirs.threshold > ours.threshold:
            return False
    # An open rule that has less time lets more pass.
    return asked.fails_closed or (not own.fails_closed and asked.deadline_s >= own.deadline_s)


def _covers(asked: pb.SafetyRule, own: pb.SafetyRule) -> bool:
    """Tell whether one detector finds all that the other finds."""
    kind = kind_of(own)
    covers = _COVERS.get(kind)
    return covers is None or covers(getattr(asked, kind), getattr(own, kind))


def _narrows(asked: Any, own: Any) -> bool:
    """Compare lists of which an empty one means everything."""
    return not asked or (bool(own) and set(asked) >= set(own))


def _covers_harm(asked: pb.HarmDetector, own: pb.HarmDetector) -> bool:
    return _narrows(asked.categories, own.categories) and asked.severity <= own.severity


def _covers_deny(asked: pb.DenyDetector, own: pb.DenyDetector) -> bool:
    return _denied(asked) >= _denied(own)


def _denied(deny: pb.DenyDetector) -> set[tuple[str, str]]:
    """Return all that is denied, under whatever name."""
    lists: Sequence[pb.DenyDetector | pb.DenyList] = (deny, *deny.lists)
    phrases = {("phrase", phrase.casefold()) for each in lists for phrase in each.phrases}
    return phrases | {("pattern", pattern) for each in lists for pattern in each.patterns}


def _covers_topics(asked: pb.TopicsDetector, own: pb.TopicsDetector) -> bool:
    theirs = {topic.SerializeToString() for topic in asked.topics}
    ours = {topic.SerializeToString() for topic in own.topics}
    if asked.only != own.only:
        return False
    return theirs <= ours if own.only else theirs >= ours


def _covers_links(asked: pb.LinksDetector, own: pb.LinksDetector) -> bool:
    # Without hosts a link may lead anywhere.
    return not own.hosts or (bool(asked.hosts) and set(asked.hosts) <= set(own.hosts))


_COVERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "harm": _covers_harm,
    "pii": lambda asked, own: (
        _narrows(asked.kinds, own.kinds) and set(asked.ignore) <= set(own.ignore)
    ),
    "deny": _covers_deny,
    "topics": _covers_topics,
    "language": lambda asked, own: set(asked.languages) <= set(own.languages),
    "length": lambda asked, own: asked.max_tokens <= own.max_tokens,
    "links": _covers_links,
}
"""How to compare detectors that are told what to look for."""
