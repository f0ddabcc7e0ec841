"""The cache: what need not be computed again."""

from services.cache.link import Cache

__all__ = ["Cache"]
