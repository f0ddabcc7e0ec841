"""Reads models.yaml: which models are served, by what."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from google.protobuf import json_format

from catenary.config.v1 import mesh_pb2
from catenary.config.v1 import models_pb2 as pb
from services.config import files
from services.config.defaults import DEFAULT_MODELS, MODEL_DEFAULTS, OPENAI_DEFAULTS, complete
from services.config.reader import ConfigError, Given, read

_LIVE = ("price", "owner")
"""What may change of a version that is served: it only describes."""


def beside(mesh_file: Path) -> Path:
    """Return where the models stand when nothing else is said: beside mesh.yaml."""
    return mesh_file.with_name("models.yaml")


def load_models(file: Path) -> pb.ModelsConfig:
    """Read and validate the whole file, and fill in the defaults; without a file, all is default.

    Relative paths are taken from the file's folder and come back absolute.

    Raises:
        ConfigError: the file cannot be read, is not YAML, names an unknown field, breaks a rule,
            or names a model whose files are not whole.
    """
    given = read(file, pb.ModelsConfig) if file.exists() else Given(file, pb.ModelsConfig(), {})
    models = given.message.models
    if not models:
        models.extend(DEFAULT_MODELS)
    for index, model in enumerate(models):
        complete(MODEL_DEFAULTS, model)
        field = f"models[{index}]"
        if not model.name:
            raise given.error(f"{field}.name", "must be given")
        if model.name in [other.name for other in models[:index]]:
            raise given.error(f"{field}.name", f"{model.name!r} stands twice")
        if model.path and not model.path.startswith(files.HUB):
            model.path = str(file.resolve().parent / model.path)
        for name, folder in model.adapters.items():
            model.adapters[name] = str(file.resolve().parent / folder)
        problem = files.problem(model)
        if problem:
            raise given.error(f"{field}.path", problem)
        if model.engine == "openai":
            _complete_server(model.openai, given, f"{field}.openai")
    return given.message


def _complete_server(target: pb.OpenAiTarget, given: Given[pb.ModelsConfig], field: str) -> None:
    complete(OPENAI_DEFAULTS, target)
    if not target.base_url:
        raise given.error(f"{field}.base_url", "must be given")
    if target.key_file:
        target.key_file = str(given.file.resolve().parent / target.key_file)


def replace_models(file: Path, served: pb.ModelsConfig) -> pb.ModelsConfig:
    """Read the file anew, as what is to follow the models that are served.

    Whether a model may change within its version only the inference link knows: see `Berth`.

    Raises:
        ConfigError: as `load_models`; or the version of a model has counted down.
    """
    loaded = load_models(file)
    before = {model.name: model for model in served.models}
    for index, model in enumerate(loaded.models):
        old = before.get(model.name)
        if old is not None and model.version < old.version:
            problem = f"{model.name!r} has changed: its version must count up from {old.version}"
            raise read(file, pb.ModelsConfig).error(f"models[{index}].version", problem)
    return loaded


def keep_models(models: pb.ModelsConfig, file: Path) -> None:
    """Write models that were loaded, so that `load_models` reads the same from this file.

    Raises:
        ConfigError: it cannot be written.
    """
    content = json_format.MessageToDict(models, preserving_proto_field_name=True)
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as beside:
            written = Path(beside) / file.name
            # What is sent to other servers, in a header say, may be nobody's business.
            written.touch(0o600)
            written.write_text(yaml.safe_dump(content), encoding="utf-8")
            written.replace(file)
    except OSError as error:
        raise ConfigError(file, 0, "", f"cannot be written: {error.strerror}") from None


def check_aliases(mesh_file: Path, aliases: Mapping[str, str], models: pb.ModelsConfig) -> None:
    """Check that every alias of mesh.yaml stands for a model.

    Raises:
        ConfigError: one does not, or is the name of a model itself.
    """
    names = [model.name for model in models.models]
    for alias, name in aliases.items():
        problem = ""
        if alias in names:
            problem = f"{alias!r} is the name of a model, and cannot stand for another"
        elif name not in names:
            problem = f"{alias!r} stands for {name!r}, but the models are {', '.join(names)}"
        if problem:
            raise read(mesh_file, mesh_pb2.MeshConfig).error("router.aliases", problem)


def lasting(model: pb.ModelConfig) -> pb.ModelConfig:
    """Return the model without what may change while it is served."""
    lasting = pb.ModelConfig()
    lasting.CopyFrom(model)
    for field in _LIVE:
        lasting.ClearField(field)  # type: ignore[arg-type]  # the stubs want literals
    return lasting
