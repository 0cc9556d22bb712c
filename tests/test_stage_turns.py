"""Stages that work side by side tell their progress one after another."""

from neurovision_assets.stage.turns import ProgressInTurns
from resources.progress import ERROR_STAGE, ProgressRecord

SPANS = {"features": (20, 35), "phases": (35, 40), "instruments": (40, 60)}


class Reader:
    """What a reader of the board would have seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []
        self.board = ProgressInTurns(self, list(SPANS))

    def update(self, video_id: str, record: ProgressRecord) -> None:
        """Take what was passed on."""
        assert video_id == "v"
        self.seen.append((record.stage, record.percent))

    def tell(self, stage: str, fraction: float) -> None:
        """A stage says how far it is."""
        start, end = SPANS.get(stage, (-1, -1))
        percent = start + (end - start) * fraction
        told = ProgressRecord(
            stage=stage, percent=percent, stage_fraction=fraction, message="", run_id="r", updated_s=0.0
        )
        self.board.update("v", told)


def test_the_figure_only_grows_and_every_stage_has_its_last_word():
    reader = Reader()
    reader.tell("instruments", 0.5)
    reader.tell("features", 0.2)
    reader.tell("instruments", 1.0)
    reader.board.ended("instruments")
    reader.tell("features", 1.0)
    reader.board.ended("features")
    reader.tell("phases", 1.0)
    reader.board.ended("phases")

    assert reader.seen == [("features", 23.0), ("features", 35.0), ("phases", 40.0), ("instruments", 60.0)]


def test_a_stage_whose_turn_comes_is_shown_where_it_stands():
    reader = Reader()
    reader.board.ended("phases")
    reader.tell("instruments", 0.25)
    reader.board.ended("features")
    reader.tell("instruments", 0.5)

    assert reader.seen == [("instruments", 45.0), ("instruments", 50.0)]


def test_an_error_is_told_at_once_and_is_the_last_word():
    reader = Reader()
    reader.tell("features", 0.5)
    reader.tell(ERROR_STAGE, 0.0)
    reader.tell("features", 0.7)
    reader.board.ended("features")
    reader.tell("instruments", 1.0)

    assert reader.seen[-1] == (ERROR_STAGE, -1.0)
