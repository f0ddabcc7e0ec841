"""The router: where it is computed."""

from services.router.link import Router

__all__ = ["Router"]
