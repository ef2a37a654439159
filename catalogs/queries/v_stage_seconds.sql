-- What a node takes: median and 95th percentile, and its median size.
CREATE OR REPLACE VIEW v_stage_seconds AS
SELECT
    e.stage,
    n.notes ->> '$.model' AS model,
    n.model AS fingerprint,
    e.device,
    count(*) AS nodes,
    quantile_cont(e.seconds, 0.50) AS p50,
    quantile_cont(e.seconds, 0.95) AS p95,
    sum(e.seconds) AS seconds,
    quantile_cont(a.bytes, 0.50) AS p50_bytes
FROM executions AS e
JOIN nodes AS n ON n.key = e.node
JOIN (SELECT node, sum(bytes) AS bytes FROM assets GROUP BY node) AS a ON a.node = e.node
WHERE e.state = 'made'
GROUP BY ALL
ORDER BY ALL;
