with spans as (
    select video_id, max(end_ms) - min(start_ms) as span_ms
    from {{ ref("stg_phase_segments") }}
    group by video_id
)

select
    segments.video_id,
    segments.phase,
    sum(segments.end_ms - segments.start_ms) as duration_ms,
    sum(segments.end_ms - segments.start_ms) / spans.span_ms as share,
    count(*) as entries,
    sum((segments.end_ms - segments.start_ms) * segments.mean_confidence)
        / sum(segments.end_ms - segments.start_ms) as mean_confidence
from {{ ref("stg_phase_segments") }} as segments
inner join spans on segments.video_id = spans.video_id
group by segments.video_id, segments.phase, spans.span_ms
