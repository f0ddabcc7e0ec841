"""Asks a hub for a path over HTTP, and says in one line why it does not answer."""

import http.client
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from infra.models.errors import ModelError

_TIMEOUT_S = 30.0
"""How long the other side may be silent."""
_MAX_TEXT_BYTES = 32 << 20
_MAX_REDIRECTS = 5
_REFUSALS = {
    "GatedRepo": "gives it only to those whom its owner lets: set HF_TOKEN to the key of one",
    "RevisionNotFound": "has no such revision of it",
    "EntryNotFound": "lacks a file of it that it lists",
}
"""By what Hugging Face's header X-Error-Code tells."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the key must not go where one leads."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A hub's address, and the key to it; empty if there is none."""

    endpoint: str
    token: str

    def text(self, path: str, model: str) -> bytes:
        """Return a short answer.

        Raises:
            ModelError: the hub cannot be reached, or refuses.
        """
        try:
            with self.open(path, model) as answer:
                return answer.read(_MAX_TEXT_BYTES)
        except (OSError, http.client.HTTPException) as error:
            # Most who name a path and mistype it have no hub in mind.
            problem = f"no path here, and {self.endpoint} cannot be reached: {why(error)}"
            raise ModelError(model, problem) from None

    def open(self, path: str, model: str, start: int = 0) -> http.client.HTTPResponse:
        """Ask for a path from its byte `start` on; `model` is for errors.

        Raises:
            ModelError: the hub refuses.
            OSError, HTTPException: the hub cannot be reached.
        """
        url = self.endpoint + path
        for _ in range(_MAX_REDIRECTS):
            answer = self._asked(url, model, start)
            if isinstance(answer, http.client.HTTPResponse):
                return answer
            url = urljoin(url, answer)
        raise ModelError(model, f"{self.endpoint} redirects without end")

    def _asked(self, url: str, model: str, start: int) -> http.client.HTTPResponse | str:
        """Return an answer, or where it leads."""
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ModelError(model, f"{self.endpoint} is or leads to what is no address of the web")
        headers = {"User-Agent": "catenary", "Accept-Encoding": "identity"}
        if self.token and urlsplit(url).netloc == urlsplit(self.endpoint).netloc:
            headers["Authorization"] = f"Bearer {self.token}"
        if start:
            headers["Range"] = f"bytes={start}-"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
        opener = urllib.request.build_opener(_Stay)
        try:
            answer: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                location = error.headers.get("Location")
                if error.code in {301, 302, 303, 307, 308} and location:
                    return str(location)
                raise self._refusal(error, model) from None
        except urllib.error.URLError as error:
            raise ConnectionError(why(error)) from None
        return answer

    def _refusal(self, error: urllib.error.HTTPError, model: str) -> ModelError:
        told = _REFUSALS.get(error.headers.get("X-Error-Code", ""))
        if told is not None:
            return ModelError(model, f"{self.endpoint} {told}")
        if error.code in {401, 403, 404}:
            return ModelError(
                model,
                f"neither a path here nor a model that {self.endpoint} gives ({error.code}); "
                "a private one needs HF_TOKEN",
            )
        return ModelError(model, f"{self.endpoint} answers {error.code}")


def why(error: Exception) -> str:
    """Return in a few words what went wrong on the network."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"it was silent for {_TIMEOUT_S:.0f} s"
    if isinstance(reason, OSError) and reason.errno is not None and reason.errno > 0:
        return os.strerror(reason.errno)
    return str(reason)
