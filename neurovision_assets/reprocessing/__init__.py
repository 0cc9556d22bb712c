"""Computing results again: what is stale and why, plans that a person approves, requests on a person's word.

Belongs here: deciding and remembering. Does not belong here: comparing one video's results with what they stand on
(``stage.judgement``), computing (``stage``), starting runs (``sensors.review_requests``).
"""
