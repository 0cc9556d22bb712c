with phases as (
    select coalesce(uploads.operation_type, 'unknown') as operation_type, video_phases.*
    from {{ ref("video_phases") }} as video_phases
    inner join {{ ref("stg_uploads") }} as uploads on video_phases.video_id = uploads.video_id
),

operations as (
    select operation_type, count(distinct video_id) as videos_of_type
    from phases
    group by operation_type
)

select
    phases.operation_type,
    phases.phase,
    count(*) as videos,
    operations.videos_of_type,
    avg(phases.duration_ms) / 1000 as mean_duration_s,
    quantile_cont(phases.duration_ms, 0.25) / 1000 as q1_duration_s,
    quantile_cont(phases.duration_ms, 0.5) / 1000 as median_duration_s,
    quantile_cont(phases.duration_ms, 0.75) / 1000 as q3_duration_s,
    avg(phases.share) as mean_share,
    quantile_cont(phases.share, 0.25) as q1_share,
    quantile_cont(phases.share, 0.5) as median_share,
    quantile_cont(phases.share, 0.75) as q3_share,
    sum(phases.entries - 1)::bigint as re_entries,
    count(*) filter (where phases.entries > 1) as videos_with_re_entry,
    avg(phases.mean_confidence) as mean_confidence
from phases
inner join operations on phases.operation_type = operations.operation_type
group by phases.operation_type, phases.phase, operations.videos_of_type
