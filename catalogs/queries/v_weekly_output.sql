-- Deliveries by the week they were made in, each counted once however many runs used it.
CREATE OR REPLACE VIEW v_weekly_output AS
SELECT
    date_trunc('week', n.started)::DATE AS week,
    d.campaign,
    d.delivery,
    count(DISTINCT split_part(d.shot, '/', 1)) AS products,
    count(DISTINCT d.shot) AS shots,
    count(*) AS files,
    sum(a.seconds) AS seconds,
    sum(a.bytes) AS bytes
FROM (
    SELECT DISTINCT r.campaign, d.shot, d.delivery, d.node
    FROM deliveries AS d
    JOIN runs AS r ON r.id = d.run
) AS d
JOIN nodes AS n ON n.key = d.node
JOIN assets AS a ON a.node = d.node
GROUP BY ALL
ORDER BY ALL;
