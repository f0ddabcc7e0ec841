"""Whether the choices of a `oneOf` shut each other out, so that any of them is exactly one."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from services.inference.schema.references import concrete, literals, types


def is_exclusive(choices: Sequence[Any], root: Any) -> bool:
    """Tell whether no value fits two of the choices; where that is not plain, it is told no.

    They differ by their types, by the values that they list, or, where they are objects, by the
    values of a property that each must have: a discriminator.
    """
    nodes = [concrete(choice, root) for choice in choices]
    listed = [node for node in nodes if literals(node) is not None]
    objects = [node for node in nodes if literals(node) is None and types(node) == {"object"}]
    others = [node for node in nodes if literals(node) is None and types(node) != {"object"}]
    kinds = [types(node) for node in others]
    kinds.append(frozenset(chain.from_iterable(types(node) for node in listed)))
    kinds.append(frozenset({"object"} if objects else ()))
    found = list(chain.from_iterable(kinds))
    return (
        len(found) == len(set(found))
        and _are_distinct([literals(node) or () for node in listed])
        and (len(objects) < 2 or _are_discriminated(objects, root))  # noqa: PLR2004
    )


def _are_discriminated(objects: Sequence[Mapping[str, Any]], root: Any) -> bool:
    tags = [_tags(each, root) for each in objects]
    return any(
        all(name in each for each in tags) and _are_distinct([each[name] for each in tags])
        for name in tags[0]
    )


def _tags(node: Mapping[str, Any], root: Any) -> Mapping[str, Sequence[Any]]:
    """Return the values of the properties that an object must have, where they are listed."""
    properties, required = node.get("properties"), node.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    found = {
        name: literals(concrete(properties[name], root))
        for name in required
        if isinstance(name, str) and name in properties
    }
    return {name: values for name, values in found.items() if values is not None}


def _are_distinct(lists: Sequence[Sequence[Any]]) -> bool:
    """Tell whether no value stands in two of the lists."""
    sets = [{_key(value) for value in values} for values in lists]
    return sum(map(len, sets)) == len(set(chain.from_iterable(sets)))


def _key(value: Any) -> str:
    """Return a text that is the same for values that JSON Schema takes for the same."""
    is_whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if is_whole else value, sort_keys=True)
