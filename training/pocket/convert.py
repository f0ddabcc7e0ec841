"""Makes the OpenVINO files of a model from its Hugging Face files.

`python -m training.pocket.convert` does so for the model in `models/pocket`.
"""

from pathlib import Path

import openvino as ov
from openvino_tokenizers import convert_tokenizer
from transformers import PreTrainedTokenizerFast

from infra.models import config, safetensors
from infra.models.architecture import architecture
from infra.models.graph import build
from training.pocket.shape import FOLDER
from training.pocket.tokenizer import BOS, EOS, PAD, TEMPLATE


def convert(folder: Path) -> None:
    """Write the graphs of the model, its tokenizer and its detokenizer to `folder`."""
    model = build(safetensors.read(folder), architecture(config.read(folder), folder))
    ov.save_model(model, folder / "openvino_model.xml", compress_to_fp16=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token=BOS, eos_token=EOS, pad_token=PAD
    )
    tokenizer.chat_template = TEMPLATE
    encode, decode = convert_tokenizer(
        tokenizer, with_detokenizer=True, add_special_tokens=False, skip_special_tokens=True
    )
    ov.save_model(encode, folder / "openvino_tokenizer.xml")
    ov.save_model(decode, folder / "openvino_detokenizer.xml")


if __name__ == "__main__":
    convert(FOLDER)
