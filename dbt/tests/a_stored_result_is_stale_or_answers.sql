{{ config(meta={"dagster": {"ref": {"name": "stale_predictions"}}}) }}
-- "missing" is said of exactly those stages that have no result.
select stale_predictions.video_id, stale_predictions.asset
from {{ ref("stale_predictions") }} as stale_predictions
where (stale_predictions.cause = 'missing') <> (stale_predictions.stored_at is null)
