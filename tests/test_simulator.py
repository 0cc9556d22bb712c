"""The simulator: pictures are reproducible and agree with their truth.

Belongs here: pictures, truth, videos. Does not belong here: plans (`test_simulator_plans`), sets of operations
(`test_simulator_sets`), models trained on them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest

from simulator import effects
from simulator.body import body_of, gallbladder_axis
from simulator.cast import HOSPITALS
from simulator.operation import OperationPlan, plan_operation
from simulator.progress import state_at
from simulator.render import SimulatedFrame, render_frame, truth_at
from simulator.spans import active
from simulator.video import frame_times, write_video
from simulator.view import camera_at
from simulator.vocabulary import ANATOMY, anatomy_id
from tests.waiting import PATIENCE_S

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = (320, 240)


def frames_of(plan: OperationPlan, step_ms: int) -> list[tuple[int, SimulatedFrame]]:
    return [(at, render_frame(plan, at, *SIZE)) for at in range(0, plan.duration_ms, step_ms)]


@pytest.fixture(scope="module")
def plan() -> OperationPlan:
    return plan_operation(1)


@pytest.fixture(scope="module")
def frames(plan: OperationPlan) -> list[tuple[int, SimulatedFrame]]:
    return frames_of(plan, 2000)


def test_pictures_do_not_depend_on_the_order_in_which_they_are_drawn(plan: OperationPlan) -> None:
    moments = [200_000, 40, 95_123, 60_000, 118_700, 24_500]
    forth = [render_frame(plan, at, *SIZE) for at in moments]
    back = [render_frame(plan_operation(1), at, *SIZE) for at in reversed(moments)]
    for one, other in zip(forth, reversed(back), strict=True):
        assert one.image.tobytes() == other.image.tobytes()
        assert one.anatomy.tobytes() == other.anatomy.tobytes()
        assert (one.phase, one.instruments, one.events) == (other.phase, other.instruments, other.events)


def test_pictures_are_the_same_in_another_process(plan: OperationPlan) -> None:
    code = (
        "import hashlib; from simulator.operation import plan_operation; from simulator.render import render_frame;"
        "print(hashlib.sha256(render_frame(plan_operation(1), 95_123, 320, 240).image.tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_another_seed_looks_different() -> None:
    one, other = (render_frame(plan_operation(seed), 100_000, *SIZE).image.astype(int) for seed in (1, 2))
    assert np.abs(one - other).mean() > 5


def test_pictures_and_truth_have_the_promised_form(frames: list[tuple[int, SimulatedFrame]]) -> None:
    for _, frame in frames:
        assert frame.image.shape == (SIZE[1], SIZE[0], 3)
        assert frame.image.dtype == frame.anatomy.dtype == np.uint8
        assert frame.anatomy.shape == (SIZE[1], SIZE[0])
        assert frame.anatomy.max() <= len(ANATOMY)
        for seen in frame.instruments:
            x_min, y_min, x_max, y_max = seen.box_px
            assert 0 <= x_min < x_max <= SIZE[0]
            assert 0 <= y_min < y_max <= SIZE[1]


def test_phase_and_instruments_of_pictures_agree_with_the_plan(
    plan: OperationPlan, frames: list[tuple[int, SimulatedFrame]]
) -> None:
    seen_tracks = set()
    for at, frame in frames:
        assert frame.phase == plan.phase_at(at).phase
        in_use = {span.track: span.instrument for span in active(plan.instruments, at)}
        assert all(in_use[seen.track] == seen.instrument for seen in frame.instruments)
        seen_tracks |= {seen.track for seen in frame.instruments}
    long_enough = {span.track for span in plan.instruments if span.duration_ms > 6000}
    assert len(long_enough - seen_tracks) <= len(long_enough) // 4


@pytest.mark.slow
def test_boxes_are_where_the_instrument_is_drawn() -> None:
    """The picture with an instrument and the same without it differ inside of its box, tightly."""
    checked = 0
    for seed in range(8):
        full = plan_operation(seed)
        bare = replace(full, disturbances=(), events=())
        for span in full.instruments:
            at = (span.start_ms + span.end_ms) // 2
            if span.instrument in ("grasper", "specimen-bag"):
                continue
            frame = render_frame(bare, at, *SIZE)
            mine = [seen for seen in frame.instruments if seen.track == span.track]
            without = replace(bare, instruments=tuple(other for other in full.instruments if other != span))
            if not mine or len(frame.instruments) != 1:
                continue
            changed = np.abs(frame.image.astype(int) - render_frame(without, at, *SIZE).image).max(axis=2) > 40
            x_min, y_min, x_max, y_max = mine[0].box_px
            box = changed[y_min:y_max, x_min:x_max]
            assert box.any(axis=0).mean() > 0.85, (seed, span)
            assert box.any(axis=1).mean() > 0.85, (seed, span)
            checked += 1
    assert checked > 20


def test_anatomy_is_hidden_outside_of_the_view_and_under_instruments(frames: list[tuple[int, SimulatedFrame]]) -> None:
    for _, frame in frames:
        for seen in frame.instruments:
            x_min, y_min, x_max, y_max = seen.box_px
            assert (frame.anatomy[y_min:y_max, x_min:x_max] == 0).mean() > 0.1
        dark = cv2.blur(frame.image.max(axis=2), (9, 9)) < 3
        assert (frame.anatomy[dark] == 0).mean() > 0.98 or not dark.any()
        if "out-of-body" in frame.events:
            assert frame.anatomy.max() == 0
            assert not frame.instruments


@pytest.mark.slow
def test_colours_fit_the_anatomy() -> None:
    """Over several operations: fat is yellower than liver, liver darker than gallbladder, blood the reddest."""
    means: dict[str, list[np.ndarray]] = {name: [] for name in ANATOMY}
    for seed in range(6):
        for _, frame in frames_of(plan_operation(seed), 12_000):
            if frame.events:
                continue
            for name in ANATOMY:
                pixels = frame.image[frame.anatomy == anatomy_id(name)]
                if len(pixels) > 200:
                    means[name].append(pixels.mean(axis=0))
    colour = {name: np.mean(values, axis=0) for name, values in means.items() if values}
    assert set(colour) >= set(ANATOMY) - {"blood"}
    red_to_blue = {name: value[0] / value[2] for name, value in colour.items()}
    assert red_to_blue["fat"] > red_to_blue["gallbladder"]
    assert colour["fat"][1] > colour["liver"][1]
    assert colour["liver"].sum() < colour["gallbladder"].sum()


def test_masks_deform_when_the_gallbladder_is_pulled() -> None:
    operation = plan_operation(1)
    state, body = state_at(operation, 60_000), body_of(1)
    still, pulled = (gallbladder_axis(body, state, np.array(pull)) for pull in ((0.0, 0.0), (-0.2, -0.1)))
    moved = np.linalg.norm(pulled - still, axis=1)
    assert moved[2] == pytest.approx(np.hypot(0.2, 0.1), rel=0.05)
    assert moved[-1] < 0.3 * moved[2]


def test_instruments_do_not_jump() -> None:
    """From one picture to the next at 25 fps a box's middle moves less than an eighth of the picture's height."""
    for seed in (1, 4):
        operation = replace(plan_operation(seed), disturbances=())
        borders = [span.start_ms for span in operation.phases[1:]]
        for at in [moment for border in borders for moment in range(border - 80, border + 80, 40)]:
            one, other = (
                {seen.track: np.array(seen.box_px) for seen in render_frame(operation, moment, *SIZE).instruments}
                for moment in (at, at + 40)
            )
            for track in one.keys() & other.keys():
                middle = (one[track] - other[track]).reshape(2, 2).mean(axis=0)
                assert np.abs(middle).max() < SIZE[1] / 8, (seed, at, track)


def test_sizes_agree(plan: OperationPlan) -> None:
    """A larger picture shows the same: classes agree but at edges, boxes scale."""
    for at in (30_000, 95_000, 160_000):
        small, large = render_frame(plan, at, 320, 240), render_frame(plan, at, 1600, 1200)
        shrunk = cv2.resize(large.anatomy, (320, 240), interpolation=cv2.INTER_NEAREST)
        assert (shrunk == small.anatomy).mean() > 0.97
        assert [seen.track for seen in small.instruments] == [seen.track for seen in large.instruments]
        for one, other in zip(small.instruments, large.instruments, strict=True):
            assert np.abs(np.array(one.box_px) - np.array(other.box_px) / 5).max() <= 2
        mean = cv2.resize(large.image, (320, 240), interpolation=cv2.INTER_AREA).astype(int) - small.image
        assert np.abs(mean).mean() < 8


def darkest_tissue(frame: SimulatedFrame) -> float:
    """The brightness below which the darkest twentieth of the tissue lies: a veil lifts it."""
    return float(np.percentile(frame.image.mean(axis=2)[frame.anatomy > 0], 5))


@pytest.mark.slow
def test_smoke_bleeding_and_out_of_body_are_seen() -> None:
    differences: dict[str, list[float]] = {"smoke": [], "bleeding": []}
    blood = anatomy_id("blood")
    for seed in range(12):
        operation = plan_operation(seed)
        for event in operation.events:
            middle = (event.start_ms + event.end_ms) // 2
            frame = render_frame(operation, middle, *SIZE)
            if "out-of-body" in frame.events or event.kind not in differences:
                continue
            earlier = render_frame(operation, max(0, event.start_ms - 40), *SIZE)
            if event.kind == "smoke":
                differences["smoke"].append(darkest_tissue(frame) - darkest_tissue(earlier))
            else:
                areas = [int((seen.anatomy == blood).sum()) for seen in (frame, earlier)]
                differences["bleeding"].append(areas[0] - areas[1])
    assert np.median(differences["smoke"]) > 20
    assert np.mean(np.array(differences["bleeding"]) > 100) > 0.8


def test_truth_without_a_picture_is_the_same(plan: OperationPlan, frames: list[tuple[int, SimulatedFrame]]) -> None:
    for at, frame in frames[::3]:
        alone = truth_at(plan, at, *SIZE)
        assert alone.anatomy.tobytes() == frame.anatomy.tobytes()
        assert (alone.phase, alone.instruments, alone.events, alone.heads) == (
            frame.phase, frame.instruments, frame.events, frame.heads,
        )  # fmt: skip


def test_faces_of_the_caller_are_seen_where_the_truth_says() -> None:
    """A face of one colour that nothing else has fills its head's box, and no other part of the picture."""
    colour = (250, 20, 240)
    face = np.full((90, 60, 3), colour, np.uint8)
    heads = 0
    for seed in range(12):
        operation = plan_operation(seed)
        for event in (one for one in operation.events if one.kind == "out-of-body"):
            at = (event.start_ms + event.end_ms) // 2
            with_faces, drawn = (render_frame(operation, at, 426, 240, faces) for faces in ((face,), ()))
            assert with_faces.heads == drawn.heads
            assert not np.array_equal(with_faces.image, drawn.image)
            red, green, blue = cv2.split(with_faces.image)
            pink = (red > 170) & (green < 75) & (blue > 150)
            outside = pink.copy()
            for x_min, y_min, x_max, y_max in with_faces.heads:
                outside[y_min:y_max, x_min:x_max] = False
                heads += 1
            assert outside.sum() < 0.02 * pink.sum()
            covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in with_faces.heads)
            assert pink.sum() > 0.4 * covered
    assert heads >= 10


