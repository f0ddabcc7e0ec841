"""The two detectors that the classifier makes; a text that both look at is judged once."""

from collections.abc import Sequence

from catenary.config.v1 import safety_pb2
from services.safety.classifier.categories import (
    CATEGORIES,
    CONTENT,
    DIRECT,
    HARM,
    PLANTED,
    check_categories,
)
from services.safety.classifier.classifier import Classifier, load
from services.safety.detector import Detector, Finding, Source, Text

# The mildest that counts, where the policy says nothing.
_SEVERITY = 2
# Tools are described in instructions to the model: how much of what the threshold leaves is theirs.
_OF_TOOLS = 0.6
# The lowest score that is a finding at all: a policy may count what is below the threshold.
_LEAST = 0.25


def injection(config: safety_pb2.InjectionDetector) -> Detector:
    """Return the detector of attacks on the model.

    Raises:
        OSError: the model is missing.
        ValueError: the model is broken.
    """
    del config
    return Injection(load())


def harm(config: safety_pb2.HarmDetector) -> Detector:
    """Return the detector of harmful content.

    Raises:
        OSError: the model is missing.
        ValueError: the model is broken, or a category is not known.
    """
    check_categories(config.categories)
    severity = config.severity if config.HasField("severity") else _SEVERITY
    return Harm(load(), frozenset(config.categories or CATEGORIES), severity)


class Injection:
    """Finds instructions that turn the model against whoever it works for."""

    name = "injection"
    threshold = 0.5
    reach = 0

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def find(self, text: Text) -> Sequence[Finding]:
        """Return the windows that may hold an attack: one on the model, or one that is planted."""
        kind, threshold = self._sought(text)
        return [
            Finding(each.start, each.end, self.name, kind, score)
            for each in self._classifier.judge(text)
            if (score := scaled(each.scores[kind], threshold)) >= _LEAST
        ]

    def score(self, text: Text) -> float:
        """Return the score of the most telling window."""
        kind, threshold = self._sought(text)
        return max(scaled(each.scores[kind], threshold) for each in self._classifier.judge(text))

    def _sought(self, text: Text) -> tuple[str, float]:
        kind = DIRECT if text.source == Source.USER else PLANTED
        threshold = self._classifier.thresholds[kind]
        if text.source == Source.TOOL:
            threshold += _OF_TOOLS * (1 - threshold)
        return kind, threshold


class Harm:
    """Finds harmful content, and requests for it."""

    name = "harm"
    threshold = 0.5
    reach = 0

    def __init__(
        self,
        classifier: Classifier,
        categories: frozenset[str] = frozenset(CATEGORIES),
        severity: int = _SEVERITY,
    ) -> None:
        self._classifier = classifier
        self._categories = categories
        self._severity = severity

    def find(self, text: Text) -> Sequence[Finding]:
        """Return the windows that may hold harm of the wanted categories, from the severity on."""
        threshold = self._sought(text)
        found: list[Finding] = []
        for each in self._classifier.judge(text):
            category = max(CATEGORIES, key=each.scores.__getitem__)
            severity = round(each.scores["severity"])
            score = scaled(each.scores[HARM], threshold)
            if score >= _LEAST and severity >= self._severity and category in self._categories:
                found.append(Finding(each.start, each.end, self.name, category, score, severity))
        return found

    def score(self, text: Text) -> float:
        """Return the score of the most telling window, of whatever category."""
        threshold = self._sought(text)
        return max(scaled(each.scores[HARM], threshold) for each in self._classifier.judge(text))

    def _sought(self, text: Text) -> float:
        asked = text.source in {Source.USER, Source.SYSTEM}
        return self._classifier.thresholds[HARM if asked else CONTENT]


def scaled(score: float, threshold: float) -> float:
    """Return a score from 0 to 1 for which 0.5 is what the threshold was."""
    if score < threshold:
        return 0.5 * score / threshold
    return 0.5 + 0.5 * (score - threshold) / (1 - threshold)
