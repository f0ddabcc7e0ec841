"""A model's `config.json`, in Hugging Face's words, read strictly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from infra.models.errors import ModelError

Size = Annotated[int, Meta(ge=1, le=1 << 24)]
Token = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]

FILE = "config.json"


class Rope(msgspec.Struct, frozen=True, omit_defaults=True):
    """How rotary positions are stretched beyond what the model was first trained on."""

    rope_type: str | None = None
    type: str | None = None
    """The older name of `rope_type`."""
    rope_theta: Positive | None = None
    factor: Annotated[float, Meta(ge=1)] = 1.0
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    original_max_position_embeddings: Size | None = None
    partial_rotary_factor: float = 1.0

    @property
    def kind(self) -> str:
        """Return the kind, `default` when it stretches nothing."""
        return self.rope_type or self.type or "default"


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the graph and the tokenizer need to know."""

    architectures: Annotated[list[str], Meta(min_length=1)]
    model_type: str = ""
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    max_position_embeddings: Size
    rms_norm_eps: Positive
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: Size | None = None
    use_sliding_window: bool = True
    """Qwen's `config.json` tells a window and switches it off."""
    rope_theta: Positive | None = None
    rope_scaling: Rope | None = None
    rope_parameters: Rope | None = None
    """What stands in newer files for the two above."""
    partial_rotary_factor: float = 1.0
    quantization_config: Mapping[str, object] | None = None
    bos_token_id: Token | None = None
    eos_token_id: Token | list[Token] | None = None

    @property
    def context_tokens(self) -> int:
        """Return the longest context in which every position may look at every earlier one."""
        window = self.sliding_window if self.use_sliding_window else None
        return min(self.max_position_embeddings, window or self.max_position_embeddings)


def read(folder: Path) -> Config:
    """Read the `config.json` of a folder.

    Raises:
        ModelError: it is not there, is not JSON, or lacks a fact.
        OSError: it cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        raise ModelError(folder, f"has no {FILE}")
    try:
        return msgspec.json.decode(file.read_bytes(), type=Config)
    except msgspec.ValidationError as error:
        raise ModelError(file, str(error)) from None
    except msgspec.DecodeError as error:
        raise ModelError(file, f"is not JSON: {error}") from None
