"""The real model, loaded once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.embedding import package, weights
from infra.embedding.embedder import Embedder
from infra.embedding.shape import Shape
from infra.embedding.weights import Weights


@pytest.fixture(scope="session")
def model() -> Path:
    return package.folder()


@pytest.fixture(scope="session")
def shape(model: Path) -> Shape:
    return Shape.read(model)


@pytest.fixture(scope="session")
def stored(model: Path) -> Weights:
    return weights.read(model / "model.safetensors")


@pytest.fixture(scope="session")
def embedder(model: Path) -> Iterator[Embedder]:
    loaded = Embedder.load(model)
    yield loaded
    asyncio.run(loaded.close())
