"""Secrets that are told by what stands around them, and what only looks like them."""

import secrets as chance
import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.safety.detector import Source, Text
from services.safety.secrets.detector import secrets

DETECTOR = secrets()
LETTERS = string.ascii_letters + string.digits
# No service hands it out: it is made anew for each run.
VALUE = "".join(chance.choice(LETTERS) for _ in range(28)) + "7x2K"
PASSWORD = "Blue" + "Heron" + "!42"
NAMES = ("payments_api_key", "PARTNER_TOKEN", "client-secret", "X-Auth-Token", "acmeSecretKey")


def secret_in(text: str) -> list[str]:
    return [text[one.start : one.end] for one in DETECTOR.find(Text(text, Source.USER))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "form",
    [
        "{}={}",
        "export {}='{}'",
        '"{}": "{}",',
        "{}: {}",
        '{} := "{}"',
        '<add key="{}" value="{}" />',
        "curl -H '{}: {}' https://example.org",
        "{} {}",
    ],
)
def test_a_random_value_is_found_behind_its_name(name: str, form: str) -> None:
    assert secret_in(f"Settings.\n{form.format(name, VALUE)}\nThat is all.") == [VALUE]


@pytest.mark.parametrize(
    "form",
    [
        "password = '{}'",
        'db_password: "{}"',
        "DB_PASSWORD={}",
        '{{"user": "root", "password": "{}"}}',
        "<Pass>{}</Pass>",
        "machine mail.example.org login me@example.org password {}",
        "Server=db;User Id=sa;Password={};Database=main",
        "postgres://app:{}@db.example.org:5432/main",
        "mongodb+srv://app:{}@cluster.example.org/main",
        "redis://:{}@cache.example.org:6379",
        "https://me:{}@git.example.org/repo.git",
        "connect --user me --password {}",
        'if (password == "{}") {{',
        'if ("{}" == password) {{',
        "the password is '{}'",
    ],
)
def test_a_password_is_found_where_it_stands(form: str) -> None:
    assert secret_in(f"See:\n{form.format(PASSWORD)}\n") == [PASSWORD]


@pytest.mark.parametrize("form", ["password = {}. Thanks", "the payments_token: {}. Thanks"])
def test_the_full_stop_of_a_sentence_is_no_part_of_a_secret(form: str) -> None:
    for value in (PASSWORD, VALUE):
        assert all(found == value for found in secret_in(form.format(value)))
    assert secret_in(form.format(VALUE)) == [VALUE]


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['DB_PASSWORD']",
        "password: ${DB_PASSWORD}",
        "DB_PASSWORD=$PASSWORD",
        "api_key = get_key(name)",
        'api_key: "<your api key>"',
        "token: YOUR_TOKEN_HERE",
        "password: ********",
        "amqps://user:$password@localhost:5672",
        "I forgot my password, please help me to reset it.",
        "The secret of good bread is time; the key is patience.",
        "password: required",
        "git checkout 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "git show 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "The access token must not be older than 24 hours.",
        "def find_key(self, key: str, token: Token) -> Optional[str]:",
        'const password = document.getElementById("password").value;',
    ],
)
def test_what_only_speaks_of_a_secret_is_none(text: str) -> None:
    assert secret_in(text) == []


@given(st.binary(min_size=20, max_size=64), st.uuids())
def test_hashes_and_identifiers_are_no_secrets(data: bytes, identifier: UUID) -> None:
    for text in (
        f"commit {data.hex()}",
        f"100644 blob {data[:20].hex()}\tservices/safety/link.py",
        f'"integrity": "sha512-{data.hex()}=="',
        f"sha256:{data.hex()}",
        f"uses: actions/checkout@{data[:20].hex()}",
        f"id: {identifier}",
        f"The order {identifier} is on its way.",
        f"The token check came with commit {data[:20].hex()}.",
        f"key file, sha256 {data.hex()}",
    ):
        assert secret_in(text) == []


def test_a_finding_names_its_kind_and_never_the_secret() -> None:
    [found] = DETECTOR.find(Text(f"postgres://app:{PASSWORD}@db.example.org/main", Source.USER))
    assert (found.detector, found.category) == ("secrets", "connection_string")
    assert PASSWORD not in repr(found)


def test_of_one_secret_inside_another_there_is_one_finding() -> None:
    token = "npm" + "_" + "aB3" * 12
    [found] = DETECTOR.find(Text(f'auth_token = "{token}"', Source.USER))
    assert (found.start, found.category) == (14, "npm_token")
