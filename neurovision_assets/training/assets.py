"""Everything of the learning loop that the graph gets: data, validation, training, promotion, and their resources.

Belongs here: the lists, in the order of the steps. Does not belong here: any of them.
"""

from typing import Any

from neurovision_assets.training.candidate.asset import CANDIDATE, candidate
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.dataset.asset import dataset_assets
from neurovision_assets.training.evaluation.asset import EVALUATION, evaluation
from neurovision_assets.training.kinds import PROMOTION
from neurovision_assets.training.promotion.asset import promotion
from neurovision_assets.training.requests import requests_asset
from neurovision_assets.training.validation.asset import dataset_checks
from resources.datasets import DatasetRepository
from resources.model_registry import ModelRegistry
from resources.settings import Settings

TRAINING_KEYS = (CANDIDATE, EVALUATION, PROMOTION)
training_assets = [*dataset_assets, requests_asset, candidate, evaluation, promotion]
training_checks = dataset_checks


def training_resources(settings: Settings) -> dict[str, Any]:
    """What the learning loop needs besides what all stages need."""
    return {
        "datasets": DatasetRepository.of(settings),
        "training": TrainingHome(folder=str(settings.training), preset=settings.training_preset),
        "model_registry": ModelRegistry.of(settings),
    }
