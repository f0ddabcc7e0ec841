"""What the parts of the safety link share in one process."""

import asyncio

from services.process import Process
from services.safety.audit import Audit
from services.safety.inspection import Inspector
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.policies import Policies, followed


def set_up(process: Process) -> tuple[Policies, Inspector]:
    """Read the policy, and follow it; start what looks into requests.

    Raises:
        ConfigError: the policy cannot be used.
    """
    policies = followed(process)
    metrics = SafetyMetrics(process.registry)
    inspector = Inspector(Looking(metrics), metrics, Audit(metrics))
    process.closing.push_async_callback(asyncio.to_thread, inspector.close)
    return policies, inspector
