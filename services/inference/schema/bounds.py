"""Bounds of numbers: most of XGrammar 0.1's let wrong numbers through, so they are put otherwise.

What holds is a `minimum` of 0 or 1, for integers of 10 or more too, and integers that are listed.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.inference.schema.listed import one_of

_KEYWORDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_INTEGERS = ("integer", ["integer"], ["integer", "null"], ["null", "integer"])
_SURE = 10
_MAX_LISTED = 1024
_LARGEST = 2**53
"""Beyond it, not all who read JSON tell one integer from the next."""


def unheld(node: dict[str, Any]) -> Iterator[str]:
    """Give each bound of a number that no engine can be held to, and take it out."""
    said = [each for each in _KEYWORDS if each in node]
    if not said or (said == ["minimum"] and node["minimum"] in (0, 1)):
        return
    held = _held(node) if node["type"] in _INTEGERS else None
    if held is None:
        yield from said
    for keyword in said:
        del node[keyword]
    if held is not None:
        del node["type"]
        node |= held


def _held(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the same bounds of an integer, or of null too, in words that hold; None for none."""
    if any(_whole(node[name]) is None for name in _KEYWORDS if name in node):
        return None
    least = _inner(max, node, ("minimum", 0), ("exclusiveMinimum", 1))
    most = _inner(min, node, ("maximum", 0), ("exclusiveMaximum", -1))
    if least is None or (most is not None and most < least):
        return None
    # Without an upper bound, integers are listed up to where `minimum` holds.
    begin = least if least in (0, 1) else max(least, _SURE)
    last = begin - 1 if most is None else most
    if last - least >= _MAX_LISTED:
        return None
    listed = [*([None] if "null" in node["type"] else []), *range(least, last + 1)]
    further = {"type": "integer", "minimum": begin}
    if most is not None:
        return one_of(listed)
    return {"anyOf": [one_of(listed), further]} if listed else further


def _inner(
    choose: Callable[..., int], node: Mapping[str, Any], *bounds: tuple[str, int]
) -> int | None:
    """Return the tighter of two bounds, the integer that may just be; None without any."""
    found = [(_whole(node[name]) or 0) + step for name, step in bounds if name in node]
    return choose(found) if found else None


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) <= _LARGEST and int(value) == value else None
