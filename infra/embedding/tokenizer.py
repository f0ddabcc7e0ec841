"""Reads the tokenizer of an embedding model."""

from pathlib import Path

from tokenizers import Tokenizer


def read_tokenizer(file: Path) -> Tokenizer:
    """Read a tokenizer that neither cuts nor pads.

    Raises:
        OSError: there is no such file.
        ValueError: it is no tokenizer.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
        raise ValueError(f"{file} is not a tokenizer: {error}") from None
    # The file may ask for both; here texts are never cut, and padded by the batch.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
