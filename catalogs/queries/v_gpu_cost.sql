-- Seconds on the device of every stage that draws with a model; the price an hour is yours to add.
CREATE OR REPLACE VIEW v_gpu_cost AS
SELECT
    date_trunc('week', e.started)::DATE AS week,
    r.campaign,
    e.stage,
    n.notes ->> '$.model' AS model,
    e.device,
    count(*) AS nodes,
    sum(e.seconds) AS seconds,
    sum(e.seconds) / 3600 AS hours,
    sum(e.load_seconds) AS load_seconds,
    max(e.peak_bytes) / 1e9 AS peak_gb
FROM executions AS e
JOIN nodes AS n ON n.key = e.node
LEFT JOIN runs AS r ON r.id = e.run
WHERE e.state = 'made' AND n.model <> ''
GROUP BY ALL
ORDER BY ALL;
