select
    video_id,
    asset,
    data_version,
    predictions,
    mean_confidence
from {{ source("sources", "confidences") }}
