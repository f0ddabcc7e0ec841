"""The architectures that can be built: Llama, and those that differ from it in little."""

from collections.abc import Iterator
from dataclasses import dataclass

from infra.models import rope
from infra.models.config import Config
from infra.models.errors import ModelError
from infra.models.tensors import Array


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an architecture differs from Llama."""

    qkv_bias: bool = False
    """Always, whatever the configuration says."""
    qk_norm: bool = False
    """Queries and keys are normalised, each head for itself."""


KINDS = {
    "LlamaForCausalLM": _Kind(),
    "MistralForCausalLM": _Kind(),
    "Qwen2ForCausalLM": _Kind(qkv_bias=True),
    "Qwen3ForCausalLM": _Kind(qk_norm=True),
}
"""By the name that Hugging Face gives the architecture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Everything that the graph depends on, beside the weights."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    epsilon: float
    frequencies: Array
    """Of the rotary positions, in radians a token: `[head_size / 2]`."""
    tied: bool = False
    """The embedding is the output projection, too."""
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor, by name."""
        shapes: dict[str, tuple[int, ...]] = {
            "embed_tokens.weight": (self.vocabulary, self.hidden),
            "norm.weight": (self.hidden,),
        }
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in self._layer()}
        return shapes

    def _layer(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        q, kv = self.heads * self.head_size, self.kv_heads * self.head_size
        projections = (
            ("self_attn.q_proj", q, self.hidden, self.qkv_bias),
            ("self_attn.k_proj", kv, self.hidden, self.qkv_bias),
            ("self_attn.v_proj", kv, self.hidden, self.qkv_bias),
            ("self_attn.o_proj", self.hidden, q, self.output_bias),
            ("mlp.gate_proj", self.mlp, self.hidden, self.mlp_bias),
            ("mlp.up_proj", self.mlp, self.hidden, self.mlp_bias),
            ("mlp.down_proj", self.hidden, self.mlp, self.mlp_bias),
        )
        for name, outputs, inputs, has_bias in projections:
            yield f"{name}.weight", (outputs, inputs)
            if has_bias:
                yield f"{name}.bias", (outputs,)
        yield "input_layernorm.weight", (self.hidden,)
        yield "post_attention_layernorm.weight", (self.hidden,)
        if self.qk_norm:
            yield "self_attn.q_norm.weight", (self.head_size,)
            yield "self_attn.k_norm.weight", (self.head_size,)


def architecture(config: Config, where: object) -> Architecture:
    """Return the architecture that a configuration describes; `where` it stands is for errors.

    Raises:
        ModelError: it is not known, or has a part that cannot be built.
    """
    name = config.architectures[0]
    kind = KINDS.get(name)
    if kind is None:
        raise ModelError(str(where), f"the architecture {name!r} is not among {', '.join(KINDS)}")
    _refuse_unknown_parts(config, where)
    heads = config.num_attention_heads
    kv_heads = config.num_key_value_heads or heads
    head_size = config.head_dim or config.hidden_size // heads
    if heads % kv_heads:
        raise ModelError(str(where), f"{heads} heads cannot share {kv_heads} key-value heads")
    if head_size % 2:
        raise ModelError(str(where), f"heads of {head_size} numbers cannot be rotated in pairs")
    return Architecture(
        vocabulary=config.vocab_size,
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        mlp=config.intermediate_size,
        epsilon=config.rms_norm_eps,
        frequencies=rope.frequencies(config, head_size, where),
        tied=config.tie_word_embeddings,
        qkv_bias=kind.qkv_bias or config.attention_bias,
        output_bias=config.attention_bias and not kind.qkv_bias,
        mlp_bias=config.mlp_bias,
        qk_norm=kind.qk_norm,
    )


def _refuse_unknown_parts(config: Config, where: object) -> None:
    if config.hidden_act != "silu":
        raise ModelError(str(where), f"the activation {config.hidden_act!r} is not 'silu'")
    if config.quantization_config is not None:
        method = config.quantization_config.get("quant_method", "unknown")
        raise ModelError(
            str(where), f"the weights are quantized ({method}); take the model as it was before"
        )
