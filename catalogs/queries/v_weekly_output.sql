-- Finished deliveries by the week they were made in, each counted once however many runs used it,
-- and only as it is now: what a later run made in its place, and what was tried by
-- `keyreel rerun --set`, is no output. Seconds and bytes are of the files, not of their covers.
CREATE OR REPLACE VIEW v_weekly_output AS
SELECT
    date_trunc('week', n.started)::DATE AS week,
    d.campaign,
    d.delivery,
    count(DISTINCT split_part(d.shot, '/', 1)) AS products,
    count(DISTINCT d.shot) AS shots,
    count(*) FILTER (a.kind <> 'cover') AS files,
    count(*) FILTER (a.kind = 'cover') AS covers,
    sum(a.seconds) FILTER (a.kind <> 'cover') AS seconds,
    sum(a.bytes) FILTER (a.kind <> 'cover') AS bytes
FROM (
    SELECT r.campaign, d.shot, d.delivery, arg_max(d.node, r.started) AS node
    FROM deliveries AS d
    JOIN runs AS r ON r.id = d.run
    WHERE r.parameters ->> '$.variant_of' IS NULL
    GROUP BY ALL
) AS d
JOIN nodes AS n ON n.key = d.node
JOIN assets AS a ON a.node = d.node
GROUP BY ALL
ORDER BY ALL;
