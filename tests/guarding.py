"""The safety link with a policy, as tests write it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.link import Link
from services.safety import Safety
from services.safety.audit import Audit
from services.safety.inspection import Inspector
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.policies import Policies
from services.safety.policy import Policy, load

NO_RULES = "profiles: [{name: none}]"


def policy(text: str = NO_RULES, deny: Sequence[str] = ()) -> Policy:
    """Read a policy that is written so."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "safety.yaml"
        file.write_text(text)
        return load(file, deny)


def inspector(registry: CollectorRegistry | None = None) -> Inspector:
    """Build what looks into requests."""
    metrics = SafetyMetrics(registry or CollectorRegistry())
    return Inspector(Looking(metrics, places=2), metrics, Audit(metrics))


def guarded(
    upstream: Link,
    registry: CollectorRegistry | None = None,
    *,
    text: str = NO_RULES,
    deny: Sequence[str] = (),
    max_prompt_chars: int = 1000,
) -> Safety:
    """Put the safety link before another; its threads end with the last reference to it."""
    policies = Policies(policy(text, deny))
    return Safety(upstream, policies, inspector(registry), max_prompt_chars)
