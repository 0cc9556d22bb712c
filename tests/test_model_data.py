"""Operations as training data: what is asked of a set that lacks a kind of annotation."""

import numpy as np
import pytest

from models.data import Operation


def operation(**changes: object) -> Operation:
    given = {
        "name": "operation_1",
        "operation_type": "laparoscopic-cholecystectomy",
        "jpegs": (b"", b"", b""),
        "phases": np.array([0, 0, 1]),
        "anatomy": None,
        "boxes_px": np.array([[0, 0, 9, 9], [5, 5, 20, 30]], dtype=np.float32),
        "box_frames": np.array([0, 2]),
        "box_classes": np.array([6, 1]),
    }
    return Operation(**{**given, **changes})  # type: ignore[arg-type]


def test_boxes_belong_to_their_frame() -> None:
    one = operation()
    boxes_px, classes = one.boxes_at(2)
    assert boxes_px.tolist() == [[5, 5, 20, 30]]
    assert classes.tolist() == [1]
    assert np.argwhere(one.presence()).tolist() == [[0, 6], [2, 1]]


def test_an_annotation_that_the_set_lacks_is_named_when_it_is_asked_for() -> None:
    with pytest.raises(ValueError, match="operation_1 has no anatomy"):
        operation().anatomy_masks()
    without = operation(boxes_px=None, box_frames=None, box_classes=None)
    with pytest.raises(ValueError, match="has no boxes"):
        without.boxes_at(0)
    with pytest.raises(ValueError, match="has no boxes"):
        without.presence()
