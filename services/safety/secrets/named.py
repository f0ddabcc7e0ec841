"""Random values that a name stands before: a word for a key, or a service that hands out keys."""

import re
from collections.abc import Iterator
from pathlib import Path

from services.safety.secrets.found import Found
from services.safety.secrets.patterns import compiled
from services.safety.secrets.rule import LIKELY, PLAUSIBLE
from services.safety.secrets.values import first_random, opaque, random, stands_for

PROVIDERS = Path(__file__).with_name("providers.txt").read_text(encoding="ascii").split()
"""Names of services that hand out keys."""

_BACK = 48
"""Characters before a value in which its name is looked for."""
_NEAR = 12
"""Characters between the end of a service's name and a value, where no word for a key stands."""

_SHORTEST = 10
"""Characters of a value."""
_ALONE = 16
"""Characters of a value that only has the name of a service."""
_MOST = 512
"""Characters of a value that are looked at."""
_SPELT = 6
"""Characters of a service's name that is found inside words too."""

_VALUE = compiled(
    r"(?:[A-Za-z_+/.~-]*[0-9][0-9A-Za-z_+/.~-]*|[A-Za-z_+/.~-]{16}[A-Za-z_+/.~-]*)={0,2}"
)
_DIGIT = re.compile(r"[0-9]")
_KNOWN = re.compile(r"sha[0-9]+-|AAAA[BCE][0-9A-Za-z]Nza|//")
"""How checksums begin, public keys, and addresses."""

_HASH_WORDS = (
    r"commit|blob|tree|\bsha[-_]?[0-9]{0,3}\b|\bmd5\b|hash|integrity|checksum|digest|etag|revision"
    r"|fingerprint|public(?:[ _-]?key)?|base64,|ssh-[a-z0-9]+ "
    r"|\bgit\s{1,4}(?:checkout|switch|show|log|diff|reset|revert|rebase|merge|cherry-pick|blame"
    r"|branch|tag|bisect|describe|rev-parse|cat-file|fetch|pull)\b"
)
_KEY_WORDS = (
    r"key|token|secret|private|passw|\bpass|_pass|pwd|credential|\bauth|access|bearer|crumb"
    r"|client_?id|[_-]api\b|sonar.?login|\bpat\b|_pat\b"
)
_SHORT_NAMES = "|".join(name for name in PROVIDERS if len(name) < _SPELT)
_LONG_NAMES = "|".join(name for name in PROVIDERS if len(name) >= _SPELT)
_NAMES = compiled(
    rf"(?i)({_HASH_WORDS})|({_KEY_WORDS})|((?:^|[^a-z])(?:{_SHORT_NAMES})|{_LONG_NAMES})"
)
_HASH, _KEY, _PROVIDER = 1, 2, 3

_COMPOUND = compiled(r"(?i)[a-z0-9][_.-]?(?:key|token|secret)[\"']?\s?[=:]?\s?[\"']?$")
"""The end of a name such as `payments_key`, right before its value."""
_PREFIX = re.compile(r"[\w.-]{0,48}(?:access|secret|private|token|key|_pat)[-_.]", re.IGNORECASE)
"""The same where no blank parts it from its value."""


def named(data: bytes) -> Iterator[Found]:
    """Yield the random values that have a name."""
    if _NAMES.search(data) is None:
        return
    for match in _VALUE.finditer(data):
        run = data[match.start() : min(match.end(), match.start() + _MOST)].decode("latin-1")
        if len(run) < _SHORTEST or not (_DIGIT.search(run) or random(run)):
            continue
        # The full stop of a sentence is no part of it.
        end = match.end() - (len(run) - len(run.rstrip(".")))
        for at in _starts(run):
            start = match.start() + at
            score = _score(run[at:], data[max(0, start - _BACK) : start])
            if score:
                yield Found(start, end, "api_key", score)
                break


def _starts(run: str) -> Iterator[int]:
    """Yield where the value in a run may begin: at once, or after the name that it is joined to."""
    prefix = _PREFIX.match(run)
    yield prefix.end() if prefix else 0
    at = first_random(run)
    if at and run[at - 1] != "/":
        yield at


def _score(value: str, before: bytes) -> float:
    """Tell how sure a value is a key by what stands before it; 0 where it is none."""
    if _KNOWN.match(value) or before.endswith((b"#", b"@", b"$")) or stands_for(value):
        return 0
    hashed, keyed, provided = _ends(before)
    is_told = provided >= 0 or _COMPOUND.search(before) is not None
    if not random(value) and not (is_told and opaque(value)):
        return 0
    if keyed > hashed:
        return LIKELY if provided >= 0 else PLAUSIBLE
    is_near = provided >= max(0, len(before) - _NEAR) and hashed < 0
    return PLAUSIBLE if is_near and len(value) >= _ALONE else 0


def _ends(before: bytes) -> tuple[int, int, int]:
    """Tell where the last word for a hash, for a key, and of a service end; -1 where is none."""
    ends = {_HASH: -1, _KEY: -1, _PROVIDER: -1}
    for match in _NAMES.finditer(before):
        ends[match.lastindex] = match.end()
    return ends[_HASH], ends[_KEY], ends[_PROVIDER]
