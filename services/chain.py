"""The chain: the order of its links, and their composition."""

from collections.abc import Callable

from services.link import Link

SAFETY = "safety"
"""The link that also sees what is no stream, and tells its policy."""

ORDER = ("gateway", SAFETY, "cache", "router", "inference")
"""The links, from the caller to the engine.

Safety stands before the cache: what reaches the cache, the router and the engine has passed it, so
the cache never stores what may not be kept, and never serves what may not pass.
"""

Wrapper = Callable[[Link], Link]
"""Builds a link round its upstream."""


def compose(*wrappers: Wrapper, terminal: Link) -> Link:
    """Wrap the terminal link; the first wrapper sees a request first."""
    link = terminal
    for wrap in reversed(wrappers):
        link = wrap(link)
    return link
