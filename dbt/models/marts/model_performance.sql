-- A file that results were made with may be on disk no more; its results count all the same.
with uses as (
    select
        model_uses.model,
        model_uses.digest,
        max(model_uses.release) as release,
        count(*) as results,
        count(distinct model_uses.video_id) as videos,
        coalesce(sum(confidences.predictions), 0)::bigint as predictions,
        sum(confidences.mean_confidence * confidences.predictions)
            / sum(case when confidences.mean_confidence is not null then confidences.predictions end) as mean_confidence,
        max(results.finished_at) as last_used_at
    from {{ ref("stg_model_uses") }} as model_uses
    inner join {{ ref("stg_results") }} as results
        on model_uses.video_id = results.video_id and model_uses.asset = results.asset
    left join {{ ref("stg_confidences") }} as confidences
        on model_uses.video_id = confidences.video_id and model_uses.asset = confidences.asset
    group by model_uses.model, model_uses.digest
),

evaluations as (
    select
        model,
        digest,
        max(protocol) as test_protocol,
        max(scored_on) as test_data_revision,
        max(value) filter (where figure = 'videos')::bigint as test_videos,
        max(value) filter (where figure = 'accuracy') as test_accuracy,
        max(value) filter (where figure = 'f1') as test_f1,
        max(value) filter (where figure = 'overlap') as test_overlap,
        max(value) filter (where figure = 'calibration_error') as test_calibration_error
    from {{ ref("stg_model_scores") }}
    where source = 'evaluation'
    group by model, digest
),

-- The card's headline of each kind of model, on unseen simulated operations; the other figures are in stg_model_scores.
cards as (
    select model, digest, protocol as card_protocol, figure as card_figure, value as card_value
    from {{ ref("stg_model_scores") }}
    where source = 'card' and (scored_on, figure) in (
        ('unseen_simulated_operations/phases', 'f1'),
        ('unseen_simulated_operations/boxes', 'map50'),
        ('unseen_simulated_operations/anatomy', 'miou')
    )
),

files as (
    select model, digest from {{ ref("stg_model_releases") }}
    union
    select model, digest from uses
)

select
    files.model,
    coalesce(releases.release, uses.release) as release,
    files.digest,
    coalesce(releases.state, 'gone') as state,
    releases.origin,
    releases.refused_because,
    releases.data_revision,
    releases.made_at,
    evaluations.test_protocol,
    evaluations.test_data_revision,
    evaluations.test_videos,
    evaluations.test_accuracy,
    evaluations.test_f1,
    evaluations.test_overlap,
    evaluations.test_calibration_error,
    cards.card_protocol,
    cards.card_figure,
    cards.card_value,
    coalesce(uses.results, 0) as results,
    coalesce(uses.videos, 0) as videos,
    coalesce(uses.predictions, 0) as predictions,
    uses.mean_confidence,
    uses.last_used_at
from files
left join {{ ref("stg_model_releases") }} as releases
    on files.model = releases.model and files.digest = releases.digest
left join uses on files.model = uses.model and files.digest = uses.digest
left join evaluations on files.model = evaluations.model and files.digest = evaluations.digest
left join cards on files.model = cards.model and files.digest = cards.digest
