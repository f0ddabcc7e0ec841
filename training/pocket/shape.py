"""The size of the pocket model, and its Hugging Face configuration."""

from dataclasses import dataclass
from pathlib import Path

from training.pocket.tokenizer import BOS, EOS, PAD

FOLDER = Path(__file__).parents[2] / "models" / "pocket"
"""Where the model in the repository is."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions of a Llama; the defaults are the pocket model's."""

    vocabulary: int = 2048
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 64
    mlp: int = 704
    context_tokens: int = 2048
    rope_theta: float = 10_000.0
    epsilon: float = 1e-5


def hugging_face_config(shape: Shape, ids: dict[str, int]) -> dict[str, object]:
    """Return `config.json` of a `LlamaForCausalLM`; `ids` maps special tokens to their ids."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "intermediate_size": shape.mlp,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context_tokens,
        "rope_theta": shape.rope_theta,
        "rope_scaling": None,
        "rms_norm_eps": shape.epsilon,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": ids[BOS],
        "eos_token_id": ids[EOS],
        "pad_token_id": ids[PAD],
        "torch_dtype": "bfloat16",
    }


def generation_config(ids: dict[str, int]) -> dict[str, object]:
    """Return `generation_config.json`: greedy unless the caller asks otherwise."""
    return {
        "bos_token_id": ids[BOS],
        "eos_token_id": ids[EOS],
        "pad_token_id": ids[PAD],
        "do_sample": False,
    }
