"""Sidecars: the contract, reasons without values, pseudonyms."""

import hashlib
import hmac
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurovision_assets.uploads.sidecar import RefusedUpload, Sidecar, anonymize_patient_id, parse_sidecar, pseudonym_of

PATIENT_ID = "MRN-5551234"


def parse(**fields: object) -> object:
    return parse_sidecar(json.dumps(fields).encode())


def reason_of(data: bytes) -> str:
    with pytest.raises(RefusedUpload) as refused:
        parse_sidecar(data)
    return refused.value.reason


def test_a_full_sidecar_is_understood() -> None:
    sidecar = parse_sidecar(
        b"\xef\xbb\xbf"  # editors on Windows write it
        + json.dumps(
            {
                "operation_id": "OP_17",
                "operation_type": "cholecystectomy",
                "surgeon": "Петров",
                "department": "Хирургия 2",
                "date": "2026-02-28",
                "patient_id": PATIENT_ID,
                "profile": "fast_debug",
                "priority": "high",
                "callback_url": "https://his.example/done",
                "title": "Плановая",
                "description": "две\nстроки",
                "parts": ["a.mp4", "b.mp4"],
            }
        ).encode()
    )
    assert sidecar.run_priority == 10
    assert sidecar.parts == ("a.mp4", "b.mp4")
    assert PATIENT_ID not in repr(sidecar) + sidecar.model_dump_json()


@pytest.mark.parametrize(("length", "accepted"), [(2, False), (3, True), (200, True), (201, False)])
def test_title_has_3_to_200_characters(length: int, accepted: bool) -> None:
    data = json.dumps({"title": "ж" * length}).encode()
    if accepted:
        assert parse_sidecar(data).title == "ж" * length
    else:
        assert "title: Title must be between 3 and 200 characters" in reason_of(data)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("callback_url", "file:///etc/passwd", "callback_url"),
        ("callback_url", "ftp://host/x", "http"),
        ("parts", ["../../etc/x.mp4"], "parts, entry 1"),
        ("parts", ["a.mp4", "b\\c.mp4"], "parts, entry 2"),
        ("parts", ["a.mp4", "a.mp4"], "twice"),
        ("parts", [], "1 to 200"),
        ("parts", ["notes.txt"], "not the name of a video"),
        ("priority", True, "priority"),
        ("priority", "urgent", "priority"),
        ("priority", 1.5, "priority"),
        ("operation_id", "../up", "operation_id"),
        ("date", 1767225600, "date"),
        ("date", "31.01.2026", "date"),
        ("profile", "../secret", "profile"),
        ("surgeon", "a\x00b", "surgeon"),
        ("title", "\ud800abc", "title"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field_and_not_repeated(field: str, value: object, said: str) -> None:
    reason = reason_of(json.dumps({"patient_id": PATIENT_ID, field: value}).encode())
    assert said in reason
    assert PATIENT_ID not in reason
    if isinstance(value, str):
        assert value not in reason


def test_an_unknown_field_is_told_by_position_because_its_name_may_be_a_persons() -> None:
    reason = reason_of(b'{"title": "abc", "Ivanov Ivan": 1}')
    assert "field 2 is not known" in reason
    assert "Ivanov" not in reason


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 60_000, b"9" * 5000, b"[]", b'"x"', b"null", b"x" * 70_000]
)
def test_what_is_no_sidecar_is_refused(data: bytes) -> None:
    assert "The sidecar is" in reason_of(data)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["title", "parts", "priority", "date", "patient_id", "callback_url"]) | st.text(),
                inner,
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_either_a_sidecar_or_refused(data: bytes) -> None:
    with suppress(RefusedUpload):
        assert isinstance(parse_sidecar(data), Sidecar)


def test_the_patients_number_may_stand_in_no_other_field() -> None:
    for field, value in {"title": f"op of {PATIENT_ID.lower()}", "callback_url": f"http://h/{PATIENT_ID}"}.items():
        reason = reason_of(json.dumps({"patient_id": PATIENT_ID, field: value}).encode())
        assert "repeats patient_id" in reason
        assert PATIENT_ID.lower() not in reason.lower()


def test_pseudonym_is_hmac_sha256_cut_to_16_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONYMIZATION_SALT", "key-one")
    sidecar = parse_sidecar(json.dumps({"patient_id": f" {PATIENT_ID} "}).encode())
    first = pseudonym_of(sidecar)
    assert first == hmac.new(b"key-one", PATIENT_ID.encode(), hashlib.sha256).hexdigest()[:16]
    assert first == anonymize_patient_id(PATIENT_ID, "key-one") != anonymize_patient_id(PATIENT_ID, "key-two")


def test_without_a_key_patient_data_is_refused_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANONYMIZATION_SALT", raising=False)
    sidecar = parse_sidecar(json.dumps({"patient_id": PATIENT_ID}).encode())
    with pytest.raises(RefusedUpload) as refused:
        pseudonym_of(sidecar)
    assert "ANONYMIZATION_SALT" in refused.value.reason
    assert PATIENT_ID not in refused.value.reason
    assert pseudonym_of(parse_sidecar(b"{}")) is None