def test_there_are_no_heads_inside_of_the_body(frames: list[tuple[int, SimulatedFrame]]) -> None:
    for _, frame in frames:
        assert not frame.heads or "out-of-body" in frame.events


def test_a_moving_camera_smears_along_its_way() -> None:
    """A shift of 8 pixels during the exposure blurs what stands across it and leaves what lies along it."""
    upright = np.zeros((60, 60, 3), np.uint8)
    upright[:, 30:] = 255
    lying = np.ascontiguousarray(upright.transpose(1, 0, 2))
    blurred, kept = (effects.smear(picture, (8.0, 0.0)) for picture in (upright, lying))
    assert len(np.unique(blurred[30, :, 0])) > 5
    assert np.array_equal(kept, lying)
    assert effects.smear(upright, (0.5, 0.0)) is upright


def test_the_camera_moves_fast_enough_for_that_on_its_way_to_the_wall() -> None:
    made = next(made for made in map(plan_operation, range(20)) if made.phases[-1].phase == "port-closure")
    operation, start_ms = replace(made, hospital=HOSPITALS[0]), made.phases[-1].start_ms
    speeds = []
    for at in range(start_ms, start_ms + 2000, 100):
        here, before = (camera_at(operation, at - ago, 640, 480).to_px(np.zeros((1, 2))) for ago in (0, 20))
        speeds.append(np.abs(here - before).max())
    assert max(speeds) > 3


