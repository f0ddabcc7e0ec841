"""The chat template: a conversation becomes the text of a prompt, as the model was trained on it.

Templates come with models and are not trusted: they run in Jinja's sandbox, and what they write is
bounded. They see what Hugging Face's `apply_chat_template` gives them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, Self

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services import errors

_MAX_CHARS = 64 * 1024 * 1024


class _TemplateRaisedError(Exception):
    """The template refused the conversation, in its own words."""


class _Generation(Extension):
    """`{% generation %}`, with which templates mark what a model learns from: its body as it is."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's chat template."""

    template: jinja2.Template
    special_tokens: Mapping[str, str]
    """`bos_token` and its like, which templates write by name."""
    source: str
    """The template's own text."""
    variables: frozenset[str]
    """What it wants to be given."""

    @classmethod
    def read(cls, model: Path) -> Self:
        """Read `chat_template.jinja`, or else the template in `tokenizer_config.json`.

        Raises:
            OSError: the model has no `tokenizer_config.json`.
            ValueError: it has no template, or one that Jinja cannot read.
        """
        config = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
        file = model / "chat_template.jinja"
        source = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
        if not isinstance(source, str):
            raise ValueError(f"{model}: the model has no chat template")  # noqa: TRY004 - its content
        environment = _environment()
        try:
            template = environment.from_string(source)
            variables = meta.find_undeclared_variables(environment.parse(source))
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"{model}: chat template, line {error.lineno}: {error}") from None
        return cls(template, dict(_special_tokens(config)), source, frozenset(variables))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> str:
        """Write the prompt, up to where the model's answer begins.

        `tools` is None where there are none, as templates expect it.

        Raises:
            MeshError: INVALID_REQUEST when the template refuses the conversation.
        """
        pieces, length = [], 0
        try:
            for piece in self.template.generate(
                messages=messages,
                tools=tools,
                add_generation_prompt=True,
                **self.special_tokens,
            ):
                pieces.append(piece)
                length += len(piece)
                if length > _MAX_CHARS:
                    raise errors.invalid_field(
                        "messages", f"the prompt must have at most {_MAX_CHARS} characters"
                    )
        except _TemplateRaisedError as error:
            raise errors.invalid_field(
                "messages", f"the model's chat template refuses them: {error}"
            ) from None
        except (jinja2.TemplateError, TypeError, ValueError, OverflowError, RecursionError):
            # Such a failure may quote the conversation.
            raise errors.invalid_field(
                "messages", "the model's chat template fails on them"
            ) from None
        return "".join(pieces)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _to_json
    functions: Mapping[str, Callable[..., Any]] = {
        "raise_exception": _raise,
        "strftime_now": lambda form: datetime.now().astimezone().strftime(form),
    }
    environment.globals.update(functions)
    return environment


def _special_tokens(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    # Each is a text, or an object that describes it.
    named = [(key, value) for key, value in config.items() if key.endswith("_token")]
    texts = [(key, value["content"] if isinstance(value, dict) else value) for key, value in named]
    return [(key, text) for key, text in texts if isinstance(text, str)]


def _to_json(
    value: Any,
    *,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own would escape HTML, and sort the keys.
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> NoReturn:
    raise _TemplateRaisedError(message)
