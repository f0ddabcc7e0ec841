"""The API key: from a file, which may change at any time, or from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from catenary.config.v1 import models_pb2 as config_pb

_Stamp = tuple[int, int, int]


@dataclass(slots=True)
class Key:
    """The operator's key on a server; it stands in no log, no error and no `repr`."""

    file: Path | None = None
    _value: str = field(default="", repr=False)
    _stamp: _Stamp = (0, 0, 0)

    @classmethod
    def configured(
        cls, target: config_pb.OpenAiTarget, environment: Mapping[str, str] = os.environ
    ) -> Self:
        """Read the key that a target names, if it names one.

        Raises:
            ValueError: it is not there, or is none; says which file or variable.
        """
        if target.HasField("key_environment"):
            name = target.key_environment
            return cls(_value=_checked(environment.get(name, ""), f"the variable {name}"))
        if not target.HasField("key_file"):
            return cls()
        key = cls(Path(target.key_file))
        try:
            key.read()
        except OSError as error:
            raise ValueError(f"{target.key_file}: cannot be read: {error.strerror}") from None
        return key

    def read(self) -> str:
        """Return the key as it is now; empty where none is configured.

        The file is looked at with each call, which takes a few microseconds, and read when it is
        another than it was.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no key.
        """
        if self.file is not None:
            status = self.file.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                text = self.file.read_text(encoding="utf-8")
                self._value, self._stamp = _checked(text, str(self.file)), stamp
        return self._value


def _checked(text: str, where: str) -> str:
    key = text.strip()
    # A header holds nothing else.
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError(f"{where} holds no API key")
    return key
