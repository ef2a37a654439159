INSERT OR REPLACE INTO executions BY NAME
SELECT
    r.run,
    r.place.stage AS stage,
    r.place.shot AS shot,
    r.place.aspect AS aspect,
    r.place.delivery AS delivery,
    r.key AS node,
    'made' AS state,
    r.started,
    r.seconds,
    r.facts ->> '$.device' AS device,
    (r.facts ->> '$.peak_bytes')::BIGINT AS peak_bytes,
    (r.facts ->> '$.load_seconds')::DOUBLE AS load_seconds,
    r.facts -> '$.versions' AS versions,
    r.facts -> '$.fallbacks' AS fallbacks,
    '' AS error
FROM batch;
