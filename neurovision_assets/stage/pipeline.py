"""A domain's stages in the order the data flows.

Belongs here: looking stages up, what an enabled stage reads under a profile. Does not belong here: any particular
domain (``neurovision_assets.surgery.pipeline``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.stage.spec import StageSpec
from resources.errors import ConfigurationError


@dataclass(frozen=True)
class Pipeline:
    """The stages of one domain.

    Attributes:
        domain: first part of every asset key.
        stages: upstream first.
        policies: versions of policies that every result stands on; ``sampling`` is one of them.
    """

    domain: str
    stages: tuple[StageSpec, ...]
    policies: Mapping[str, str]

    def __getitem__(self, name: str) -> StageSpec:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    def resolve(self, catalog: ProfileCatalog, profile: str) -> ResolvedProfile:
        """A profile with this domain's stages filled in.

        Raises:
            ConfigurationError: it does not exist or is wrong, or it switches off what an enabled stage needs.
        """
        resolved = catalog.resolve(profile, {stage.name: stage.config_type for stage in self.stages}, self.policies)
        for stage in self.enabled(resolved):
            off = [name for name in stage.inputs if not resolved.profile.is_enabled(name)]
            if off:
                raise ConfigurationError(
                    f"Stage {stage.name} needs {', '.join(off)}, which the profile switches off.",
                    subject=f"profile {profile}",
                    remedy=f"Switch {stage.name} off too, or leave {', '.join(off)} on.",
                )
        return resolved

    def enabled(self, profile: ResolvedProfile) -> Iterator[StageSpec]:
        """Stages that run under a profile, upstream first."""
        return (stage for stage in self.stages if profile.profile.is_enabled(stage.name))

    def reads(self, stage: StageSpec, profile: ResolvedProfile) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a stage must have and what it may have.

        An optional input is one that the stage can do without; whether it has to is the profile's word: what the
        profile requires must be there.
        """
        optional = [name for name in stage.optional_inputs if profile.profile.is_enabled(name)]
        required = tuple(name for name in optional if profile.profile.is_required(name))
        return (*stage.inputs, *required), tuple(name for name in optional if name not in required)
