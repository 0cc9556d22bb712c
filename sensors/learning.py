"""The sensors of the learning loop: who asks for a retraining, who starts it, who tells what is served then.

Belongs here: the list. Does not belong here: any of them.
"""

from sensors.drift import drift_alarms
from sensors.new_annotations import new_annotations
from sensors.retraining import retraining_requests
from sensors.served_models import served_models_sensor

learning_sensors = [drift_alarms, new_annotations, retraining_requests, served_models_sensor]
