"""The configuration: YAML → MeshConfig → validated. Every default is stated here, and only here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import protovalidate
import yaml
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from catenary.config.v1 import mesh_pb2 as pb
from catenary.config.v1 import models_pb2

DEFAULTS = pb.MeshConfig(
    gateway=pb.GatewayConfig(default_deadline=Duration(seconds=600), max_calls=1024),
    safety=pb.SafetyConfig(max_prompt_chars=1_000_000),
    cache=pb.CacheConfig(max_bytes=64 * 1024 * 1024, ttl=Duration(seconds=3600)),
    edge=pb.EdgeConfig(max_body_bytes=16 * 1024 * 1024, max_connections=4096, workers=2),
    server=pb.ServerConfig(drain=Duration(seconds=10)),
)
"""What a configuration file that says nothing means."""

MODEL_DEFAULTS = models_pb2.ModelConfig(
    max_sequences=64,
    max_queue=256,
    kv_cache_mib=512,
    stream_interval=Duration(nanos=20_000_000),
)
"""What a model that names only its files means."""

POCKET = models_pb2.ModelConfig(
    name="pocket", path=str(Path(__file__).resolve().parent.parent / "models" / "pocket")
)
"""The model of the project, served where the file names none."""

MODEL_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json"),
    *("openvino_model.xml", "openvino_model.bin"),
)
"""What a model's folder must hold: its shape, its tokenizer with its template, its weights."""

MODEL_FACTS = (
    *("max_position_embeddings", "vocab_size", "hidden_size"),
    *("num_attention_heads", "num_hidden_layers"),
)
"""What a model's `config.json` must tell."""


@dataclass(slots=True, eq=False)
class ConfigError(Exception):
    """A configuration that cannot be used; its text is one line that names file, line and field."""

    file: Path
    line: int
    """Counted from 1; 0 where no line is to blame."""
    field: str
    """The field's path, for example `inference.models[0].path`; empty for the whole file."""
    problem: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return (
            f"{where}: {self.field}: {self.problem}" if self.field else f"{where}: {self.problem}"
        )


def load(path: Path) -> pb.MeshConfig:
    """Read and validate the whole file, and fill in the defaults.

    Relative model paths are taken from the file's folder and come back absolute.

    Raises:
        ConfigError: the file cannot be read, is not YAML, names an unknown field, breaks a rule,
            or names a model whose files are not there.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(path, 0, "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(path, 0, "", "is not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        line = mark.line + 1 if mark else 0
        raise ConfigError(path, line, "", f"is not YAML: {problem}") from None
    given = pb.MeshConfig()
    reader = _Reader(path)
    if root is not None:
        reader.fill(given, root, "")
    for violation in protovalidate.collect_violations(given):
        field = dotted(violation.proto.field)
        raise ConfigError(path, reader.line(field), field, violation.proto.message)
    config = pb.MeshConfig()
    config.CopyFrom(DEFAULTS)
    _override(config, given)
    _complete_models(config, reader)
    _check_aliases(config, reader)
    return config


def _override(defaults: Message, given: Message) -> None:
    """Put what was given in place of the defaults."""
    _clear_durations(defaults, given)
    defaults.MergeFrom(given)


def _clear_durations(defaults: Message, given: Message) -> None:
    # A merge goes into durations too: 10 s and 0.5 s would make 10.5 s.
    for descriptor, value in given.ListFields():
        if isinstance(value, Duration):
            defaults.ClearField(descriptor.name)
        elif isinstance(value, Message):
            _clear_durations(getattr(defaults, descriptor.name), value)


def dotted(field_path: Any) -> str:
    """Write protovalidate's path of a field as people do, for example `messages[0].content`."""
    text = ""
    for element in field_path.elements if field_path else ():
        text += f".{element.field_name}"
        if element.subscript is not None:
            text += f"[{element.subscript.value}]"
    return text.removeprefix(".")


