"""Secrets that are told by what stands around them: assignments, addresses, commands, headers."""

from services.safety.secrets.checks import mixed
from services.safety.secrets.rule import LIKELY, PLAUSIBLE, Rule
from services.safety.secrets.values import random, stands_for, worded

_FULL_NAME = r"(?:passw(?:or)?d|passwrd|pass[_-]?phrase|pass[_-]?code|secrete?)[\w.-]{0,24}"
_SHORT_NAME = r"(?:(?:^|[^A-Za-z])(?:\w{0,32}[_.-])?(?:pass|pwd)(?:[_.-]\w{0,24})?)"
ANY_NAME = rf"(?:{_FULL_NAME}|{_SHORT_NAME})"
KEY_NAME = (
    r"(?:(?:api|access|account|auth|private|shared|licen[cs]e|encryption|signing|app|stream|io|ssh"
    r"|client|secret|master)[_.-]{0,2}(?:access[_.-]{0,2})?key"
    r"|(?:auth|access|api|refresh|bearer|bot|secret|private|id)[_.-]?token"
    r"|connection[_.-]?string)[\w.-]{0,24}"
)
CLOSE = r"[\[\]\\\"'`)]{0,4}\s{0,8}"
CALLS = "log_?in|sign_?in|authenticate|DirectoryEntry"
"""What is called with a name and a password."""
_EQUALS = r"(?::=|=>|[=!]={1,2}|[=:])"
IS = r"(?::=|=>|[=!]={1,2}|[=:,(])"
_QUOTED = r"\s{0,8}@?\\?(?:\"([^\"\n]{3,256}?)\\?\"|'([^'\n]{3,256}?)\\?'|`([^`\n]{3,256})`)"
# The full stop of a sentence is no part of it.
_BARE = r"([^\s\"'`,;<>&]{3,255}[^\s\"'`,;<>&.])"

_LEAST_OF_PASSWORD = 3
"""Letters and digits in a password."""
_LEAST_OF_KEY = 8


def _password(value: str) -> float | None:
    """Pass what may be a password: no variable, no blank, no sentence."""
    if sum(character.isalnum() for character in value) < _LEAST_OF_PASSWORD or stands_for(value):
        return None
    is_phrase = value.islower() and value.replace(" ", "").isalpha()
    if " " in value and worded(value) and not is_phrase:
        return None
    return LIKELY if random(value) else PLAUSIBLE


def _bare_password(value: str) -> float | None:
    """Pass a password without quotes: one that is no name of something else."""
    is_name = value.replace("_", "").replace(".", "").replace("-", "").isalpha()
    return None if is_name and worded(value) else _password(value)


def _assigned(value: str) -> float | None:
    """Pass what is assigned without blanks, as in files of settings: words too."""
    return None if "(" in value and ")" in value else _password(value)


def _key(value: str) -> float | None:
    """Pass a key in quotes: no word, no path."""
    is_path = "/" in value and worded(value) and not random(value)
    return None if len(value) < _LEAST_OF_KEY or is_path else _bare_password(value)


def _in_address(value: str) -> float | None:
    """Pass what stands for a password in an address, words too: no variable, no blank."""
    is_blank = value.startswith(("$", "<", "{", "[", "%s", "#{")) or set(value) <= set("*.xX-_")
    return None if is_blank else LIKELY if random(value) else PLAUSIBLE


def _encoded(value: str) -> float | None:
    """Pass what is encoded, as a name and a password are: no words."""
    return None if worded(value) else _password(value)


def _bearer(value: str) -> float | None:
    """Pass what is random: bearers of other things than tokens are bearers too."""
    return LIKELY if random(value) else None


