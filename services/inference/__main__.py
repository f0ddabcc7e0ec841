"""The inference link alone, as a process."""

from collections.abc import Sequence

from services.inference import Inference
from services.inference.backends import resources
from services.process import Process, main
from services.server import Service, generation


def build(process: Process) -> Sequence[Service]:
    """Build the link in front of Triton."""
    link = Inference.configured(process.config.inference, process.models, resources(process))
    return [generation(process.hop("inference", link), process.tracing)]


if __name__ == "__main__":
    main("inference", build)
