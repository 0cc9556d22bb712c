{{ config(meta={"dagster": {"ref": {"name": "video_phases"}}}) }}
-- A share is of the time from the first segment to the end of the last: a gap or an overlap makes the sum another.
select video_id, sum(share) as share_sum
from {{ ref("video_phases") }}
group by video_id
having abs(sum(share) - 1) > 1e-9
