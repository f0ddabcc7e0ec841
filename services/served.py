"""What models.yaml says now, for everything in a process that must follow it."""

from collections.abc import Callable, Mapping

from catenary.config.v1.models_pb2 import ModelsConfig
from services import models
from services.config import ConfigError

Take = Callable[[ModelsConfig], None]


class Served:
    """The models that are to be served, from one moment to the next."""

    def __init__(self, config: ModelsConfig, aliases: Mapping[str, str]) -> None:
        self.config = config
        self.versions = models.versions(config)
        """The version that is to serve each name; the same mapping always, changed in place."""
        self.names = self.versions.keys()
        """Every name that can be asked for; it changes as the versions do."""
        self.labels = self.names | aliases.keys()
        """These names and the aliases: the only ones that become labels of metrics."""
        self.refusal = ""
        """Why models.yaml, as it stands, is not what is served; empty while it is."""
        self._aliases = frozenset(aliases)
        self._takers: list[Take] = []

    def tell(self, take: Take) -> None:
        """Tell somebody what is to be served, now and whenever it changes."""
        self._takers.append(take)
        take(self.config)

    def refuse(self, error: ConfigError) -> None:
        """Serve on what is served: the file has changed, and cannot be used."""
        self.refusal = error.refusal

    def take(self, config: ModelsConfig) -> None:
        """Serve these models from now on."""
        self.config = config
        self.refusal = ""
        self.versions.clear()
        self.versions.update(models.versions(config))
        self.labels.clear()
        self.labels.update(self.names, self._aliases)
        for take in self._takers:
            take(config)
