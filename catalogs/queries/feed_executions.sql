INSERT OR REPLACE INTO executions BY NAME
SELECT
    run,
    place.*,
    key AS node,
    'made' AS state,
    started,
    seconds,
    facts ->> '$.device' AS device,
    (facts ->> '$.peak_bytes')::BIGINT AS peak_bytes,
    (facts ->> '$.load_seconds')::DOUBLE AS load_seconds,
    facts -> '$.versions' AS versions,
    facts -> '$.fallbacks' AS fallbacks,
    '' AS error
FROM batch;
