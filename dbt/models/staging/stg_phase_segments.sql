select
    video_id,
    data_version,
    segment_index,
    phase,
    start_ms,
    end_ms,
    mean_confidence
from {{ source("sources", "phase_segments") }}
