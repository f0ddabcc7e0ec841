"""Personal data: numbers and addresses by their form, names by a tagger."""

from services.safety.pii.detector import pii

__all__ = ["pii"]
