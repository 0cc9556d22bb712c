select
    uploads.video_id,
    profile_stages.asset,
    profile_stages.place,
    profile_stages.is_required,
    results.finished_at as stored_at,
    failures.failed_at,
    case
        when failures.failed_at is not null then 'failed'
        when results.finished_at is not null then 'stored'
        else 'missing'
    end as state
from {{ ref("stg_uploads") }} as uploads
inner join {{ ref("stg_profile_stages") }} as profile_stages on uploads.profile = profile_stages.profile
left join {{ ref("stg_results") }} as results
    on uploads.video_id = results.video_id and profile_stages.asset = results.asset
left join {{ ref("stg_failures") }} as failures
    on uploads.video_id = failures.video_id and profile_stages.asset = failures.asset
