"""The safety link: what may pass, toward the model and back."""

from services.safety.link import Safety

__all__ = ["Safety"]
