"""Expressions over texts of one byte a character, so that places in one are places in the other."""

import re2


def options() -> re2.Options:
    """Return how all expressions are read: any byte is a character."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    return options


def compiled(pattern: str) -> re2._Regexp:
    """Return an expression over bytes."""
    return re2.compile(pattern.encode("latin-1"), options())


def encoded(text: str) -> bytes:
    """Return one byte for each character; secrets are of ASCII, all that is beyond Latin is one."""
    return text.encode("latin-1", "replace")
