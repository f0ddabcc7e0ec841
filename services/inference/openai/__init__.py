"""Models on servers with OpenAI's API."""

from services.inference.openai.backend import OpenAiBackend
from services.inference.openai.client import HttpClient

__all__ = ["HttpClient", "OpenAiBackend"]
