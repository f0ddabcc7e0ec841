"""The detectors that there are, by the name of their field in a rule of the policy."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from catenary.config.v1 import safety_pb2 as pb
from services.safety.characters import characters
from services.safety.classifier.detectors import harm, injection
from services.safety.deny import deny
from services.safety.detector import Detector
from services.safety.language import language
from services.safety.length import length
from services.safety.links import links
from services.safety.pii.detector import pii
from services.safety.prompt_leak import prompt_leak
from services.safety.secrets.detector import secrets
from services.safety.topics import topics

FACTORIES: dict[str, Callable[[Any], Detector]] = {
    "injection": injection,
    "harm": harm,
    "pii": pii,
    "secrets": lambda _: secrets(),
    "deny": deny,
    "topics": topics,
    "language": language,
    "length": length,
    "characters": characters,
    "links": links,
    # Built anew for each call, whose system prompts it must know.
    "prompt_leak": lambda _: prompt_leak(()),
}
"""Each makes a detector of its configuration; ValueError where that is no good."""

_MOST_BUILT = 256


def build(rule: pb.SafetyRule) -> Detector:
    """Return the detector of a rule; the same one for the same configuration.

    Raises:
        ValueError: the configuration is no good.
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
    return FACTORIES[kind](getattr(rule, kind))
