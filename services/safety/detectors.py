"""The detectors that there are, by the name of their field in a rule of the policy."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from catenary.config.v1 import safety_pb2 as pb
from services.safety.characters import characters
from services.safety.classifier.categories import check_categories
from services.safety.deny import check_deny, deny
from services.safety.detector import Detector
from services.safety.language import check_languages, language
from services.safety.length import length
from services.safety.links import links
from services.safety.pii.categories import check_kinds
from services.safety.pii.detector import pii
from services.safety.prompt_leak import prompt_leak
from services.safety.secrets.detector import secrets


def _injection(config: pb.InjectionDetector) -> Detector:
    from services.safety.classifier.detectors import injection  # noqa: PLC0415 - see FACTORIES

    return injection(config)


def _harm(config: pb.HarmDetector) -> Detector:
    from services.safety.classifier.detectors import harm  # noqa: PLC0415 - see FACTORIES

    return harm(config)


def _topics(config: pb.TopicsDetector) -> Detector:
    from services.safety.topics import topics  # noqa: PLC0415 - see FACTORIES

    return topics(config)


FACTORIES: dict[str, Callable[[Any], Detector]] = {
    "injection": _injection,
    "harm": _harm,
    "pii": pii,
    "secrets": lambda _: secrets(),
    "deny": deny,
    "topics": _topics,
    "language": language,
    "length": length,
    "characters": characters,
    "links": links,
    # Built anew for each call, whose system prompts it must know.
    "prompt_leak": lambda _: prompt_leak(()),
}
"""Each makes a detector of its configuration; ValueError where that is no good.

Those with a model import what runs it, which is large and need not be installed, only when wanted.
"""

_MOST_BUILT = 256

_CHECKS: dict[str, Callable[[Any], object]] = {
    "harm": lambda config: check_categories(config.categories),
    "pii": lambda config: check_kinds((*config.kinds, *config.ignore)),
    "deny": check_deny,
    "language": lambda config: check_languages(config.languages),
    "links": links,
}
"""Each refuses what its detector would refuse, without loading any model."""


def check(rule: pb.SafetyRule) -> None:
    """Look at what a detector is told to look for, without building it.

    Raises:
        ValueError: it makes no sense.
    """
    kind = rule.WhichOneof("detector") or ""
    if kind in _CHECKS:
        _CHECKS[kind](getattr(rule, kind))


def build(rule: pb.SafetyRule) -> Detector:
    """Return the detector of a rule; the same one for the same configuration.

    Raises:
        ValueError: the configuration is no good, or what the detector runs on is not installed.
        OSError: a file that the detector is made of is missing.
    """
    kind = rule.WhichOneof("detector") or ""
    only = pb.SafetyRule()
    getattr(only, kind).CopyFrom(getattr(rule, kind))
    return _build(only.SerializeToString(deterministic=True))


@lru_cache(maxsize=_MOST_BUILT)
def _build(config: bytes) -> Detector:
    rule = pb.SafetyRule.FromString(config)
    kind = rule.WhichOneof("detector") or ""
    try:
        return FACTORIES[kind](getattr(rule, kind))
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed: pip install 'catenary[safety]'"
        raise ValueError(missing) from None
