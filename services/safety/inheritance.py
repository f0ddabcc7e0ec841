"""Profiles that build on others: what one brings with it, and what the other says in its stead."""

from catenary.config.v1 import safety_pb2 as config_pb
from services.config.reader import Given
from services.safety.profile import kind_of


def extend(given: Given[config_pb.SafetyPolicy], shipped: config_pb.SafetyProfile) -> None:
    """Give each profile what it takes over; it then says all by itself.

    A profile's own rules keep their places, before those that it takes over.

    Args:
        given: a policy whose profiles have different names.
        shipped: the profile that ships, for whoever builds on it.

    Raises:
        ConfigError: a profile builds on none that there is, or on itself; or it turns off what
            does not look.
    """
    for index in range(len(given.message.profiles)):
        _extend(given, shipped, index, ())


def _extend(
    given: Given[config_pb.SafetyPolicy],
    shipped: config_pb.SafetyProfile,
    index: int,
    above: tuple[int, ...],
) -> None:
    """Extend one profile; those `above` wait for it."""
    profile, field = given.message.profiles[index], f"profiles[{index}]"
    if not profile.extends:
        if profile.off:
            raise given.error(f"{field}.off", "there is nothing to turn off without `extends`")
        return
    if index in above:
        raise given.error(f"{field}.extends", f"{profile.name!r} builds on itself")
    others = {other.name: at for at, other in enumerate(given.message.profiles) if at != index}
    if profile.extends in others:
        at = others[profile.extends]
        _extend(given, shipped, at, (*above, index))
        _take_over(given, field, profile, given.message.profiles[at])
    elif profile.extends == shipped.name:
        _take_over(given, field, profile, shipped)
    else:
        known = ", ".join({**others, shipped.name: 0})
        problem = f"there is no profile {profile.extends!r} to build on; there are {known}"
        raise given.error(f"{field}.extends", problem)


def _take_over(
    given: Given[config_pb.SafetyPolicy],
    field: str,
    profile: config_pb.SafetyProfile,
    other: config_pb.SafetyProfile,
) -> None:
    looking = [kind_of(rule) for rule in other.rules]
    for kind in profile.off:
        if kind not in looking:
            problem = f"{other.name!r} has no rule for {kind!r}; it has {', '.join(looking)}"
            raise given.error(f"{field}.off", problem)
    left_out = {*map(kind_of, profile.rules), *profile.off}
    profile.rules.extend(rule for rule in other.rules if kind_of(rule) not in left_out)
    profile.allow.extend(other.allow)
    profile.refusal = profile.refusal or other.refusal
    profile.ClearField("extends")
    profile.ClearField("off")
