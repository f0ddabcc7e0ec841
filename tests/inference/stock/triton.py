"""Starts real Triton with models that speak the stock contracts, and reaches them."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from tokenizers import Tokenizer

from catenary.config.v1 import models_pb2
from infra.engine.vocabulary import Vocabulary
from infra.triton import server
from services.inference.prompt import Prompter
from services.inference.prompted import PromptedBackend
from services.inference.stock import client
from services.models import describe
from services.tracing import Tracing
from services.transport import OPTIONS
from tests.inference.stock.contracts import Contract
from tests.inference.triton import POCKET, Triton, launch

_PROJECT = Path(__file__).resolve().parents[3]
_NUMPY_1 = Path(sys.prefix) / "numpy1"
"""An environment with numpy 1, which the stub was built for; `make test` makes it."""
_MODEL_PY = '''"""Serves the pocket model as NVIDIA's own models are served."""

import sys

# numpy is the one of the stub's own environment, all else the project's.
sys.path[:0] = [{project!r}]
sys.path += {packages!r}

from tests.inference.stock.models.{module} import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


def start(folder: Path, models: Mapping[str, tuple[str, Contract]]) -> Triton:
    """Start Triton with some models: each the module that computes it, and what it declares."""
    if sys.version_info >= (3, 13):
        pytest.skip("there is no numpy 1 for this Python")
    assert _NUMPY_1.is_dir(), "`make test` makes an environment with numpy 1, which is missing"
    for name, (module, contract) in models.items():
        version = folder / "models" / name / "1"
        version.mkdir(parents=True)
        packages = [path for path in sys.path if path.endswith("site-packages")]
        text = _MODEL_PY.format(project=str(_PROJECT), packages=packages, module=module)
        (version / "model.py").write_text(text)
        parameters = {"path": str(POCKET), "python": sys.executable, "max_sequences": "8"}
        (version.parent / "config.pbtxt").write_text(contract.config(name, parameters))
    environment = server.environment(os.environ)
    environment["PATH"] = f"{_NUMPY_1 / 'bin'}{os.pathsep}{environment['PATH']}"
    return launch(folder, environment)


@asynccontextmanager
async def connected(
    triton: Triton, engine: str, model: str, *, is_cumulative: bool = False
) -> AsyncIterator[PromptedBackend]:
    """Give the backend of a model that Triton serves."""
    target = models_pb2.TritonTarget(model=model, is_cumulative=is_cumulative)
    config = models_pb2.ModelConfig(
        name="pocket", path=str(POCKET), engine=engine, triton=target, owner="catenary"
    )
    address = f"127.0.0.1:{triton.ports.grpc}"
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        tokenizer = Tokenizer.from_file(str(POCKET / "tokenizer.json"))
        vocabulary = Vocabulary.read(POCKET / "tokenizer.json")
        reached = client(config, channel, Tracing(), tokenizer, vocabulary)
        card = describe([config])["pocket"]
        yield PromptedBackend(card, Prompter.read("pocket", POCKET), reached)