class _Reader:
    """Fills messages from YAML nodes, and remembers on which line each field stands."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[str, int] = {}

    def line(self, field: str) -> int:
        """Return the line of a field, or of the nearest field round it."""
        while field and field not in self.lines:
            field = field.rpartition("." if field.rfind(".") > field.rfind("[") else "[")[0]
        return self.lines.get(field, 1)

    def fill(self, message: Message, node: yaml.Node, path: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, path, "must be a mapping of fields")
        message.SetInParent()
        for key, value in node.value:
            field = f"{path}.{key.value}".removeprefix(".")
            descriptor: Any = message.DESCRIPTOR.fields_by_name.get(str(key.value))
            if descriptor is None:
                names = ", ".join(message.DESCRIPTOR.fields_by_name)
                raise self._error(key, field, f"there is no such field here; there are {names}")
            if field in self.lines:
                raise self._error(key, field, "stands twice")
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
                raise self._error(node, path, f"must be {_kind(descriptor)}")
            try:
                value = yaml.SafeLoader("").construct_object(node, deep=True)
                json_format.ParseDict({descriptor.name: value}, message)
            except (yaml.YAMLError, json_format.ParseError, TypeError, ValueError):
                raise self._error(node, path, f"must be {_kind(descriptor)}") from None

    def _error(self, node: yaml.Node, path: str, problem: str) -> ConfigError:
        return ConfigError(self.file, node.start_mark.line + 1, path, problem)


def _is_plain_message(descriptor: FieldDescriptor) -> bool:
    kind = descriptor.message_type
    if kind is None or kind.GetOptions().map_entry:
        return False
    return bool(kind.full_name != Duration.DESCRIPTOR.full_name)


def _kind(descriptor: FieldDescriptor) -> str:
    one = {
        FieldDescriptor.CPPTYPE_STRING: "text",
        FieldDescriptor.CPPTYPE_UINT32: "a whole number from 0 to 4294967295",
        FieldDescriptor.CPPTYPE_MESSAGE: "a duration such as 1.5s",
    }[descriptor.cpp_type]
    if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
        return "a mapping of texts to texts"
    return f"a list, each item {one}" if descriptor.is_repeated else one


def _complete_models(config: pb.MeshConfig, reader: _Reader) -> None:
    if not config.inference.models:
        config.inference.models.append(POCKET)
    names = [model.name for model in config.inference.models]
    for index, name in enumerate(names):
        if name in names[:index]:
            field = f"inference.models[{index}].name"
            raise ConfigError(reader.file, reader.line(field), field, f"{name!r} stands twice")


def _check_aliases(config: pb.MeshConfig, reader: _Reader) -> None:
    names = [model.name for model in config.inference.models]
    field = "router.aliases"
    for alias, name in config.router.aliases.items():
        if alias in names:
            problem = f"{alias!r} is the name of a model, and cannot stand for another"
            raise ConfigError(reader.file, reader.line(field), field, problem)
        if name not in names:
            problem = f"{alias!r} stands for {name!r}, but the models are {', '.join(names)}"
            raise ConfigError(reader.file, reader.line(field), field, problem)
    for index, given in enumerate(config.inference.models):
        model = models_pb2.ModelConfig()
        model.CopyFrom(MODEL_DEFAULTS)
        _override(model, given)
        folder = reader.file.resolve().parent / given.path
        field = f"inference.models[{index}].path"
        if not folder.is_dir():
            raise ConfigError(
                reader.file, reader.line(field), field, f"there is no folder {str(folder)!r}"
            )
        problem = _model_problem(folder)
        if problem:
            raise ConfigError(reader.file, reader.line(field), field, problem)
        model.path = str(folder)
        config.inference.models[index].CopyFrom(model)


def _model_problem(folder: Path) -> str:
    """Return what is wrong with a model's files; empty when nothing is."""
    for name in MODEL_FILES:
        if not (folder / name).is_file():
            return f"the model has no file {str(folder / name)!r}"
    for name in (file for file in MODEL_FILES if file.endswith(".json")):
        try:
            value = json.loads((folder / name).read_text(encoding="utf-8"))
        except ValueError as error:
            return f"{str(folder / name)!r} is not JSON: {error}"
        missing = [fact for fact in MODEL_FACTS if fact not in value]
        if name == "config.json" and missing:
            return f"{str(folder / name)!r} does not tell {missing[0]!r}"
    return ""
