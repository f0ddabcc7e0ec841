"""A profile's rules for what the model says, as the output filter asks them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from services.safety.detector import Detector, Text
from services.safety.escapes import Unescaped
from services.safety.looking import Looking
from services.safety.profile import BLOCK, PSEUDONYMISE, REDACT, Profile, Rule
from services.safety.prompt_leak import prompt_leak
from services.safety.stream.rules import Judged


class AnswerRules:
    """The rules of one call.

    Detectors with a reach are quick, and asked where the filter runs. Those that judge texts as a
    whole are asked in threads, and given no more time than their rule has.
    """

    def __init__(self, profile: Profile, system: Sequence[str], looking: Looking) -> None:
        """Choose the rules.

        Args:
            profile: what holds for the caller.
            system: the texts that the answer must not tell.
            looking: where detectors look.
        """
        rules = _chosen(profile, tuple(filter(None, system)))
        whole = [rule for rule in rules if not rule.detector.reach]
        self.profile = profile.name
        self.detectors: Sequence[Detector] = [rule.detector for rule in rules]
        self.holds_sentences = any(
            rule.handlings["output"].action == BLOCK or rule.fails_closed for rule in whole
        )
        self.unjudged_chars = 0
        """Characters that came since a text was judged as a whole."""
        self._spanning = [rule for rule in rules if rule.detector.reach]
        self._whole = whole
        self._allowed = profile.allowed
        self._looking = looking

    def judged(self, text: Text) -> Sequence[Judged]:
        """Return what detectors with a reach find, also in what JSON's escapes in it stand for."""
        found = self._found(text)
        meant = Unescaped(text.raw)
        if meant.text != text.raw:
            escaped = self._found(replace(text, raw=meant.text))
            moved = [_moved(one, *meant.raw_span(one.start, one.end)) for one in escaped]
            found += [one for one in moved if not any(_is_same(one, other) for other in found)]
        return _noted(text, found)

    def _found(self, text: Text) -> list[Judged]:
        return [
            judged
            for rule in self._spanning
            for judged in self._looking.judged(rule, text, self._allowed)
        ]

    def judged_whole(self, text: Text) -> Sequence[Judged]:
        """Return what detectors of whole texts find."""
        self.unjudged_chars = 0
        found: list[Judged] = []
        for rule in self._whole:
            found += self._looking.judged_in_time(rule, text, self._allowed)
        return _noted(text, found)

    @property
    def judges_whole(self) -> bool:
        """Whether there is a detector that judges texts as a whole."""
        return bool(self._whole)


def _noted(text: Text, found: Sequence[Judged]) -> list[Judged]:
    """Note what is blocked with its characters."""
    return [
        one._replace(text=text.raw[one.start : one.end]) if one.action == BLOCK else one
        for one in found
    ]


def _moved(judged: Judged, start: int, end: int) -> Judged:
    finding = judged.finding._replace(start=start, end=end)
    return judged._replace(start=start, end=end, finding=finding)


def _is_same(one: Judged, other: Judged) -> bool:
    """Tell whether something was found twice."""
    overlaps = one.start < other.end and other.start < one.end
    return overlaps and one.finding[2:4] == other.finding[2:4] and one.end <= other.end


def of_answer(found: Sequence[Judged]) -> list[Judged]:
    """Blot out what would be hidden behind a placeholder: nobody could turn it back."""
    return [one._replace(action=REDACT) if one.action == PSEUDONYMISE else one for one in found]


def _chosen(profile: Profile, system: tuple[str, ...]) -> list[Rule]:
    rules = profile.rules_for("output")
    if not system:
        return [rule for rule in rules if rule.kind != "prompt_leak"]
    return [
        replace(rule, detector=_prompt_leak(system)) if rule.kind == "prompt_leak" else rule
        for rule in rules
    ]


@lru_cache(maxsize=64)
def _prompt_leak(system: tuple[str, ...]) -> Detector:
    # An application says the same to its model in every call.
    return prompt_leak(system)
