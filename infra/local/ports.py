"""Which part listens where; one number moves them all."""

import socket
from dataclasses import dataclass

from infra.local.errors import PortTakenError
from services.chain import ORDER

MAX_REPLICAS = 9
"""The most replicas of one link: each has ten ports of its own, ten apart from the last one's."""

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one mesh."""

    edge: int = 8080
    admin: int = 9901
    mesh: int = 8090
    """Envoy's listener for the calls between links; used in split placement only."""
    triton_http: int = 8000
    triton_grpc: int = 8001
    triton_metrics: int = 8002
    first_link: int = 50051
    first_metrics: int = 9464

    def link(self, name: str, replica: int = 0) -> int:
        """Return where a replica of a link serves gRPC."""
        return self.first_link + ORDER.index(name) + 10 * replica

    def metrics(self, name: str, replica: int = 0) -> int:
        """Return where a replica of a link serves its metrics."""
        return self.first_metrics + ORDER.index(name) + 10 * replica


SPAN = 100
"""How many ports a mesh takes from its base on."""


def based(base: int) -> Ports:
    """Return the ports of a mesh that has all of them in `base` to `base + SPAN - 1`."""
    return Ports(
        edge=base,
        admin=base + 1,
        mesh=base + 2,
        triton_http=base + 3,
        triton_grpc=base + 4,
        triton_metrics=base + 5,
        first_link=base + 10,
        first_metrics=base + 15,
    )


def require_free(port: int, part: str, role: str) -> None:
    """Check that nothing listens on a port.

    Raises:
        PortTakenError: something does.
    """
    with socket.socket() as probe:
        # As servers do: a connection that lingers from the last run does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise PortTakenError(port, part, role) from None
