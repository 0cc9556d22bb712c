select
    video_id,
    asset,
    data_version,
    profile,
    config_hash,
    code_version,
    run_id,
    device,
    started_at,
    finished_at,
    duration_ms
from {{ source("sources", "results") }}
