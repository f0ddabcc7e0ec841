"""The safety link: what may pass, toward the model and back."""

from services.safety.check import SafetyChecker
from services.safety.link import Safety
from services.safety.setup import set_up
from services.safety.unary import SafetyUnary

__all__ = ["Safety", "SafetyChecker", "SafetyUnary", "set_up"]
