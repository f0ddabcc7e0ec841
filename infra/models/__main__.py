"""Makes a model ready: `python -m infra.models SOURCE` prints the folder that the engine serves.

A process of its own, for whoever has other work to do: to convert takes memory and the interpreter.
"""

import argparse
import sys

from infra.models.cache import default_cache
from infra.models.errors import ModelError
from infra.models.prepare import prepare


def main() -> None:
    """Exit with 1 and one line when the model cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m infra.models")
    parser.add_argument("source", help="a folder, a GGUF file, or a hub's OWNER/NAME")
    try:
        folder = prepare(parser.parse_args().source, default_cache())
    except (ModelError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.write(f"{folder}\n")


if __name__ == "__main__":
    main()
