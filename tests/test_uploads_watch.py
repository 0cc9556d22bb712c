"""When a file counts as complete: changing files, wrong clocks, a bounded cursor without names."""

from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.uploads.watch import WATCHED_MAX, IncomingState, token_of, watch
from resources.object_store import ObjectInfo

SETTLE_S = 3.0
files = st.lists(
    st.builds(
        ObjectInfo,
        key=st.text(min_size=1, max_size=8).map(lambda name: f"incoming/{name}"),
        size_bytes=st.integers(0, 10**12),
        modified_s=st.floats(-1e10, 1e11),
    ),
    max_size=12,
    unique_by=lambda info: info.key,
)


def a_file(size: int = 10, modified_s: float = 50.0) -> ObjectInfo:
    return ObjectInfo("incoming/a.mp4", size, modified_s)


def settled(listing: list[ObjectInfo], state: IncomingState, now_s: float) -> tuple[bool, IncomingState]:
    watched, after = watch(listing, state, now_s, SETTLE_S)
    return watched[0].settled, after


def test_a_file_settles_after_it_stayed_the_same_under_our_own_eyes() -> None:
    first, state = settled([a_file()], IncomingState(), 100.0)
    assert not first, "even an old file is looked at twice: a stalled copy looks old too"
    assert not settled([a_file()], state, 102.0)[0]
    assert settled([a_file()], state, 103.0)[0]
    assert not settled([a_file(size=11)], state, 103.0)[0]
    assert not settled([a_file(modified_s=51.0)], state, 103.0)[0]


def test_even_without_a_wait_a_file_is_looked_at_twice() -> None:
    watched, state = watch([a_file()], IncomingState(), 100.0, 0.0)
    assert not watched[0].settled
    assert watch([a_file()], state, 100.0, 0.0)[0][0].settled


def test_clocks_of_other_machines_do_not_matter() -> None:
    _, state = settled([a_file(modified_s=9e9)], IncomingState(), 100.0)
    assert settled([a_file(modified_s=9e9)], state, 104.0)[0], "a time in the future"
    turned_back, state = settled([a_file(modified_s=9e9)], state, 50.0)
    assert not turned_back
    assert settled([a_file(modified_s=9e9)], state, 54.0)[0], "our own clock was set back in between"


def test_a_cursor_that_cannot_be_read_only_means_looking_again() -> None:
    for cursor in (None, "", "{", '{"version": 7}', "[]"):
        assert IncomingState.from_cursor(cursor) == IncomingState()


@given(files, st.lists(st.floats(0, 1e6), min_size=1, max_size=4))
def test_the_state_survives_its_cursor_and_knows_nothing_but_present_files(
    listing: list[ObjectInfo], moments: list[float]
) -> None:
    state = IncomingState()
    for now_s in moments:
        watched, state = watch(listing, IncomingState.from_cursor(state.model_dump_json()), now_s, SETTLE_S)
        assert sorted(file.key for file in watched) == sorted(info.key for info in listing)
        assert set(state.seen) == {token_of(info) for info in listing}
    assert watch([], state, 1.0, SETTLE_S)[1].seen == {}


def test_the_cursor_stays_small_and_holds_no_names() -> None:
    crowd = [ObjectInfo(f"incoming/Ivanov {number}.mp4", number, float(number)) for number in range(20_000)]
    _, state = watch(crowd, IncomingState(), 100.0, SETTLE_S)
    cursor = state.model_dump_json()
    assert len(state.seen) == WATCHED_MAX
    assert len(cursor) < 50_000
    assert "Ivanov" not in cursor
