select
    stale_pairs.video_id,
    stale_pairs.asset,
    stale_pairs.cause,
    stale_pairs.because,
    uploads.operation_type,
    results.finished_at as stored_at,
    results.data_version
from {{ ref("stg_stale_pairs") }} as stale_pairs
inner join {{ ref("stg_uploads") }} as uploads on stale_pairs.video_id = uploads.video_id
left join {{ ref("stg_results") }} as results
    on stale_pairs.video_id = results.video_id and stale_pairs.asset = results.asset