# One rule a line, however long: a table.
# fmt: off
CREDENTIALS = (
    # Assignments: code, JSON, YAML, settings, headers, calls.
    Rule("password", rf"(?i){_FULL_NAME}{CLOSE}{IS}{_QUOTED}", PLAUSIBLE, _password),
    Rule("password", rf"(?i){_SHORT_NAME}{CLOSE}{IS}{_QUOTED}", PLAUSIBLE, _password),
    Rule("password", rf"(?i){ANY_NAME}{CLOSE}{_EQUALS}\s{{0,8}}{_BARE}", PLAUSIBLE, _bare_password),
    Rule("password", rf"(?i){ANY_NAME}={_BARE}", PLAUSIBLE, _assigned),
    Rule("password", rf"(?i){_FULL_NAME}\s(?:is|was)?{_QUOTED}", PLAUSIBLE, _password),
    Rule("password", r"(?i)(?:\"([^\"\n]{4,256})\"|'([^'\n]{4,256})')\s{0,8}[=!]={1,2}\s{0,8}[\w.]{0,40}(?:passw|secret|private_key|api_?key|access_key|db_pass)", PLAUSIBLE, _password),
    Rule("password", r"(?i)<\w{0,24}(?:pass(?:word|wd|phrase)?|secret|token|api_?key)(?:\s[^<>]{0,64})?>([^<>\s]{4,256})</", PLAUSIBLE, _password),
    Rule("password", r"(?i)\s--?pass(?:word|wd|phrase)?[= ]{1,4}[\"']?([^\s\"'$-][^\s\"']{3,128})", PLAUSIBLE, _bare_password),
    Rule("password", r"(?i)\blogin\s{1,8}\S{1,64}\s{1,8}password\s{1,8}(\S{4,128})", LIKELY, _password),
    Rule("password", r"(?i)\bpsexec[^\n]{0,120}\s-p\s{1,4}([^\s\"']{3,128})"),
    Rule("password", rf"(?i)\b(?:{CALLS})\(\s{{0,8}}(?:[\"'][^\"'\n]{{0,128}}[\"'],\s{{0,40}}){{1,2}}[\"']([^\"'\n]{{4,128}})[\"']", PLAUSIBLE, _password),
    Rule("api_key", rf"(?i){KEY_NAME}{CLOSE}{IS}{_QUOTED}", PLAUSIBLE, _key),
    Rule("api_key", rf"(?i){KEY_NAME}{CLOSE}{_EQUALS}\s{{0,8}}{_BARE}", PLAUSIBLE, _bare_password),
    Rule("password", r"(?i)\busername\s{1,8}[\"'][^\"'\n]{1,64}[\"']\s{1,8}password\s{1,8}[\"']([^\"'\n]{1,128})[\"']", LIKELY),
    # The most common passwords, with digits.
    Rule("weak_password", r"(?i)\b(?:passw[o0]rd|letmein|qwerty|iloveyou|welcome|admin|monkey|dragon|trustno|hunter|blink|sunshine|princess|superman|starwars)[0-9]{2,6}\b", PLAUSIBLE),
    # Addresses and headers.
    Rule("connection_string", r"(?i)\b(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mqtts?|mssql|sqlserver|oracle|clickhouse|cockroachdb|couchbase|cassandra|neo4j|bolt|nats|kafka|ldaps?|snowflake|redshift|jdbc:[a-z:]{1,24})(?:\+[a-z0-9]{1,16})?://[^\s:/\"'<>]{0,128}:([^\s/\"'<>]{1,200})@[^\s@\"'<>]", LIKELY, _in_address),
    Rule("url_password", r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/\"'<>]{1,128}:([^\s/\"'<>]{1,200})@[^\s@\"'<>]", LIKELY, _in_address),
    Rule("basic_credentials", r"(?i)\bbasic\s{1,4}([0-9a-z+/]{12,}={0,2})", LIKELY, _encoded),
    Rule("bearer_token", r"(?i)authorization[\"']?\s{0,4}[:,=]\s{0,4}[\"']?(?:bearer|token|key|apikey|sso-key|ssws|bot)\s{1,4}([0-9a-z_.~+/-]{8,}={0,2})", LIKELY, mixed),
    Rule("bearer_token", r"(?i)\bbearer\s{1,4}([0-9a-z_.~+/-]{12,}={0,2})", LIKELY, _bearer),
    Rule("connection_string", r"(?i);\s{0,4}(?:pwd|password)\s{0,4}=\s{0,4}([^;\"'\s]{3,128})[;\"']", LIKELY, _in_address),
    Rule("connection_string", r"(?i)\b(?:AccountKey|SharedAccessKey|SharedSecret)\s{0,4}=\s{0,4}([0-9a-z+/]{20,128}={0,2})", LIKELY),
    Rule("docker_auth", r"(?i)\"auth\"\s{0,8}:\s{0,8}\"([0-9a-z+/]{16,480}={0,2})\"", LIKELY),
)
# fmt: on
