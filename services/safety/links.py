"""Finds links and images that carry data out, run a script, or lead where they may not.

An image is asked for as soon as an answer is shown: whoever made the model write its address reads
there what the model knew. A link needs a click, and is judged more mildly.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from catenary.config.v1 import safety_pb2
from services.safety.detector import Detector, Finding, Text
from services.safety.forms.encodings import from_base64, from_hex
from services.safety.forms.escapes import escapes
from services.safety.view import View

_NAME = "links"
_SCRIPT, _DATA, _IMAGE, _LINK, _HOST = "script", "data_url", "image_data", "link_data", "host"
_REACH = 1024
# Of the policy: a name, or an address of the network.
_HOST_NAME = re.compile(r"\.?[\w-]+(?:\.[\w-]+)*\.?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")

# Browsers take backslashes for slashes, any number of them for two where the scheme is one of the
# web's, and no scheme for that of the page; they leave out tabs and line ends.
_ADDRESS = re.compile(
    r"""(?:(?<![a-z0-9])(?:https?|wss?|ftp):(?:[/\\][\t\r\n]*){2,}+(?=[^\s/\\<>"'`])"""
    r"""|(?<![a-z0-9])(?:https?|wss?|ftp):[/\\]?[\t\r\n]*(?=[\w-]{1,63}\.[\w-]{0,63}[a-z])"""
    r"""|(?<![a-z0-9])[a-z][a-z0-9+.-]{0,15}:[/\\]{2}(?=[^\s/\\<>"'`])"""
    r"""|(?<![\w:/\\.])[/\\]{2}(?=[\w-]+\.)"""
    r"""|(?<![a-z0-9])(?:javascript|vbscript|data):"""
    r"""|(?<![a-z0-9.@/])www\.)[^\s<>"`]{1,2048}""",
    re.IGNORECASE,
)
# What browsers leave out, and what they take for two slashes.
_LEFT_OUT = re.compile(r"[\t\r\n]")
_SLASHES = re.compile(r"\A(https?:|wss?:|ftp:)/*", re.IGNORECASE)
# One of these is in every text that has an address, in small letters.
_TRIGGERS = ("//", "\\", "&", "www.", "script:", "data:", "http", "ws:", "wss:", "ftp:")
_SCRIPTS = ("javascript:", "vbscript:", "data:text/html", "data:image/svg", "data:application/x")

# What is fetched without a click: by all tags but these, by style sheets and LaTeX, and by what
# defines a link, which may be an image.
_TAG = re.compile(
    r"<(?!(?:a|area|form|button|base|blockquote|q|cite|del|ins)\b)[a-z]", re.IGNORECASE
)
_FETCHED = re.compile(
    r"(?:\b(?:url|src|image|image-set)\(|@import|\\includegraphics(?:\[[^\]]{0,99}\])?\{)\Z",
    re.IGNORECASE,
)
_DEFINITION = re.compile(r"[ \t]*\[[^\]]+\]:[ \t]*<?\Z")
_BEFORE = 640
"""Characters before an address that may say how it is fetched."""

# Values that are no data: a number, a size, a word.
_PLAIN_VALUE = re.compile(r"[0-9]{1,12}(?:px|x[0-9]{1,5})?|[A-Za-z]{1,16}")
# Names of what only tells how an image is to look, which one of it, or how old it may be.
_LOOKS = """
w width h height s sz size d default r rating q quality dpr scale zoom fit crop resize format fm
auto ext type mode style theme lang locale logo logocolor label labelcolor color bg fg branch event
job raw ssl strip v ver version rev t ts cb _ id page
"""
_LOOK_NAMES = frozenset(_LOOKS.split())
# What their values are: a word or two, numbers, a short hash.
_LOOK = re.compile(
    r"[A-Za-z]{1,16}|flat-square|for-the-badge|[0-9a-f]{1,12}"
    r"|[0-9]{1,12}(?:[.,:x][0-9]{1,5}){0,3}(?:px)?"
)
_SWITCH = re.compile(r"true|false|yes|no|on|off|[0-9]{0,4}", re.IGNORECASE)
_MAIL = re.compile(r"[\w+-]@(?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24}(?![\w.-]*[0-9])")
_WORDS = re.compile(r"[A-Za-z]{2,}[ _,.;:-]+[A-Za-z]{2,}")
# Longer than what names a thing.
_LONG_FETCHED, _LONG, _LONG_LABEL = 16, 100, 40
_MOST_SAID = 4
"""Characters that an image's query may hold beside how the image is to look."""
_MOST_BLANKS = 2
"""Escaped blanks in the path of an image: more make a sentence."""
_MOST_VALUES = 64


@dataclass(frozen=True, slots=True)
class _Links:
    hosts: tuple[str, ...]
    name: str = _NAME
    threshold: float = 0.5
    reach: int = _REACH

    def find(self, text: Text) -> Sequence[Finding]:
        lower = text.raw.lower()
        if not any(trigger in lower for trigger in _TRIGGERS):
            return []
        # Escapes are undone before an address is asked for; nothing else that may hide one is.
        shown = [raw := View(text.raw, "", 0, len(text.raw))]
        if undone := escapes(text.raw):
            shown.append(raw.rewritten("unescaped", undone))
        return sorted({finding for view in shown for finding in self._found(view, text.before)})

    def _found(self, view: View, before: str) -> Iterator[Finding]:
        end = 0
        while (match := _ADDRESS.search(view.text, end)) is not None:
            start = match.start()
            near = view.text[max(0, start - _BEFORE) : start]
            if start < _BEFORE:
                near = before[start - _BEFORE :] + near
            address = _closed(match[0], near)
            # Behind the bracket that closes one address may stand the next, without a blank.
            end = start + max(1, len(address))
            category, score = self._judged(address, fetched=_is_fetched(near))
            if score:
                yield Finding(*view.span(start, end), _NAME, category, score)

    def _judged(self, address: str, *, fetched: bool) -> tuple[str, float]:
        plain = address.lower()
        if plain.startswith(_SCRIPTS):
            return _SCRIPT, 1.0
        if plain.startswith("data:"):
            return _DATA, 0.3
        parts = _split(address)
        if parts is None:
            return _HOST, 1.0
        if self.hosts and not self._may_lead_to(parts.hostname or ""):
            return _HOST, 1.0
        return (_IMAGE if fetched else _LINK), _carried(parts, fetched=fetched)

    def _may_lead_to(self, host: str) -> bool:
        host = host.rstrip(".")
        return any(host == allowed or host.endswith("." + allowed) for allowed in self.hosts)


def links(config: safety_pb2.LinksDetector) -> Detector:
    """Build the detector.

    Raises:
        ValueError: a host is none.
    """
    for host in config.hosts:
        if not _HOST_NAME.fullmatch(host):
            problem = "give a host alone, such as example.com, which stands for those below it too"
            raise ValueError(f"{host!r} is no host's name: {problem}")
    return _Links(tuple(host.lower().strip(".") for host in config.hosts))


def _is_fetched(near: str) -> bool:
    """Tell by what stands before an address that it is asked for as soon as it is shown."""
    near = near.rstrip(" \t<\"'")
    if near.endswith("]("):
        return "![" in near[near.rfind("](", 0, -2) + 1 :]
    tag = near[near.rfind("<") :]
    line = near[near.rfind("\n") + 1 :]
    return (
        _FETCHED.search(near) is not None
        or (">" not in tag and _TAG.match(tag) is not None)
        or _DEFINITION.match(line) is not None
    )


def _closed(address: str, near: str) -> str:
    """Cut what stands behind an address: the bracket or quote that closes it, a full stop."""
    depth = 0
    for at, character in enumerate(address):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return address[:at]
    if near.endswith("'") and "'" in address:
        return address[: address.index("'")]
    return address.rstrip(".,;:!?'*_")


def _split(address: str) -> SplitResult | None:
    """Split an address as a browser would; None where it has no host that could be told."""
    address = _SLASHES.sub(r"\1//", _LEFT_OUT.sub("", address.replace("\\", "/")))
    try:
        parts = urlsplit(address if "//" in address else "//" + address)
        has_host = bool(parts.hostname)
    except ValueError:
        return None
    return parts if has_host else None


def _carried(parts: SplitResult, *, fetched: bool) -> float:
    """Return how surely an address carries data."""
    pairs = re.split("[&;]", parts.query)[:_MOST_VALUES]
    values = [*map(_value, pairs), unquote(parts.fragment)]
    names = [unquote(name) for name in parts.path.split("/")[-_MOST_VALUES:]]
    labels = [*parts.netloc.replace("@", ".").replace(":", ".").split(".")[-_MOST_VALUES:]]
    if any(map(_is_encoded, (*values, *names, *labels))):
        return 0.95
    if fetched and any(_WORDS.search(value) and not _LOOK.fullmatch(value) for value in values):
        return 0.9
    if fetched and (
        _said(pairs) > _MOST_SAID or _MAIL.search(unquote(f"{parts.path}?{parts.query}"))
    ):
        return 0.7
    longest = _LONG_FETCHED if fetched else _LONG
    if any(len(value) >= longest and not _PLAIN_VALUE.fullmatch(value) for value in values):
        return 0.7
    told = fetched and any(name.count(" ") > _MOST_BLANKS for name in names)
    return 0.6 if told or any(len(label) >= _LONG_LABEL for label in labels) else 0.0


def _value(pair: str) -> str:
    """Return the value of a query's pair, or what stands there without a name."""
    name, equals, value = pair.partition("=")
    return unquote((value if equals else name).replace("+", " "))


def _said(pairs: Sequence[str]) -> int:
    """Count the characters of a query that tell more than how an image is to look."""
    return sum(
        len(value)
        for pair in pairs
        if not _SWITCH.fullmatch(value := _value(pair))
        and not (pair.partition("=")[0].lower() in _LOOK_NAMES and _LOOK.fullmatch(value))
    )


def _is_encoded(part: str) -> bool:
    """Tell what readable text comes out of when it is decoded."""
    return len(part) >= _LONG_FETCHED and bool(from_base64(part) or from_hex(part))
