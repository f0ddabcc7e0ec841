"""Reads YAML into a message, and knows on which line each field stands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import protovalidate
import yaml
from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from protovalidate import Violation

AnyMessage = TypeVar("AnyMessage", bound=Message)


@dataclass(slots=True, eq=False)
class ConfigError(Exception):
    """A configuration that cannot be used; its text is one line that names file, line and field."""

    file: Path
    line: int
    """Counted from 1; 0 where no line is to blame."""
    field: str
    """The field's path, for example `models[0].path`; empty for the whole file."""
    problem: str

    @property
    def refusal(self) -> str:
        """Why the file is not in force, in a line that tells nothing of where it stands."""
        line = f"line {self.line}" if self.line else ""
        place = ", ".join(filter(None, (line, self.field and f"field {self.field}")))
        return ": ".join(filter(None, (f"{self.file.name} is not in force", place, self.problem)))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return (
            f"{where}: {self.field}: {self.problem}" if self.field else f"{where}: {self.problem}"
        )


@dataclass(frozen=True, slots=True)
class Given(Generic[AnyMessage]):
    """What a file says, without any default."""

    file: Path
    message: AnyMessage
    lines: dict[str, int]
    """On which line each field stands, by its path."""

    def error(self, field: str, problem: str) -> ConfigError:
        """Return the error that blames a field, or the nearest one round it that was given."""
        nearest = field
        while nearest and nearest not in self.lines:
            separator = "." if nearest.rfind(".") > nearest.rfind("[") else "["
            nearest = nearest.rpartition(separator)[0]
        return ConfigError(self.file, self.lines.get(nearest, 1), field, problem)


def read(file: Path, kind: type[AnyMessage]) -> Given[AnyMessage]:
    """Read the whole file into a message of this kind, and hold it to the rules of its contract.

    Raises:
        ConfigError: the file cannot be read, is not YAML, names an unknown field, or breaks a rule.
    """
    root = _parse(file)
    given = Given(file, kind(), {})
    if root is not None:
        _Filler(file, given.lines).fill(given.message, root, "")
    for violation in protovalidate.collect_violations(given.message):
        field = dotted(violation.proto.field)
        raise given.error(field, _problem(given, field, violation))
    return given


def _problem(given: Given[AnyMessage], path: str, violation: Violation) -> str:
    """Say which rule of the contract is broken, to somebody who does not know the contract."""
    message, value = violation.proto.message, violation.field_value
    kind: Any = given.message.DESCRIPTOR
    field: Any = None
    for element in violation.proto.field.elements if violation.proto.field else ():
        field = kind.fields_by_name.get(element.field_name)
        if field is None:
            choice = kind.oneofs_by_name[element.field_name]
            return f"must be given: one of {', '.join(each.name for each in choice.fields)}"
        kind = field.message_type
    if field and path not in given.lines and not path.endswith("]"):
        return f"must be given: {_form(field)}"
    if violation.proto.rule_id == "string.min_len" and not value:
        return "must not be empty"
    return f"{message}; it is {value:g}" if isinstance(value, int | float) else message


