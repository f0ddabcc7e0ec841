"""How a model writes what is not plain text: as it is configured, or as its chat template tells."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from services.inference.parsing.source import Reading, Source
from services.inference.parsing.tool_formats import hermes, llama3, mistral
from services.inference.template import ChatTemplate

_TOOLS = "tools"
"""The variable in which templates find the tools."""


class ToolFormat(StrEnum):
    """The form of a tool's call."""

    HERMES = "hermes"
    LLAMA3 = "llama3"
    MISTRAL = "mistral"
    NONE = "none"


class ReasoningFormat(StrEnum):
    """The form of thoughts."""

    THINK = "think"
    NONE = "none"


TOOL_READINGS: dict[ToolFormat, Callable[[Source, Container[str]], Reading[None]]] = {
    ToolFormat.HERMES: hermes,
    ToolFormat.LLAMA3: llama3,
    ToolFormat.MISTRAL: mistral,
}


@dataclass(frozen=True, slots=True)
class Formats:
    """The forms that one model uses."""

    tools: ToolFormat
    reasoning: ReasoningFormat

    @classmethod
    def of(cls, template: ChatTemplate, tool_format: str = "", reasoning_format: str = "") -> Self:
        """Return the forms that are configured; where none is, look for it in the template.

        Raises:
            ValueError: a form of calls is configured, and the template does not show tools.
        """
        shows_tools = _TOOLS in template.variables
        if tool_format not in {"", ToolFormat.NONE} and not shows_tools:
            raise ValueError(f"tool_format {tool_format!r}: the chat template does not show tools")
        found = _tool_format(template.source) if shows_tools else ToolFormat.NONE
        thinks = ReasoningFormat.THINK if "<think>" in template.source else ReasoningFormat.NONE
        return cls(ToolFormat(tool_format or found), ReasoningFormat(reasoning_format or thinks))


def _tool_format(template: str) -> ToolFormat:
    if "[TOOL_CALLS]" in template:
        return ToolFormat.MISTRAL
    # Others put something else than JSON between the same tags.
    if "<tool_call>" in template and '"arguments"' in template:
        return ToolFormat.HERMES
    if '"parameters":' in template:
        return ToolFormat.LLAMA3
    return ToolFormat.NONE
