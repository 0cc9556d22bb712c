"""The key of a video: its grammar holds for every upload, and no name gets into it that may be a person's."""

import random
import re
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurovision_assets.partitions import (
    ANONYMOUS_LABEL,
    SAMPLE_BYTES,
    check_video_id,
    fingerprint_of,
    label_of,
    make_video_id,
)
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore
from resources.settings import Settings

SAFE = str(Settings.model_fields["upload_safe_name"].default)
GRAMMAR = r"[a-z0-9][a-z0-9_]{0,54}-[0-9a-f]{8}"
MIB = 1 << 20


@settings(deadline=None)
@given(st.from_regex(GRAMMAR, fullmatch=True))
def test_keys_of_the_grammar_are_taken(key: str):
    assert check_video_id(key) == key


@settings(deadline=None)
@given(st.text())
def test_no_other_text_is_a_key(text: str):
    if not re.fullmatch(GRAMMAR, text, re.ASCII):
        with pytest.raises(PermanentFailure, match="not a video_id"):
            check_video_id(text)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "operation_001",
        "operation_001-1f3a9c2",
        "operation_001-1f3a9c2b\n",
        "operation_001-1F3A9C2B",
        "Operation-1f3a9c2b",
        "_x-1f3a9c2b",
        "a,b-1f3a9c2b",
        "a/b-1f3a9c2b",
        "a.b-1f3a9c2b",
        "../x-1f3a9c2b",
        "а-1f3a9c2b",
        "x" * 56 + "-1f3a9c2b",
        "a-b-1f3a9c2b",
    ],
)
def test_near_misses_are_refused(key: str):
    with pytest.raises(PermanentFailure):
        check_video_id(key)


@settings(deadline=None)
@given(st.text())
def test_every_file_name_gives_a_key(stem: str):
    key = make_video_id(label_of(None, stem, SAFE), "0123abcd")
    assert check_video_id(key) == key


@settings(deadline=None)
@given(st.text(min_size=1))
def test_a_file_name_is_seen_in_the_key_only_when_it_is_safe(stem: str):
    label = label_of(None, stem, SAFE)
    assert label == ANONYMOUS_LABEL or re.fullmatch(r"operation_\d+", label, re.ASCII)


@pytest.mark.parametrize(
    "stem",
    [
        "Иванов Иван",
        "ivanov",
        "operation_001_ivanov",
        "operation_",
        "x operation_1",
        "operation_١٢",
        "operation_1\n",
        "",
        "..",
    ],
)
def test_unsafe_names_become_video(stem: str):
    assert label_of(None, stem, SAFE) == ANONYMOUS_LABEL


def test_a_safe_name_is_the_label():
    assert label_of(None, "Operation_042", SAFE) == "operation_042"
    assert label_of(None, "theatre3", r"theatre\d") == "theatre3"
    assert label_of(None, "operation_" + "1" * 60, SAFE) == ANONYMOUS_LABEL


@settings(deadline=None)
@given(st.text())
def test_an_operation_id_is_the_label_or_refused(operation_id: str):
    if re.fullmatch(r"[a-z0-9][a-z0-9_]{0,54}", operation_id.lower(), re.ASCII):
        assert label_of(operation_id, "operation_001", SAFE) == operation_id.lower()
    else:
        with pytest.raises(PermanentFailure, match="operation_id must be"):
            label_of(operation_id, "operation_001", SAFE)


def test_a_refused_operation_id_is_not_repeated():
    """It may be a patient's name."""
    with pytest.raises(PermanentFailure) as caught:
        label_of("Иванов Иван", "operation_001", SAFE)
    assert "Иванов" not in str(caught.value)


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def read(data: bytes, start: int, length: int) -> bytes:
    return data[start : start + length]


def fingerprint(*parts: bytes) -> str:
    return fingerprint_of([(len(data), partial(read, data)) for data in parts])


def changed_at(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def test_a_fingerprint_is_of_the_size_and_three_sampled_mib():
    data = blob(8 * MIB)
    original = fingerprint(data)
    assert re.fullmatch("[0-9a-f]{8}", original)
    assert fingerprint(bytes(data)) == original
    middle = 4 * MIB - SAMPLE_BYTES // 2
    for start in (0, middle, 7 * MIB):
        for position in (start, start + MIB - 1):
            assert fingerprint(changed_at(data, position)) != original, position
    assert fingerprint(changed_at(data, 2 * MIB)) == original, "the file is sampled, not read"
    zeros = [fingerprint(bytes(size)) for size in (8 * MIB, 8 * MIB + 1, 9 * MIB)]
    assert len(set(zeros)) == 3, "the size counts"


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB])
def test_every_byte_of_a_small_file_counts(size: int):
    data = blob(size)
    for position in {0, size // 3, size // 2, size - 1} if size else ():
        assert fingerprint(changed_at(data, position)) != fingerprint(data)


def test_parts_count_in_their_order():
    one, two = blob(1000, 1), blob(1000, 2)
    assert len({fingerprint(one, two), fingerprint(two, one), fingerprint(one), fingerprint(one + two)}) == 4


def test_what_is_read_is_little_whatever_the_size():
    asked: list[tuple[int, int]] = []

    def note(start: int, length: int) -> bytes:
        asked.append((start, length))
        return b""

    size = 50 * 1024 * MIB
    fingerprint_of([(size, note)])
    assert [length for _, length in asked] == [MIB] * 3
    assert asked[-1] == (size - MIB, MIB)


def test_the_store_s_ranges_give_the_same_fingerprint(tmp_path: Path):
    data = blob(4 * MIB)
    store = ObjectStore(url=tmp_path.as_uri())
    store.write_bytes("incoming/x.mp4", data)
    assert fingerprint_of([(len(data), partial(store.read_range, "incoming/x.mp4"))]) == fingerprint(data)
