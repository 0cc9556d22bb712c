"""A report's canonical JSON and the hash of its content.

Belongs here: the machine-readable form. Does not belong here: formats for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from neurovision_assets.provenance import canonical_json
from neurovision_assets.surgery.report.model import Report

VOLATILE_PROVENANCE = ("run_id", "dagster_run_id", "started", "finished", "duration_ms")
"""Fields of a provenance record that differ between two runs of the same computation."""


def render_json(report: Report) -> bytes:
    """The report in the one spelling of ``canonical_json``, UTF-8, one line and a newline."""
    return (canonical_json(report.model_dump(mode="json")) + "\n").encode()


def report_content_hash(report: Report, pictures: Mapping[int, bytes]) -> str:
    """SHA-256 of what the report says and shows; run ids and times of computation do not count.

    Args:
        report: the report.
        pictures: JPEG of every key frame, by frame_index.

    Returns:
        64 hex digits, the same for every run on the same inputs.
    """
    lasting = report.model_dump(mode="json", exclude={"provenance": {"__all__": set(VOLATILE_PROVENANCE)}})
    digest = hashlib.sha256(canonical_json(lasting).encode())
    for index in sorted(pictures):
        digest.update(index.to_bytes(8, "little") + hashlib.sha256(pictures[index]).digest())
    return digest.hexdigest()
