"""The models that are served, each in its berth, as models.yaml says at any moment."""

import asyncio
from collections.abc import Mapping

from catenary.config.v1 import models_pb2 as config_pb
from catenary.v1 import models_pb2
from services.inference.backend import Backend
from services.inference.backends import resources
from services.inference.berth import Berth, Timing
from services.inference.deployment import Deployment
from services.inference.host import BackendHost
from services.inference.load import LoadReports
from services.inference.version import Host
from services.process import Process

_SETTLE_S = 600.0
"""After which a process serves the models that it has: what the others need may stay away."""


class Fleet:
    """Holds the berths, and keeps them running."""

    def __init__(self, host: Host, timing: Timing) -> None:
        self.models: dict[str, Backend] = {}
        """What serves each name that can be asked for: the models', and `model:adapter`."""
        self._host = host
        self._timing = timing
        self._berths: dict[str, Berth] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def serve(self, config: config_pb.ModelsConfig) -> None:
        """Serve these models from now on, and no others; they come and go as they can."""
        for name in [name for name, task in self._tasks.items() if task.done()]:
            del self._berths[name], self._tasks[name]
        for name in self._berths.keys() - {model.name for model in config.models}:
            self._berths[name].want(None)
        self.models.clear()
        for model in config.models:
            berth = self._berths.get(model.name)
            if berth is None:
                berth = self._berths[model.name] = Berth(model, self._host, self._timing)
                self._tasks[model.name] = asyncio.create_task(berth.run(), name=model.name)
            else:
                berth.want(model)
            self.models[model.name] = berth
            self.models |= {f"{model.name}:{adapter}": berth for adapter in model.adapters}

    async def settled(self) -> None:
        """Wait until every model serves, or cannot, or may yet take long."""
        waits = [asyncio.create_task(berth.open()) for berth in self._berths.values()]
        try:
            await asyncio.wait(waits, timeout=_SETTLE_S)
        finally:
            for wait in waits:
                wait.cancel()

    async def cards(self) -> Mapping[str, models_pb2.Model]:
        """Return the card of every model, by name, as things stand now."""
        cards = (berth.card() for berth in self._berths.values())
        return {card.name: card for card in cards if card is not None}

    async def close(self) -> None:
        """Stop bringing models in and out, and close what is open here."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for berth in self._berths.values():
            await berth.close()


def launched(process: Process, loads: LoadReports) -> Fleet:
    """Return the fleet of a process: it follows models.yaml, and settles before it serves.

    `loads` hears how busy its engines are.
    """
    shared = resources(process, loads)
    deployment = None
    if process.repository is not None:
        endpoint = process.config.telemetry.otlp_endpoint
        deployment = Deployment(shared.channel(""), process.repository, endpoint)
        process.closing.callback(deployment.close)
    fleet = Fleet(BackendHost(shared, deployment), Timing())
    process.closing.push_async_callback(fleet.close)
    process.served.tell(fleet.serve)
    process.opening.append(fleet.settled)
    return fleet
