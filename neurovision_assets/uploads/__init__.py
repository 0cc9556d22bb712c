"""What becomes of a file that somebody drops into ``incoming/``: waited for, accepted as a video, or refused.

Belongs here: sidecars, upload records, decisions, registration, refusal. Does not belong here: the sensor that calls
them (``sensors.uploads``) and what is computed from a video (``neurovision_assets.surgery``).

File names carry patients' names. They stand in ``incoming/``, ``raw/`` and ``rejected/`` only, all restricted; no key,
log line, check, cursor or error text of this package contains one.
"""
