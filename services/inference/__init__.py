"""The inference link: computing it."""

from services.inference.link import Inference

__all__ = ["Inference"]