def test_moments_outside_and_tiny_pictures_are_refused(plan: OperationPlan) -> None:
    with pytest.raises(ValueError, match="not in an operation"):
        render_frame(plan, plan.duration_ms)
    with pytest.raises(ValueError, match="too small"):
        render_frame(plan, 0, 16, 16)


@pytest.mark.parametrize(("codec", "decoded"), [("libx264", "h264"), ("libx265", "hevc"), ("libsvtav1", "av1")])
def test_videos_decode_with_the_right_rate_and_count(tmp_path: Path, codec: str, decoded: str) -> None:
    operation = plan_operation(3, 20.0)
    path = tmp_path / "film.mp4"
    assert write_video(operation, path, fps=2.0, width=160, height=120, codec=codec) == 40
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name.replace("lib", "").replace("dav1d", "av1"), stream.width) == (decoded, 160)
        assert float(stream.average_rate) == pytest.approx(2.0, rel=0.01)
        times = [frame.time for frame in container.decode(stream)]
    assert times == pytest.approx([number / 2 for number in range(40)])
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: the encoder cannot ask for real-time scheduling")
def test_an_encoder_does_not_change_how_its_caller_is_scheduled(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    write_video(plan_operation(3, 20.0), tmp_path / "film.mp4", fps=0.5, width=160, height=120, codec="libsvtav1")
    assert os.sched_getscheduler(0) == before


def test_variable_rate_keeps_true_times(tmp_path: Path) -> None:
    operation = plan_operation(3, 20.0)
    path = tmp_path / "film.mp4"
    count = write_video(operation, path, fps=5.0, width=160, height=120, vfr=True)
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert 50 < count == len(times) < 100
    assert times == pytest.approx([float(time) for time in frame_times(operation, 5.0, vfr=True)], abs=1e-3)
    assert len(set(np.diff(times).round(3))) > 1


def test_a_failed_recording_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(av.error.FFmpegError):
        write_video(plan_operation(3, 20.0), tmp_path / "film.mp4", fps=1.0, width=161, height=121)
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_processes_changes_no_byte(tmp_path: Path):
    plan = plan_operation(5, 20.0)
    for processes in (1, 2):
        write_video(plan, tmp_path / f"{processes}.mp4", fps=0.5, width=640, height=480, processes=processes)
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_what_lay_in_memory_changes_no_byte(tmp_path: Path, codec: str):
    """The allocator fills what it gives out, with ones here and others there; encoders have read it before."""
    code = (
        "import sys; from simulator.operation import plan_operation; from simulator.video import write_video;"
        "write_video(plan_operation(3, 20.0), sys.argv[1], fps=4.0, width=160, height=120, codec=sys.argv[2])"
    )
    paths = [tmp_path / f"{byte}.mp4" for byte in (85, 170)]
    for path in paths:
        environment = os.environ | {"MALLOC_PERTURB_": path.stem}
        subprocess.run([sys.executable, "-c", code, str(path), codec], cwd=REPOSITORY, env=environment, check=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_processes_that_render_end_with_the_one_that_was_killed():
    code = (
        "from simulator.operation import plan_operation; from simulator.workers import pictures;"
        "[print(picture.shape, flush=True) for picture in pictures(plan_operation(3), range(60_000), 640, 480, 2)]"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        assert parent.stdout.readline() == b"(480, 640, 3)\n"
        renderers = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert len(renderers) >= 2
    left = psutil.wait_procs(renderers, timeout=PATIENCE_S)[1]
    for process in left:
        process.kill()
    assert left == []
