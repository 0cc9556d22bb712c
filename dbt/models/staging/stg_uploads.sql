select
    video_id,
    operation_type,
    department,
    profile,
    is_judged,
    uploaded_at,
    size_bytes
from {{ source("sources", "uploads") }}
