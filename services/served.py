"""What models.yaml says now, for everything in a process that must follow it."""

from collections.abc import Callable, Mapping

from catenary.config.v1.models_pb2 import ModelsConfig
from services import models

Take = Callable[[ModelsConfig], None]


class Served:
    """The models that are to be served, from one moment to the next."""

    def __init__(self, config: ModelsConfig, aliases: Mapping[str, str]) -> None:
        self.config = config
        self.names = models.names(config)
        """Every name that can be asked for; the same set all the time, changed in place."""
        self.labels = self.names | aliases.keys()
        """These names and the aliases: the only ones that become labels of metrics."""
        self._aliases = frozenset(aliases)
        self._takers: list[Take] = []

    def tell(self, take: Take) -> None:
        """Tell somebody what is to be served, now and whenever it changes."""
        self._takers.append(take)
        take(self.config)

    def take(self, config: ModelsConfig) -> None:
        """Serve these models from now on."""
        self.config = config
        for live, names in (
            (self.names, models.names(config)),
            (self.labels, models.names(config) | self._aliases),
        ):
            live.clear()
            live.update(names)
        for take in self._takers:
            take(config)
