"""A hub of models, as Hugging Face's: what a model has, and its download into the cache."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from infra.models.cache import downloads, reference
from infra.models.download import RemoteFile, fetch
from infra.models.errors import ModelError
from infra.models.http import Connection
from infra.models.lock import locked
from infra.models.report import Report
from infra.models.selection import chosen
from infra.models.source import HubModel

_ENDPOINT = "https://huggingface.co"
_TASK = "downloading"


class _Lfs(msgspec.Struct, frozen=True):
    """What the hub tells of a large file."""

    sha256: str


class _Sibling(msgspec.Struct, frozen=True):
    """What the hub tells of a file."""

    rfilename: str
    size: int = 0
    blobId: str = ""  # noqa: N815 - the hub's name
    lfs: _Lfs | None = None


class _Model(msgspec.Struct, frozen=True):
    """What the hub tells of a model at a revision."""

    sha: str
    siblings: list[_Sibling]


def connection() -> Connection:
    """Return the connection to the hub that `HF_ENDPOINT` names, with the key in `HF_TOKEN`."""
    endpoint = os.environ.get("HF_ENDPOINT") or _ENDPOINT
    return Connection(endpoint.rstrip("/"), os.environ.get("HF_TOKEN", ""))


def download(model: HubModel, cache: Path, report: Report) -> Path:
    """Download what the engine needs of a model: a folder, or a GGUF file.

    What is there of it already is not fetched again.

    Raises:
        ModelError: the hub cannot be reached, lacks the model, or sends what it should not.
        OSError: a file cannot be written.
    """
    hub, place = connection(), downloads(model, cache)
    with locked(place, report):
        told = _ask(hub, model)
        files = chosen(model, [_remote(model, sibling) for sibling in told.siblings])
        folder = place / told.sha
        _fetch(hub, model, files, folder, report)
        name = files[0].name
        found = folder / name if name.endswith(".gguf") else folder
        _refer(reference(model, cache), str(found.relative_to(place)))
    return found


def _ask(hub: Connection, model: HubModel) -> _Model:
    path = f"/api/models/{model.name}/revision/{quote(model.revision, safe='')}?blobs=true"
    try:
        told = msgspec.json.decode(hub.text(path, model.name), type=_Model)
    except msgspec.DecodeError as error:
        raise ModelError(model.name, f"the hub's answer is not understood: {error}") from None
    if not told.sha.isalnum():
        raise ModelError(model.name, "the hub's answer is not understood: it tells no commit")
    return told


def _remote(model: HubModel, sibling: _Sibling) -> RemoteFile:
    checksum = sibling.lfs.sha256 if sibling.lfs is not None else sibling.blobId
    if not checksum:
        raise ModelError(model.name, f"the hub tells no checksum of {sibling.rfilename!r}")
    return RemoteFile(sibling.rfilename, sibling.size, checksum)


def _fetch(
    hub: Connection, model: HubModel, files: Sequence[RemoteFile], folder: Path, report: Report
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    total, free = sum(file.size for file in files), shutil.disk_usage(folder).free
    if total > free:
        raise ModelError(model.name, f"has {total} bytes, and the disk has room for {free}")
    done = 0
    for file in files:
        path = f"/{model.name}/resolve/{folder.name}/{quote(file.name)}"
        for fetched in fetch(hub, path, file, folder / file.name):
            report(_TASK, done + fetched, total)
        done += file.size


def _refer(file: Path, to: str) -> None:
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.write_text(to, encoding="utf-8")
    unfinished.replace(file)
