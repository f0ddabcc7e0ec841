"""What servers say of a failure, in the many shapes in which they say it."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

OVERLOADED = 529
"""Not a standard status, but some vendors' for 429."""

_LONGEST_RETRY_S = 3600.0
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_KIND_CHARS = 64
_NO_MODEL = re.compile(
    r"\bmodel\b.{0,300}?(?:not found|not exist)|\b(?:no|unknown|find|invalid|valid) model\b"
    # OpenVINO Model Server.
    r"|graph definition with requested name is not found",
    re.DOTALL,
)


class Problem(NamedTuple):
    """A failure, in the server's words: for us to judge by, not to pass on."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""
    """The field that is to blame."""
    status: int = 0
    """The HTTP status, where the words tell one."""
    counts: Mapping[str, Any] = {}
    """Whatever else is told."""

    @property
    def kind(self) -> str:
        """The server's word for it, without anything that could be a caller's."""
        return _UNFIT.sub("_", self.code or self.type)[:_KIND_CHARS]

    @property
    def is_about_money(self) -> bool:
        """Tell whether the operator's account is used up, which waiting does not mend."""
        return "quota" in self.code or "billing" in self.code

    @property
    def is_about_the_model(self) -> bool:
        """Tell whether it is the model that was not found, and not the path."""
        return self.code == "model_not_found" or bool(_NO_MODEL.search(self.message.lower()))

    @property
    def is_about_content(self) -> bool:
        """Tell whether the server's own safety policy refused the prompt."""
        return self.code in ("content_filter", "content_policy_violation")


def of_body(body: bytes) -> Problem:
    """Read the body of an answer that is no success; whatever it is, it is a problem."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return Problem()
    if not isinstance(value, dict):
        return Problem()
    # OpenAI's form has all within `error`; older servers have it beside, or `error` as a text.
    return of_value(value if not isinstance(value.get("error"), dict) else value["error"])


def of_value(value: Any) -> Problem:
    """Read an error: a text, or an object."""
    if not isinstance(value, dict):
        return Problem(message=str(value))

    def text(*names: str) -> str:
        found = (value[name] for name in names if isinstance(value.get(name), str | int))
        return str(next(found, ""))

    code = text("code")
    return Problem(
        message=text("message", "error", "detail"),
        type=text("type", "error_type"),
        code="" if code.isdigit() else code,
        param=text("param"),
        status=int(code) if re.fullmatch("[45][0-9][0-9]", code) else 0,
        counts=value,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks to wait, given as such or as a date."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    # In this order, what is not a number comes out as 0.
    return min(max(0.0, seconds), _LONGEST_RETRY_S)
