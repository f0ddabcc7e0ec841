"""What a model's own files say about it."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The facts about a model that its servers need, from `config.json`."""

    context_window: int
    """The most tokens of prompt and completion together."""
    vocabulary: int
    """Token ids are below this."""
    kv_bytes_per_token: int
    """What one token takes of a KV cache of 8-bit values, a little overestimated."""

    @classmethod
    def read(cls, model: Path) -> "ModelCard":
        """Read the card of the model in a folder.

        Raises:
            OSError: there is no `config.json`.
            ValueError: it is not JSON.
            KeyError: it lacks a fact.
        """
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        heads = config["num_attention_heads"]
        head_size = config.get("head_dim") or config["hidden_size"] // heads
        # A key and a value in each layer, each with its scale and zero point.
        per_head = 2 * (head_size + 16)
        return cls(
            context_window=config["max_position_embeddings"],
            vocabulary=config["vocab_size"],
            kv_bytes_per_token=config["num_hidden_layers"]
            * config.get("num_key_value_heads", heads)
            * per_head,
        )
