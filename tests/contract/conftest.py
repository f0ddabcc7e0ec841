"""The link that a test of the contract is about."""

import pytest

from services.chain import Wrapper
from tests.contract.links import WRAPPERS


@pytest.fixture(params=WRAPPERS)
def wrap(request: pytest.FixtureRequest) -> Wrapper:
    return WRAPPERS[request.param]
