"""The policy: safety.yaml, read into profiles, and which profile holds for whom."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from catenary.config.v1 import safety_pb2 as config_pb
from services import errors
from services.config import complete_policy
from services.config.reader import Given, read
from services.safety import compiling
from services.safety.inheritance import extend
from services.safety.profile import Profile
from services.safety.strictness import laxer_rule

STANDARD = Path(__file__).with_name("standard.yaml")
"""The policy of a mesh that has none of its own."""

_FIELD = "controls.safety_profile"


@dataclass(frozen=True, slots=True)
class Policy:
    """Every profile, and whose it is."""

    profiles: Mapping[str, Profile]
    default: str
    """The profile of whoever has none of his own."""
    tenants: Mapping[str, str]
    """The profile of each tenant that has one."""
    config: config_pb.SafetyPolicy
    """What was read, with every default."""
    digest: str
    """Changes with anything that the policy says; a SHA-256 in hexadecimal."""
    file: str
    """The name of its file; empty for the policy that ships."""

    def profile(self, tenant: str, asked: str, field: str = _FIELD) -> Profile:
        """Return the profile to apply: the tenant's own, or the stricter one that is asked for.

        Args:
            tenant: whose request it is.
            asked: the name that is asked for, if any.
            field: where in the request it stands.

        Raises:
            MeshError: INVALID_REQUEST, for a profile that does not exist, or that is laxer.
        """
        own = self.profiles[self.tenants.get(tenant, self.default)]
        if asked in {"", own.name}:
            return own
        if asked not in self.profiles:
            # Which laxer ones there are is nobody's business.
            raise _unknown(field, asked, self.open_to(tenant))
        stricter = self.profiles[asked]
        laxer = laxer_rule(stricter, own)
        if laxer:
            problem = f"{asked!r} is laxer than your own, {own.name!r}, in its rule {laxer!r}"
            raise errors.invalid_field(field, problem)
        return stricter

    def named(self, name: str) -> Profile:
        """Return a profile, whoever it is for.

        Raises:
            MeshError: INVALID_REQUEST, for a profile that does not exist.
        """
        if name not in self.profiles:
            raise _unknown("profile", name, self.profiles)
        return self.profiles[name]

    def open_to(self, tenant: str) -> list[str]:
        """Return the profiles that a tenant may ask for, its own first."""
        own = self.profiles[self.tenants.get(tenant, self.default)]
        others = (one for one in self.profiles.values() if one is not own)
        return [own.name, *(one.name for one in others if not laxer_rule(one, own))]


def load(file: Path, deny: Sequence[str] = ()) -> Policy:
    """Read the policy of a file; the one that ships, where there is no such file.

    Args:
        file: safety.yaml.
        deny: the phrases of mesh.yaml, denied in every profile.

    Raises:
        ConfigError: as `read_policy`; or a detector cannot be built.
    """
    return compiled(read_policy(file), deny)


def read_policy(file: Path) -> Given[config_pb.SafetyPolicy]:
    """Read and check a policy, and complete it, without loading any model.

    Raises:
        ConfigError: the file cannot be read, is not YAML, names an unknown field, or breaks a rule.
    """
    given = read(file if file.exists() else STANDARD, config_pb.SafetyPolicy)
    if "profiles" not in given.lines:
        problem = "must be given; `profiles: []` stands for the one that ships"
        raise given.error("profiles", problem)
    policy, shipped = given.message, read(STANDARD, config_pb.SafetyPolicy).message.profiles[0]
    if not policy.profiles:
        policy.profiles.append(shipped)
    _check_audit(given)
    _check_names(given)
    extend(given, shipped)
    complete_policy(policy)
    compiling.check_rules(given)
    return given


def compiled(given: Given[config_pb.SafetyPolicy], deny: Sequence[str]) -> Policy:
    """Build the detectors of a policy that is complete.

    Raises:
        ConfigError: a detector cannot be built.
    """
    policy = given.message
    profiles = {
        profile.name: compiling.profile(given, f"profiles[{index}]", profile, deny)
        for index, profile in enumerate(policy.profiles)
    }
    digest = hashlib.sha256(policy.SerializeToString(deterministic=True))
    digest.update("\0".join(("", *sorted(deny))).encode())
    return Policy(
        profiles=profiles,
        default=policy.default_profile or policy.profiles[0].name,
        tenants=dict(policy.tenants),
        config=policy,
        digest=digest.hexdigest(),
        file="" if given.file == STANDARD else given.file.name,
    )


def _check_audit(given: Given[config_pb.SafetyPolicy]) -> None:
    """Check that the record can be kept; its path becomes a whole one."""
    audit = given.message.audit
    if given.message.HasField("audit") and not audit.file:
        raise given.error("audit.file", "must be given")
    if audit.file:
        folder = (given.file.resolve().parent / audit.file).parent
        audit.file = str(given.file.resolve().parent / audit.file)
        if not os.access(folder, os.W_OK) or not folder.is_dir():
            problem = f"there is no folder {str(folder)!r} that may be written to"
            raise given.error("audit.file", problem)
        if Path(audit.file).is_dir():
            raise given.error("audit.file", f"{audit.file!r} is a folder")


def _check_names(given: Given[config_pb.SafetyPolicy]) -> None:
    policy = given.message
    names = [profile.name for profile in policy.profiles]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise given.error(f"profiles[{index}].name", f"{name!r} stands twice")
    wanted = {f"tenants.{tenant}": name for tenant, name in policy.tenants.items()}
    if policy.default_profile:
        wanted["default_profile"] = policy.default_profile
    for field, name in wanted.items():
        if name not in names:
            raise given.error(field, f"there is no profile {name!r}; there are {', '.join(names)}")


def _unknown(field: str, name: str, known: Iterable[str]) -> errors.MeshError:
    named = ", ".join(map(repr, known))
    return errors.invalid_field(field, f"there is no safety profile {name!r}; there are {named}")
