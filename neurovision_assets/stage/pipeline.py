"""A domain's stages in the order the data flows.

Belongs here: looking stages up, what an enabled stage reads under a profile. Does not belong here: any particular
domain (``neurovision_assets.surgery.pipeline``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.stage.spec import StageSpec


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
            ConfigurationError: it does not exist or is wrong.
        """
        return catalog.resolve(profile, {stage.name: stage.config_type for stage in self.stages}, self.policies)

    def enabled(self, profile: ResolvedProfile) -> Iterator[StageSpec]:
        """Stages that run under a profile, upstream first."""
        return (stage for stage in self.stages if profile.profile.is_enabled(stage.name))

    def reads(self, stage: StageSpec, profile: ResolvedProfile) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a stage must have and what it may have: an input that may fail binds only stages that may fail too."""
        enabled = [name for name in (*stage.inputs, *stage.optional_inputs) if profile.profile.is_enabled(name)]
        must = tuple(name for name in enabled if name in stage.inputs)
        may = tuple(name for name in enabled if name not in stage.inputs)
        return must, may
