"""The report: everything that the other stages found, told to a surgeon, with every figure's origin.

Belongs here: building the report as data (`model`, `build`), choosing and marking pictures (`keyframes`, `overlay`),
charts, and one module an output format. Does not belong here: finding anything new in a video, Dagster (`asset`).
"""
