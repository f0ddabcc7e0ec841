"""The inference link alone, as a process."""

from collections.abc import Sequence

from services.catalogue import ModelsServicer, listing
from services.inference import Inference
from services.inference.fleet import launched
from services.inference.load import LoadReports
from services.process import Process, main
from services.server import Service, generation
from services.unary import services


async def build(process: Process) -> Sequence[Service]:
    """Build the link in front of Triton."""
    loads = LoadReports()
    fleet = launched(process, loads)
    link = Inference(fleet.models, fleet)
    return [
        generation(process.hop("inference", link), process.tracing, loads),
        *services(process.unary_hop("inference", link), process.tracing),
        listing(ModelsServicer(fleet, process.served)),
    ]


if __name__ == "__main__":
    main("inference", build)
