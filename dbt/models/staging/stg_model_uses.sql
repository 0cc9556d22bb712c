select
    video_id,
    asset,
    model,
    version,
    release,
    digest,
    engine,
    precision
from {{ source("sources", "model_uses") }}
