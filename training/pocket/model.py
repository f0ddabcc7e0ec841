"""A Llama in torch, with the parameter names of Hugging Face's `LlamaForCausalLM`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.pocket.shape import Shape


class Norm(nn.Module):
    """Root-mean-square normalisation, computed in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        """Start at the identity."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        normed: Tensor = wide * scale * self.weight
        return normed


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        """Make the four projections."""
        super().__init__()
        self.shape = shape
        q, kv = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        self.q_proj = nn.Linear(shape.hidden, q, bias=False)
        self.k_proj = nn.Linear(shape.hidden, kv, bias=False)
        self.v_proj = nn.Linear(shape.hidden, kv, bias=False)
        self.o_proj = nn.Linear(q, shape.hidden, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Attend where `mask` is true; `rotation` is (cos, sin) of each position."""
        batch, length, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, -1, self.shape.head_size).transpose(1, 2)

        q = rotate(split(self.q_proj(x)), rotation)
        k = rotate(split(self.k_proj(x)), rotation)
        v = split(self.v_proj(x))
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        mixed: Tensor = self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))
        return mixed


class Mlp(nn.Module):
    """The gated feed-forward block."""

    def __init__(self, shape: Shape) -> None:
        """Make the three projections."""
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.mlp, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.mlp, bias=False)
        self.down_proj = nn.Linear(shape.mlp, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply SwiGLU."""
        gated: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return gated


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, shape: Shape) -> None:
        """Make its parts."""
        super().__init__()
        self.input_layernorm = Norm(shape.hidden, shape.epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape.hidden, shape.epsilon)
        self.mlp = Mlp(shape)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Add attention, then the feed-forward block, to the stream."""
        mixed: Tensor = x + self.self_attn(self.input_layernorm(x), rotation, mask)
        added: Tensor = mixed + self.mlp(self.post_attention_layernorm(mixed))
        return added


class Llama(nn.Module):
    """The stack, with tied embeddings."""

    def __init__(self, shape: Shape) -> None:
        """Make it with small random weights."""
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden, shape.epsilon)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                # Projections that write to the residual stream start smaller, as in GPT-2.
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** (0.5 * residual))

    def forward(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Return the final hidden states; `logits` turns them into scores."""
        x = self.embed_tokens(ids)
        rotation = rotations(positions, self.shape)
        for layer in self.layers:
            x = layer(x, rotation, mask)
        normed: Tensor = self.norm(x)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the score of each token of the vocabulary."""
        return functional.linear(hidden, self.embed_tokens.weight)


def rotations(positions: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return cos and sin, `[batch, 1, length, head_size]`, of rotary positions."""
    exponents = torch.arange(0, shape.head_size, 2) / shape.head_size
    angles = positions[:, None, :, None] * shape.rope_theta**-exponents
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate pairs (i, i + half), Hugging Face's order."""
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x * cos + turned * sin).to(x.dtype)
