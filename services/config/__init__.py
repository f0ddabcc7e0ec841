"""The configuration: mesh.yaml and models.yaml, read, validated, completed with defaults."""

from services.config.defaults import (
    AUDIT_DEFAULTS,
    DEFAULTS,
    HARM_DEFAULTS,
    MODEL_DEFAULTS,
    OPENAI_DEFAULTS,
    POCKET,
    RULE_DEFAULTS,
    complete_policy,
)
from services.config.files import MODEL_FILES
from services.config.mesh import load, policy_file
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
    "AUDIT_DEFAULTS",
    "DEFAULTS",
    "HARM_DEFAULTS",
    "MODEL_DEFAULTS",
    "MODEL_FILES",
    "OPENAI_DEFAULTS",
    "POCKET",
    "RULE_DEFAULTS",
    "ConfigError",
    "beside",
    "check_aliases",
    "complete_policy",
    "dotted",
    "keep_models",
    "lasting",
    "load",
    "load_models",
    "policy_file",
    "replace_models",
]
