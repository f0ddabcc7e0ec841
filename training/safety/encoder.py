"""The encoder as torch trains it: MiniLM's embeddings as they are, its first layers trained on."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from infra.embedding.shape import Shape
from services.safety.classifier.categories import OUTPUTS

LAYERS = 3


class Layer(nn.Module):
    """A layer of BERT; its parameters have Hugging Face's names."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        size = shape.dimensions
        self.heads = shape.heads
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict(
                    {part: nn.Linear(size, size) for part in ("query", "key", "value")}
                ),
                "output": _output(size, size, shape.epsilon),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, 4 * size)})
        self.output = _output(4 * size, size, shape.epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mix the tokens `[texts, tokens, size]`; `mask` is true where a token is."""
        texts, tokens, size = x.shape
        parts = [
            part(x).view(texts, tokens, self.heads, size // self.heads).transpose(1, 2)
            for part in self.attention["self"].values()
        ]
        mixed = functional.scaled_dot_product_attention(*parts, attn_mask=mask[:, None, None])
        mixed = mixed.transpose(1, 2).reshape(texts, tokens, size)
        x = _added(self.attention["output"], mixed, x)
        return _added(self.output, functional.gelu(self.intermediate["dense"](x)), x)


class Encoder(nn.Module):
    """Judges windows."""

    def __init__(self, shape: Shape, weights: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(
                    *weights["embeddings.word_embeddings.weight"].shape
                ),
                "position_embeddings": nn.Embedding(
                    *weights["embeddings.position_embeddings.weight"].shape
                ),
                "token_type_embeddings": nn.Embedding(2, shape.dimensions),
                "LayerNorm": nn.LayerNorm(shape.dimensions, shape.epsilon),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(shape) for _ in range(LAYERS))})
        given = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
        own = self.state_dict()
        self.load_state_dict({name: given[name] for name in own})
        self.embeddings.requires_grad_(requires_grad=False)
        self.head = nn.Linear(2 * shape.dimensions, len(OUTPUTS))
        self.dropout = nn.Dropout(0.1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the logits `[texts, outputs]`."""
        places = torch.arange(ids.shape[1])
        x = self.embeddings["word_embeddings"](ids) + self.embeddings["position_embeddings"](places)
        x = self.embeddings["LayerNorm"](x + self.embeddings["token_type_embeddings"].weight[0])
        x = self.dropout(x)
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        there = mask[:, :, None]
        mean = (x * there).sum(1) / there.sum(1)
        most = x.masked_fill(~there, -1e4).amax(1)
        logits: Tensor = self.head(self.dropout(torch.cat([mean, most], 1)))
        return logits

    def trained(self) -> dict[str, NDArray[np.float32]]:
        """Return the parameters that training changed."""
        return {
            name: value.detach().numpy()
            for name, value in self.state_dict().items()
            if not name.startswith("embeddings.")
        }


def _output(inputs: int, outputs: int, epsilon: float) -> nn.ModuleDict:
    return nn.ModuleDict(
        {"dense": nn.Linear(inputs, outputs), "LayerNorm": nn.LayerNorm(outputs, epsilon)}
    )


def _added(part: nn.ModuleDict, change: Tensor, x: Tensor) -> Tensor:
    added: Tensor = part["LayerNorm"](part["dense"](change) + x)
    return added
