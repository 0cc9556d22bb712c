"""Decisions over files and sidecars: pure, so any situation can be made."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.uploads.decisions import Accept, Decision, Refuse, Waiting
from neurovision_assets.uploads.listing import decide
from neurovision_assets.uploads.sidecar import RefusedUpload, Sidecar
from neurovision_assets.uploads.watch import WatchedFile
from resources.object_store import ObjectInfo
from resources.settings import Settings
from tests.incoming import PROFILES

NOW_S = 1000.0
LONG_AGO_S = 100.0
SETTINGS = Settings(upload_settle_s=3, upload_sidecar_wait_s=10, upload_max_bytes=1000)
BROKEN = RefusedUpload("The sidecar is not JSON.", remedy="Correct it.")


def file(
    name: str, *, since_s: float = LONG_AGO_S, settled: bool = True, taken: bool = False, size: int = 10
) -> WatchedFile:
    return WatchedFile(ObjectInfo(f"incoming/{name}", size, 1.0), since_s, settled, taken)


def decided(*files: WatchedFile, **sidecars: Sidecar | RefusedUpload) -> list[Decision]:
    by_key = {f"incoming/{stem}.json": said for stem, said in sidecars.items()}
    return decide(files, by_key, NOW_S, SETTINGS, PROFILES)


def names(decision: Decision) -> list[str]:
    return [key.removeprefix("incoming/") for key in decision.keys]


def test_a_video_waits_for_its_sidecar_and_then_goes_without() -> None:
    (decision,) = decided(file("a.mp4", since_s=NOW_S - 9))
    assert isinstance(decision, Waiting)
    (decision,) = decided(file("a.mp4", since_s=NOW_S - 10))
    assert isinstance(decision, Accept)
    assert decision.sidecar is None


@pytest.mark.parametrize("order", list(itertools.permutations(["v", "s"])))
def test_a_sidecar_comes_before_or_after_its_video(order: tuple[str, ...]) -> None:
    ages = {kind: NOW_S - 5 - place for place, kind in enumerate(order)}
    said = Sidecar(title="abc")
    (decision,) = decided(file("a.MP4", since_s=ages["v"]), file("a.json", since_s=ages["s"]), a=said)
    assert isinstance(decision, Accept)
    assert decision.sidecar == said
    assert names(decision) == ["a.MP4", "a.json"]


@pytest.mark.parametrize("growing", ["a.mp4", "a.json"])
def test_nothing_is_taken_or_refused_while_a_file_grows(growing: str) -> None:
    both = [file(name, settled=name != growing) for name in ("a.mp4", "a.json")]
    said = {} if growing == "a.json" else {"a": Sidecar()}
    assert isinstance(decided(*both, **said)[0], Waiting)
    if growing == "a.mp4":
        assert isinstance(decided(*both, a=BROKEN)[0], Waiting)
    assert isinstance(decided(file("a.exe", settled=False))[0], Waiting)
    assert isinstance(decided(file("a.mp4", settled=False, size=0))[0], Waiting)


def test_an_orphan_sidecar_waits_and_a_broken_one_is_told() -> None:
    (decision,) = decided(file("a.json"), a=Sidecar())
    assert isinstance(decision, Waiting)
    (decision,) = decided(file("a.json", since_s=NOW_S - 5), a=BROKEN)
    assert isinstance(decision, Waiting), "its video may be on the way, and they belong together"
    (decision,) = decided(file("a.json"), a=BROKEN)
    assert isinstance(decision, Refuse)


def test_a_broken_sidecar_is_refused_together_with_its_video_and_harms_no_other() -> None:
    decisions = decided(file("a.mp4"), file("a.json"), file("b.mp4"), a=BROKEN)
    assert [(type(decision), names(decision)) for decision in decisions] == [
        (Refuse, ["a.json", "a.mp4"]),
        (Accept, ["b.mp4"]),
    ]


def test_parts_are_one_video_in_the_listed_order() -> None:
    said = Sidecar(parts=("z.mp4", "a.mp4"))
    lone = file("a.json")
    decisions = decided(file("op.json"), file("a.mp4"), file("z.mp4"), lone, op=said, a=Sidecar())
    accepted = next(decision for decision in decisions if isinstance(decision, Accept))
    assert [info.key for info in accepted.parts] == ["incoming/z.mp4", "incoming/a.mp4"]
    assert accepted.stem == "op"
    (other,) = [decision for decision in decisions if decision is not accepted]
    assert names(other) == ["a.json"]


def test_parts_wait_for_each_other() -> None:
    said = Sidecar(parts=("1.mp4", "2.mp4"))
    (decision,) = decided(file("op.json"), file("1.mp4"), op=said)
    assert isinstance(decision, Waiting)
    assert "1 of 2" in decision.why
    (decision,) = decided(file("op.json"), file("1.mp4"), file("2.mp4", settled=False), op=said)
    assert isinstance(decision, Waiting)


def test_a_part_belongs_to_one_upload() -> None:
    first, second = Sidecar(parts=("1.mp4", "2.mp4")), Sidecar(parts=("2.mp4", "3.mp4"))
    decisions = decided(*(file(f"{n}.mp4") for n in (1, 2, 3)), file("a.json"), file("b.json"), a=first, b=second)
    assert [(type(decision), sorted(names(decision))) for decision in decisions] == [
        (Accept, ["1.mp4", "2.mp4", "a.json"]),
        (Refuse, ["3.mp4", "b.json"]),
    ]
    (decision,) = decided(file("1.mp4", taken=True), file("2.mp4"), file("a.json"), a=first)
    assert (type(decision), sorted(names(decision))) == (Refuse, ["2.mp4", "a.json"])


def test_names_are_compared_as_people_read_them() -> None:
    composed, decomposed = "Операция й.mp4", "Операция и\u0306.mp4"
    said = Sidecar(parts=(composed, "2.mp4"))
    (decision,) = decided(file("x.json"), file(decomposed), file("2.mp4"), x=said)
    assert isinstance(decision, Accept)


def test_a_late_sidecar_is_refused_alone() -> None:
    (decision,) = decided(file("a.mp4", taken=True), file("a.json"), a=Sidecar())
    assert (type(decision), names(decision)) == (Refuse, ["a.json"])
    (decision,) = decided(file("a.mp4", taken=True), file("a.mov"), file("a.json"), a=Sidecar())
    assert (type(decision), names(decision)) == (Accept, ["a.mov", "a.json"])


@pytest.mark.parametrize(
    ("video", "said", "reason"),
    [
        (file("a.mp4", size=0), {}, "empty"),
        (file("a.mp4", size=1001), {}, "File size cannot exceed 1000 bytes"),
        (file("a.exe"), {}, "ending"),
        (file("noending"), {}, "ending"),
        (file("a\udcff.mp4"), {}, "UTF-8"),
        (file("a\udcff.txt"), {}, "UTF-8"),
        (file("a.mp4"), {"profile": "nonsense"}, "profile"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(video: WatchedFile, said: dict[str, str], reason: str) -> None:
    files = [video, file("a.json")] if said else [video]
    (decision,) = decided(*files, **({"a": Sidecar(**said)} if said else {}))
    assert isinstance(decision, Refuse)
    assert reason in decision.reason
    assert "nonsense" not in decision.reason
    assert len(decision.keys) == len(files)


def test_the_size_limit_is_inclusive_and_files_of_transfer_programs_are_left_alone() -> None:
    assert isinstance(decided(file("a.mp4", size=1000))[0], Accept)
    assert isinstance(decided(file("a.mp4.filepart"))[0], Waiting)


stems = st.sampled_from(["a", "b", "c"])
listings = st.lists(
    st.builds(
        file,
        st.builds("{}{}".format, stems, st.sampled_from([".mp4", ".mov", ".json", ".txt", ".part", ""])),
        since_s=st.floats(0, NOW_S),
        settled=st.booleans(),
        taken=st.booleans(),
        size=st.sampled_from([0, 10, 1001]),
    ),
    max_size=10,
    unique_by=lambda one: one.key,
)
contents = st.dictionaries(
    stems,
    st.just(BROKEN)
    | st.builds(
        Sidecar,
        parts=st.none() | st.lists(st.sampled_from(["a.mp4", "b.mp4", "c.mov"]), min_size=1, unique=True).map(tuple),
    ),
)


@given(listings, contents)
def test_every_file_is_decided_once_and_nothing_unsettled_or_taken_is_touched(
    files: list[WatchedFile], said: dict[str, Sidecar | RefusedUpload]
) -> None:
    settled_sidecars = {one.key for one in files if one.settled}
    by_key = {f"incoming/{stem}.json": content for stem, content in said.items()}
    decisions = decide(
        files, {key: by_key[key] for key in by_key if key in settled_sidecars}, NOW_S, SETTINGS, PROFILES
    )
    keys = [key for decision in decisions for key in decision.keys]
    assert sorted(keys) == sorted(one.key for one in files if not one.taken)
    unsettled = {one.key for one in files if not one.settled}
    for decision in decisions:
        if not isinstance(decision, Waiting):
            assert unsettled.isdisjoint(decision.keys)
