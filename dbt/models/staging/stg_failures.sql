select
    video_id,
    asset,
    kind,
    cause,
    failed_at
from {{ source("sources", "failures") }}
