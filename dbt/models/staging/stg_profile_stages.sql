select
    profile,
    asset,
    place,
    is_required
from {{ source("sources", "profile_stages") }}
