"""Makes a model ready in a process of its own, so that whoever waits goes on with other work."""

import asyncio
import sys
from pathlib import Path

from infra.models.cache import default_cache, prepared
from infra.models.errors import ModelError

_PROJECT = Path(__file__).resolve().parents[2]
_READY_S = 4 * 3600.0
"""A large model comes slowly over a slow network."""


async def ready(source: str) -> Path:
    """Return the folder that the engine serves; it is made unless it is there.

    Raises:
        ModelError: the model cannot be served.
        OSError: it cannot be read.
    """
    folder = await asyncio.to_thread(prepared, source, default_cache())
    return folder if folder is not None else await _made(source)


async def _made(source: str) -> Path:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.models", str(_absolute(source))),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
    )
    try:
        async with asyncio.timeout(_READY_S):
            output, said = await process.communicate()
    except TimeoutError:
        raise ModelError(source, f"is not ready after {_READY_S / 3600:.0f} hours") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        line = (said.decode(errors="replace").strip().splitlines() or [""])[-1]
        where, _, problem = line.partition(": ")
        raise ModelError(where, problem or "cannot be made ready")
    return Path(output.decode().strip())


def _absolute(source: str) -> Path | str:
    path = Path(source).expanduser()
    return path.resolve() if path.exists() else source
