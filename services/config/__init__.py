"""The configuration: mesh.yaml and models.yaml, read, validated, completed with defaults."""

from services.config.defaults import DEFAULTS, MODEL_DEFAULTS, OPENAI_DEFAULTS, POCKET
from services.config.files import MODEL_FILES
from services.config.mesh import load
from services.config.models import (
    beside,
    check_aliases,
    keep_models,
    lasting,
    load_models,
    replace_models,
)
from services.config.reader import ConfigError, dotted

__all__ = [
    "DEFAULTS",
    "MODEL_DEFAULTS",
    "MODEL_FILES",
    "OPENAI_DEFAULTS",
    "POCKET",
    "ConfigError",
    "beside",
    "check_aliases",
    "dotted",
    "keep_models",
    "lasting",
    "load",
    "load_models",
    "replace_models",
]
