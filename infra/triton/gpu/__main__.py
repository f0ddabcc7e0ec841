"""Writes the repository from which NVIDIA's Triton serves the models of a models.yaml on GPUs."""

import argparse
import sys
from pathlib import Path

from infra.engine.command import EngineName
from infra.triton import repository
from infra.triton.repository import ServedModel
from services import config
from services.config import ConfigError


def main() -> None:
    """Write the models with the engine `tensorrt_llm`, by the names that they have in Triton."""
    parser = argparse.ArgumentParser(prog="python -m infra.triton.gpu", description=__doc__)
    parser.add_argument("models", type=Path, help="models.yaml")
    parser.add_argument("repository", type=Path, help="the folder to write")
    parser.add_argument("--python", required=True, help="the interpreter that has tensorrt_llm")
    parser.add_argument("--otlp-endpoint", default="", help="where spans go")
    given = parser.parse_args()
    try:
        read = config.load_models(given.models)
        models = [
            ServedModel.configured(model.triton.model or model.name, model)
            for model in read.models
            if model.engine == EngineName.TENSORRT_LLM
        ]
        if not models:
            sys.exit(f"{given.models}: no model has the engine {EngineName.TENSORRT_LLM}")
        repository.write(given.repository, models, given.python, given.otlp_endpoint)
    except (ConfigError, OSError, ValueError, KeyError) as error:
        sys.exit(f"{given.models}: {error}")


if __name__ == "__main__":
    main()
