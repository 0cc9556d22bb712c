select
    model,
    digest,
    release,
    state,
    origin,
    refused_because,
    data_revision,
    made_at
from {{ source("sources", "model_releases") }}
