"""What the parts of the safety link share in one process."""

import asyncio

from prometheus_client import Gauge

from services import telemetry
from services.process import Process
from services.safety.audit import Audit
from services.safety.inspection import Inspector
from services.safety.looking import Looking
from services.safety.metrics import SafetyMetrics
from services.safety.policies import Policies, followed


async def set_up(process: Process) -> tuple[Policies, Inspector]:
    """Read the policy, and follow it; start what looks into requests.

    Raises:
        ConfigError: the policy cannot be used.
    """
    policies = await followed(process)
    refused = Gauge(
        telemetry.SAFETY_POLICY_REFUSED,
        "1 while the file of the policy, as it stands, is not in force; else 0.",
        registry=process.registry,
    )
    refused.set_function(lambda: float(bool(policies.refusal)))
    metrics = SafetyMetrics(process.registry)
    inspector = Inspector(Looking(metrics), metrics, Audit(metrics))
    process.closing.push_async_callback(asyncio.to_thread, inspector.close)
    return policies, inspector
