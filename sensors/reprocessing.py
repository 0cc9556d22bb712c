"""The sensors of reprocessing: who proposes a plan, who turns requests and approved plans into runs.

Belongs here: the list. Does not belong here: either of them.
"""

from sensors.plans import plan_proposals
from sensors.review_requests import review_requests_sensor

reprocessing_sensors = [plan_proposals, review_requests_sensor]
