select
    model,
    digest,
    source,
    scored_on,
    protocol,
    figure,
    value
from {{ source("sources", "model_scores") }}
