"""One model: the version that serves it now, and the way in and out of versions.

A new version is opened and warm before any request goes to it; then the old one takes no more, its
calls end, and it is given up. One that is wanted again before that serves again. A version that is
lost, because somebody else has unloaded it, is opened again.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import embeddings_pb2, models_pb2
from catenary.v1 import generation_pb2 as pb
from services import errors, models
from services.config import lasting
from services.errors import MeshError
from services.inference.departures import Departures
from services.inference.version import Host, Version, is_elsewhere, is_lasting, is_lost
from services.link import Call, Events

logger = logging.getLogger(__name__)

_MOST_OPEN = 3
"""One that serves, the next one, and one whose last calls take long: each takes its memory."""
_READY = models_pb2.Model.STATE_READY
_LOADING = models_pb2.Model.STATE_LOADING
_FAILED = models_pb2.Model.STATE_FAILED
_UNREACHABLE = models_pb2.Model.STATE_UNREACHABLE
_CHANGED = "has changed, but it serves already: its version must count up"
"""Answers are stored by version, and one that never served may be mended without."""
_CROWDED = "is loaded once the calls in earlier versions have ended"
_DEFECT = "a defect; the log tells"
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0


@dataclass(slots=True)
class Timing:
    """How long a berth waits for others."""

    handover_s: float = 30.0
    """For a version that serves, when the one that was asked has been unloaded by somebody else."""
    patience_s: float = 3.0
    """Before that one is opened again: it may be another replica that has unloaded it, and this one
    is about to read of the next version; longer than `reload.follow` takes to see a change."""
    linger_s: float = 5.0
    """Before the last version is given up: whoever writes models.yaml may do so in two steps."""


class Berth:
    """Serves one model, as a backend, whichever version of it is there."""

    def __init__(self, config: config_pb.ModelConfig, host: Host, timing: Timing) -> None:
        self.name = config.name
        self._host = host
        self._timing = timing
        self._wanted: config_pb.ModelConfig | None = config
        self._changed = asyncio.Event()
        self._version: Version | None = None
        self._arrived = asyncio.Condition()
        self._departures = Departures(host, timing.linger_s, self._changed.set)
        self._state = _LOADING
        self._problem = ""
        self._settled = asyncio.Event()

    @property
    def engine(self) -> str:
        """What computes the model."""
        return self._serving().backend.engine

    @property
    def capabilities(self) -> Sequence[str]:
        """What the model can do, in words for its card."""
        return self._serving().backend.capabilities

    async def open(self) -> None:
        """Wait until the first version serves, or cannot."""
        await self._settled.wait()

    def want(self, config: config_pb.ModelConfig | None) -> None:
        """Ask for what is to serve from now on; None for nothing, and calls are refused at once."""
        self._wanted = config
        self._changed.set()

    def card(self) -> models_pb2.Model | None:
        """Return the model's card, as things stand; None when it is wanted no more."""
        if self._wanted is None:
            return None
        card = models_pb2.Model()
        if self._version is None:
            card.name, card.version = self.name, self._wanted.version
            card.engine, card.state = self._wanted.engine, self._state
            card.context_window = self._wanted.context_window
            models.label(card, self._wanted)
        else:
            card.CopyFrom(self._version.card)
            card.state = self._version.state
        card.problem = self._problem
        return card

    async def generate(self, request: pb.GenerateRequest, call: Call) -> Events:
        """Stream the events of the version that serves.

        Raises:
            MeshError: no version serves, or the one that does refuses the request or fails.
        """
        version, has_begun = self._serving(), False
        try:
            async with aclosing(version.generate(request, call)) as events:
                async for event in events:
                    has_begun = True
                    yield event
        except MeshError as error:
            if has_begun or not is_lost(error):
                raise
            self._lose(version)
            version = await self._found_for(version, error, call)
        else:
            return
        async with aclosing(version.generate(request, call)) as events:
            async for event in events:
                yield event

    async def count_tokens(self, request: pb.GenerateRequest, call: Call) -> int:
        """Return the tokens of the prompt that `request` would make.

        Raises:
            MeshError: no version serves, or the one that does refuses the messages.
        """
        with self._serving().call() as backend:
            return await backend.count_tokens(request, call)

    async def embed(
        self, request: embeddings_pb2.EmbedRequest, call: Call
    ) -> embeddings_pb2.EmbedResponse:
        """Return a vector for each text.

        Raises:
            MeshError: no version serves, or the one that does refuses the texts or fails.
        """
        with self._serving().call() as backend:
            return await backend.embed(request, call)

    async def run(self) -> None:
        """Bring in what is wanted and let go what is not, until nothing is wanted."""
        pause_s = _FIRST_PAUSE_S
        while True:
            self._changed.clear()
            may_try_again = False
            if self._wanted is not None:
                may_try_again = await self._bring_in(self._wanted)
            elif self._version is not None:
                await self._serve(None)
                continue
            elif not self._departures:
                self._settled.set()
                return
            if self._version is not None and self._version.state != _READY:
                may_try_again = await self._regain(self._version) or may_try_again
            try:
                async with asyncio.timeout(pause_s if may_try_again else None):
                    await self._changed.wait()
                pause_s = _FIRST_PAUSE_S
            except TimeoutError:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Close what is open here; what runs elsewhere goes on, for others."""
        await self._departures.close()
        if self._version is not None:
            await self._version.backend.close()

    async def _bring_in(self, wanted: config_pb.ModelConfig) -> bool:
        """Serve this version; return True when that may succeed later by itself."""
        if self._version is not None and self._version.config.version == wanted.version:
            self._keep(self._version, wanted)
            return False
        if (version := self._departures.take_back(wanted.version)) is not None:
            await self._serve(version)
            self._problem = ""
            self._keep(version, wanted)
            return False
        if not self._has_room(wanted):
            return False
        try:
            version = Version(wanted, await self._host.open(wanted))
        except (MeshError, OSError, ValueError) as error:
            return self._failed(wanted, str(error), may_try_again=not is_lasting(error))
        except Exception:
            logger.exception("defect", extra={"model": self.name})
            return self._failed(wanted, _DEFECT, may_try_again=False)
        await self._serve(version)
        self._problem = ""
        logger.info("model serves", extra={"model": self.name, "version": wanted.version})
        self._settled.set()
        return False

    def _has_room(self, wanted: config_pb.ModelConfig) -> bool:
        """Tell whether a version may be opened now; when not, it may once another one has left."""
        if self._departures.has(wanted.version):
            return False
        if len(self._departures) + (self._version is not None) >= _MOST_OPEN:
            self._problem = f"version {wanted.version}: {_CROWDED}"
            return False
        return True

    def _keep(self, version: Version, wanted: config_pb.ModelConfig) -> None:
        """Take over what may change of a version that serves; all else makes another version."""
        if lasting(wanted) != lasting(version.config):
            self._failed(wanted, _CHANGED, may_try_again=False)
            return
        models.label(version.card, wanted)
        if version.state == _READY:
            self._problem = ""

    def _lose(self, version: Version) -> None:
        if version.state == _READY:
            version.state = _LOADING
            line = {"model": self.name, "version": version.config.version}
            logger.error("model lost", extra=line)
            self._changed.set()

    async def _regain(self, version: Version) -> bool:
        """Open a version again that was lost; return True when that is to be tried once more."""
        try:
            async with asyncio.timeout(self._timing.patience_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        else:
            return True
        try:
            await self._host.reopen(version.config, version.backend)
        except (MeshError, OSError, ValueError) as error:
            problem = str(error)
        except Exception:
            logger.exception("defect", extra={"model": self.name})
            problem = _DEFECT
        else:
            problem = ""
        if problem:
            # It has served before: no failure is held for lasting.
            self._failed(version.config, problem, may_try_again=True)
        else:
            line = {"model": self.name, "version": version.config.version}
            logger.info("model serves again", extra=line)
        async with self._arrived:
            version.state = _FAILED if problem else _READY
            self._arrived.notify_all()
        wanted = self._wanted
        if not problem and wanted is not None and wanted.version == version.config.version:
            self._keep(version, wanted)
        return bool(problem)

    def _failed(self, wanted: config_pb.ModelConfig, problem: str, *, may_try_again: bool) -> bool:
        problem = " ".join(f"version {wanted.version}: {problem}".split())
        if problem != self._problem:
            logger.error("model does not serve", extra={"model": self.name, "problem": problem})
        self._problem = problem
        if may_try_again and is_elsewhere(wanted):
            self._state = _UNREACHABLE
            self._settled.set()
        elif may_try_again:
            self._state = _LOADING
        else:
            self._state = _FAILED
            self._settled.set()
        return may_try_again

    async def _serve(self, version: Version | None) -> None:
        """Send requests to a version from now on; the last one leaves."""
        last, self._version = self._version, version
        self._state = _LOADING
        if last is not None:
            self._departures.begin(last)
        async with self._arrived:
            self._arrived.notify_all()

    def _serving(self) -> Version:
        if self._wanted is None:
            raise errors.model_not_found(self.name)
        if self._version is None and self._state == _UNREACHABLE:
            metadata = {"upstream": self._wanted.engine, "model": self.name}
            raise replace(errors.upstream_unreachable(f"model {self.name!r}"), metadata=metadata)
        if self._version is None:
            raise errors.model_unavailable(self.name, has_failed=self._state == _FAILED)
        if self._version.state == _FAILED:
            raise errors.model_unavailable(self.name, has_failed=True)
        return self._version

    async def _found_for(self, lost: Version, error: MeshError, call: Call) -> Version:
        """Wait until the version that was lost serves again, or another one; or cannot."""
        patience_s = self._timing.handover_s
        left_s = call.time_remaining()
        try:
            async with asyncio.timeout(patience_s if left_s is None else min(patience_s, left_s)):
                async with self._arrived:
                    await self._arrived.wait_for(
                        lambda: self._version is not lost or lost.state != _LOADING
                    )
        except TimeoutError:
            raise error from None
        return self._serving()
