"""Why a model cannot be served."""

from pathlib import Path


class ModelError(ValueError):
    """A model that cannot be served; its text is one line that names what is to blame."""

    def __init__(self, where: Path | str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.problem = problem
        """What is wrong, without where."""
