"""Stands for the process that tries guides, and does what the guide, an expression, says.

`burn` takes the processor's time for ever, `idle` takes none of it for longer than a guide may,
`die` ends the process, and a path waits until there is a file. All else compiles.
"""

import os
import time
from pathlib import Path

from infra.engine.guides import Guide, Verdict, answer, limited


def verdict(guide: Guide) -> Verdict:
    word = guide.regex or ""
    with limited():
        while word.startswith("burn"):
            pass
        if word == "idle":
            time.sleep(1.2)
        if word == "die":
            os._exit(3)
        while word.startswith("/") and not Path(word).exists():
            time.sleep(0.01)
    return Verdict("is wrong" if word == "wrong" else "")


if __name__ == "__main__":
    answer(verdict)