def _parse(file: Path) -> yaml.Node | None:
    try:
        return yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(file, 0, "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(file, 0, "", "is not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        line = mark.line + 1 if mark else 0
        raise ConfigError(file, line, "", f"is not YAML: {problem}") from None
    except RecursionError:
        raise ConfigError(file, 0, "", "is nested too deeply") from None


def dotted(field_path: Any) -> str:
    """Write protovalidate's path of a field as people do, for example `messages[0].content`."""
    text = ""
    for element in field_path.elements if field_path else ():
        text += f".{element.field_name}"
        if element.subscript is not None:
            text += f"[{element.subscript.value}]"
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Filler:
    """Fills messages from YAML nodes, and notes the line of each field."""

    file: Path
    lines: dict[str, int]

    def fill(self, message: Message, node: yaml.Node, path: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, path, "must be a mapping of fields")
        message.SetInParent()
        for key, value in node.value:
            field = f"{path}.{key.value}".removeprefix(".")
            descriptor: Any = message.DESCRIPTOR.fields_by_name.get(str(key.value))
            if descriptor is None:
                known = _names(message.DESCRIPTOR)
                raise self._error(key, field, f"there is no such field here; there are {known}")
            if field in self.lines:
                raise self._error(key, field, "stands twice")
            chosen = _already_chosen(message, descriptor)
            if chosen is not None:
                raise self._error(key, field, f"cannot stand beside {chosen!r}: give one of them")
            self.lines[field] = key.start_mark.line + 1
            self._set(message, descriptor, value, field)

    def _set(
        self, message: Message, descriptor: FieldDescriptor, node: yaml.Node, path: str
    ) -> None:
        if _is_plain_message(descriptor) and descriptor.is_repeated:
            if not isinstance(node, yaml.SequenceNode):
                raise self._error(node, path, "must be a list")
            for index, item in enumerate(node.value):
                self.lines[f"{path}[{index}]"] = item.start_mark.line + 1
                self.fill(getattr(message, descriptor.name).add(), item, f"{path}[{index}]")
        elif _is_plain_message(descriptor):
            self.fill(getattr(message, descriptor.name), node, path)
        else:
            if node.tag == "tag:yaml.org,2002:null":
                raise self._error(node, path, f"must be {_form(descriptor)}")
            try:
                value = yaml.SafeLoader("").construct_object(node, deep=True)
                if descriptor.enum_type is not None:
                    value = f"{_prefix(descriptor.enum_type)}{value.upper()}"
                json_format.ParseDict({descriptor.name: value}, message)
            except (AttributeError, json_format.ParseError, TypeError, ValueError, yaml.YAMLError):
                raise self._error(node, path, f"must be {_form(descriptor)}") from None

    def _error(self, node: yaml.Node, path: str, problem: str) -> ConfigError:
        return ConfigError(self.file, node.start_mark.line + 1, path, problem)


def _names(kind: Any) -> str:
    """Name the fields of a message, and apart from them those of which there may be one."""
    # What is optional is, to the contract, a choice of one field, whose name begins so.
    choices = [choice for choice in kind.oneofs if not choice.name.startswith("_")]
    plain = [field.name for field in kind.fields if field.containing_oneof not in choices]
    alternatives = (
        f"one {choice.name} of {', '.join(field.name for field in choice.fields)}"
        for choice in choices
    )
    return "; ".join((", ".join(plain), *alternatives))


def _already_chosen(message: Message, descriptor: FieldDescriptor) -> str | None:
    """Return the field that was given of those of which there may be one."""
    choice = descriptor.containing_oneof
    return None if choice is None else message.WhichOneof(choice.name)


def _prefix(kind: EnumDescriptor) -> str:
    """Return what the contract puts before the name of every value, and people leave out."""
    return kind.values_by_number[0].name.removesuffix("UNSPECIFIED")


def _is_map(descriptor: FieldDescriptor) -> bool:
    kind = descriptor.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _is_plain_message(descriptor: FieldDescriptor) -> bool:
    """Tell a message with fields of its own from a map, and from Google's with their own form."""
    kind = descriptor.message_type
    if kind is None or _is_map(descriptor):
        return False
    return not kind.full_name.startswith("google.protobuf.")


def _form(descriptor: FieldDescriptor) -> str:
    if _is_map(descriptor):
        return "a mapping of texts to texts"
    if descriptor.message_type is not None:
        is_duration = descriptor.message_type.name == "Duration"
        return "a duration such as 1.5s" if is_duration else "a mapping"
    if descriptor.enum_type is not None:
        prefix = _prefix(descriptor.enum_type)
        names = [v.name.removeprefix(prefix).lower() for v in descriptor.enum_type.values[1:]]
        return f"one of {', '.join(names)}"
    one = {
        FieldDescriptor.CPPTYPE_STRING: "text",
        FieldDescriptor.CPPTYPE_UINT32: "a whole number from 0 to 4294967295",
        FieldDescriptor.CPPTYPE_DOUBLE: "a number",
        FieldDescriptor.CPPTYPE_FLOAT: "a number",
        FieldDescriptor.CPPTYPE_BOOL: "true or false",
    }[descriptor.cpp_type]
    return f"a list, each item {one}" if descriptor.is_repeated else one
