"""A hub of models on loopback: speaks the protocol of huggingface.co, and fails as it is told to.

`GET /api/models/NAME/revision/REVISION?blobs=true` lists a model; `GET /NAME/resolve/COMMIT/FILE`
answers small files itself, and leads to another server for the large ones, which are kept apart
from the hub and must not see the key to it.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 1_000_000
"""From here on a file is in large file storage."""


@dataclass
class FakeHub:
    """What the hub has, how it fails, and what it was asked."""

    files: dict[str, bytes]
    name: str = "acme/model"
    token: str = ""
    """What a caller must show, if anything."""
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False
    url: str = ""
    cut_after: int | None = None
    """The next answer with a large file ends after so many bytes."""
    then_moved_to: str = ""
    """Where the large files are from then on."""
    without_ranges: bool = False
    wrong: str = ""
    """The file of which the last byte is another one than the checksum tells."""
    asked: list[str] = field(default_factory=list[str])
    """Every path, with where it was to begin."""
    storage_url: str = ""
    storage_keys: list[str | None] = field(default_factory=list[str | None])
    """What the large files' storage was shown."""


def listing(hub: FakeHub) -> dict[str, object]:
    """What the API tells of the model."""
    siblings = []
    for name, content in hub.files.items():
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False)
        entry: dict[str, object] = {"rfilename": name, "size": len(content)}
        entry["blobId"] = blob.hexdigest()
        if len(content) >= LARGE_BYTES:
            sha256 = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        siblings.append(entry)
    return {"id": hub.name, "modelId": hub.name, "sha": COMMIT, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass

    def refuse(self, status: int, code: str, text: str) -> None:
        self.answer(status, text.encode(), {"X-Error-Code": code, "X-Error-Message": text})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, name: str, headers: Mapping[str, str]) -> None:
        """Answer a file, or what is asked for of it."""
        hub = self.hub
        content = hub.files[name]
        if hub.wrong == name:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        wanted = self.headers.get("Range")
        if wanted and not hub.without_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        body = content[start:]
        if hub.cut_after is not None and len(content) >= LARGE_BYTES:
            body, hub.cut_after = body[: hub.cut_after], None
            self.close_connection = True
            hub.storage_url = hub.then_moved_to or hub.storage_url
        self.wfile.write(body)


class _Api(_Handler):
    def do_GET(self) -> None:
        hub, url = self.hub, urlsplit(self.path)
        hub.asked.append(f"{url.path} {self.headers.get('Range', '')}".strip())
        given = self.headers.get("Authorization")
        if hub.gated and not given:
            self.refuse(401, "GatedRepo", f"Access to model {hub.name} is restricted.")
        elif hub.token and given != f"Bearer {hub.token}":
            self.refuse(401, "RepoNotFound", "Invalid username or password.")
        elif url.path.startswith("/api/models/"):
            self.list(url.path.removeprefix("/api/models/"), parse_qs(url.query))
        else:
            self.resolve(url.path.removeprefix("/"))

    def list(self, path: str, query: Mapping[str, list[str]]) -> None:
        hub = self.hub
        name, _, revision = path.partition("/revision/")
        if name != hub.name:
            self.refuse(401, "RepoNotFound", "Invalid username or password.")
        elif unquote(revision) not in hub.revisions:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            told = listing(hub)
            if query.get("blobs") != ["true"]:
                told["siblings"] = [{"rfilename": file} for file in hub.files]
            self.answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def resolve(self, path: str) -> None:
        hub = self.hub
        _, _, place = path.partition("/resolve/")
        commit, _, name = place.partition("/")
        if name not in hub.files or commit != COMMIT:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        content = hub.files[name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if len(content) < LARGE_BYTES:
            self.send_file(name, headers)
            return
        headers |= {
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": headers["ETag"],
            "Location": f"{hub.storage_url}/{name}?signature=secret",
        }
        self.answer(302, b"", headers)


class _Storage(_Handler):
    def do_GET(self) -> None:
        self.hub.storage_keys.append(self.headers.get("Authorization"))
        self.send_file(urlsplit(self.path).path.removeprefix("/"), {})


@contextmanager
def served(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve a hub, and the storage of its large files, and stop both at the end."""
    api = ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (_Api,), {"hub": hub}))
    storage = ThreadingHTTPServer(("127.0.0.1", 0), type("Storage", (_Storage,), {"hub": hub}))
    threads = [threading.Thread(target=server.serve_forever) for server in (api, storage)]
    for thread in threads:
        thread.start()
    hub.url = f"http://127.0.0.1:{api.server_port}"
    hub.storage_url = f"http://127.0.0.1:{storage.server_port}"
    try:
        yield hub
    finally:
        for server in (api, storage):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
