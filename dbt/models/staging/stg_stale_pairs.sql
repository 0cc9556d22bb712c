select
    video_id,
    asset,
    cause,
    because
from {{ source("sources", "stale_pairs") }}
