"""A model that the link serves, and what the link knows of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from catenary.config.v1 import mesh_pb2 as config_pb
from catenary.v1 import models_pb2
from infra.triton.vocabulary import Vocabulary
from services.inference.prompt import Prompter


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model's card, its way from messages to tokens, and its tokens' text."""

    card: models_pb2.Model
    prompter: Prompter
    vocabulary: Vocabulary

    @classmethod
    def read(cls, config: config_pb.ModelConfig, card: models_pb2.Model) -> Self:
        """Read what is in the model's folder.

        Raises:
            OSError: a file is not there.
            ValueError: a file is not what it should be.
        """
        folder = Path(config.path)
        return cls(
            card,
            Prompter.read(config.name, folder),
            Vocabulary.read(folder / "tokenizer.json"),
        )
