"""Regular expressions that a caller asks for: what an engine would pass over in silence is refused.

The whole text has to match, so anchors at the ends of an expression say nothing new; XGrammar
passes over all the others too. It cannot begin a group, or end the expression, with a choice that
is empty.
"""

import re

from services import errors

_PART = re.compile(r"(?s)\\.|\((?:\?(?::|P?<\w+>))?|\[\^?(?:\\.|[^\]\\])*\]?|.")
_ANCHORS = "must not have anchors, ^ or $, but at its two ends; the whole text has to match"
_EMPTY = "must not have an empty choice, but as the last of a group, as in (a|b|)"


def check(expression: str, field: str) -> None:
    """Check an expression.

    Raises:
        MeshError: INVALID_REQUEST, for what would not be heeded.
    """
    if "\0" in expression:
        raise errors.invalid_field(field, "must not hold U+0000; write \\x00")
    parts = ["", *_PART.findall(expression), ""]
    depth = 0
    for before, part, after in zip(parts, parts[1:], parts[2:], strict=False):
        depth += part.startswith("(") - (part == ")")
        is_outer = depth == 0 and (before if part == "^" else after) in ("", "|")
        if part in ("^", "$") and not is_outer:
            raise errors.invalid_field(field, _ANCHORS)
        begins_empty = before in ("", "^", "|") or before.startswith("(")
        if part == "|" and (begins_empty or after in ("", "$")):
            raise errors.invalid_field(field, _EMPTY)
