"""How many processes each link has, as it is written on the command line."""

from collections.abc import Iterable, Mapping

from infra.local.errors import LocalError
from infra.local.ports import MAX_REPLICAS
from services.chain import ORDER


def parse(given: Iterable[str], placement: str) -> Mapping[str, int]:
    """Read `link=count` pairs.

    Raises:
        LocalError: one is not such a pair, or the placement has no replicas.
    """
    replicas = {}
    for pair in given:
        link, _, count = pair.partition("=")
        if link not in ORDER or not count.isdecimal() or not 1 <= int(count) <= MAX_REPLICAS:
            raise LocalError(
                f"--replicas {pair}: must be a link and a number from 1 to {MAX_REPLICAS}, "
                f"for example inference=2; the links are {', '.join(ORDER)}"
            )
        replicas[link] = int(count)
    if replicas and placement == "single":
        raise LocalError("--replicas: in placement single the links share one process; use split")
    return replicas
