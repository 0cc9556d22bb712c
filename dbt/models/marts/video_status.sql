with stages as (
    select
        video_id,
        count(*) as stages_expected,
        count(*) filter (where state = 'stored') as stages_stored,
        count(*) filter (where state = 'failed') as stages_failed,
        count(*) filter (where state = 'missing') as stages_missing,
        count(*) filter (where state = 'failed' and is_required) as required_failed,
        arg_min(asset, place) filter (where state = 'failed') as first_failed,
        max(stored_at) as last_stored_at
    from {{ ref("video_stages") }}
    group by video_id
),

reports as (
    select video_id, finished_at as report_stored_at
    from {{ ref("stg_results") }}
    where asset = 'surgery/report'
),

stale as (
    select video_id, count(*) as stale_results
    from {{ ref("stg_stale_pairs") }}
    where cause <> 'missing'
    group by video_id
)

select
    uploads.video_id,
    uploads.operation_type,
    uploads.department,
    uploads.profile,
    uploads.uploaded_at,
    uploads.size_bytes,
    case
        when not uploads.is_judged then 'unknown'
        when stages.required_failed > 0 then 'failed'
        when stages.stages_stored = stages.stages_expected then 'complete'
        when stages.stages_stored + stages.stages_failed = 0 then 'waiting'
        else 'incomplete'
    end as state,
    coalesce(stages.stages_expected, 0) as stages_expected,
    coalesce(stages.stages_stored, 0) as stages_stored,
    coalesce(stages.stages_failed, 0) as stages_failed,
    coalesce(stages.stages_missing, 0) as stages_missing,
    stages.first_failed,
    stages.last_stored_at,
    reports.report_stored_at,
    epoch(reports.report_stored_at - uploads.uploaded_at) as upload_to_report_s,
    case when uploads.is_judged then coalesce(stale.stale_results, 0) end as stale_results,
    case when uploads.is_judged then coalesce(stale.stale_results, 0) > 0 end as is_stale
from {{ ref("stg_uploads") }} as uploads
left join stages on uploads.video_id = stages.video_id
left join reports on uploads.video_id = reports.video_id
left join stale on uploads.video_id = stale.video_id
