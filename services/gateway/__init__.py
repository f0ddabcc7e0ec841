"""The gateway: who may call, what may be asked, and OpenAI's API beside our own."""

from services.gateway.link import Gateway

__all__ = ["Gateway"]
