"""A byte-level BPE tokenizer with a chat template, learnt from the corpus."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BOS = "<|begin|>"
EOS = "<|end|>"
PAD = "<|pad|>"
ASSISTANT = "<|assistant|>"
SPECIAL = (PAD, BOS, EOS, "<|system|>", "<|user|>", ASSISTANT, "<|tool|>")
"""Special tokens in the order of their ids; `EOS` ends every turn."""

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")


def learn(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a tokenizer of exactly `vocabulary` tokens at most, learnt from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def special_ids() -> dict[str, int]:
    """Return the id of each special token."""
    return {token: index for index, token in enumerate(SPECIAL)}


def tokenizer_config(context_tokens: int) -> dict[str, object]:
    """Return `tokenizer_config.json`, the chat template in it."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "additional_special_tokens": [t for t in SPECIAL if t not in {BOS, EOS, PAD}],
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_tokens,
        "chat_template": TEMPLATE,
    }
