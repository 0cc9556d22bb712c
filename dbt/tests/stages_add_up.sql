{{ config(meta={"dagster": {"ref": {"name": "video_status"}}}) }}
-- Every stage that a video should have is stored, failed or missing, and no stage is two of them.
select video_id
from {{ ref("video_status") }}
where stages_stored + stages_failed + stages_missing <> stages_expected
