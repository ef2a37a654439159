-- $campaign: '' for all; $run: '' for all. Runs, newest first, with what became of their shots, and
-- a picture of each of the first few.
WITH outcomes AS (
    SELECT
        run,
        count(DISTINCT shot) AS shots,
        count(DISTINCT shot) FILTER (state IN ('failed', 'skipped')) AS failed
    FROM executions
    GROUP BY run
),
faces AS (
    SELECT node, min(sha256) FILTER (kind IN ('image', 'cover')) AS face
    FROM assets
    WHERE kind IN ('image', 'cover')
    GROUP BY node
),
shown AS (
    SELECT d.run, d.shot, count(*) AS delivered, min(f.face) AS face
    FROM deliveries AS d
    JOIN nodes AS n ON n.key = d.node AND n.held
    LEFT JOIN faces AS f ON f.node = d.node
    GROUP BY d.run, d.shot
),
told AS (
    SELECT run, sum(delivered) AS delivered, list(face ORDER BY shot) FILTER (face IS NOT NULL) AS faces
    FROM shown
    GROUP BY run
)
SELECT
    r.id,
    r.campaign,
    r.title ->> '$.zh' AS zh,
    r.title ->> '$.en' AS en,
    r.state,
    strftime(r.started, '%Y-%m-%dT%H:%M:%SZ') AS started,
    strftime(r.finished, '%Y-%m-%dT%H:%M:%SZ') AS finished,
    coalesce(o.shots, 0) AS shots,
    coalesce(o.failed, 0) AS failed,
    coalesce(t.delivered, 0)::BIGINT AS delivered,
    coalesce(t.faces[:8], []) AS faces
FROM runs AS r
LEFT JOIN outcomes AS o ON o.run = r.id
LEFT JOIN told AS t ON t.run = r.id
WHERE ($campaign = '' OR r.campaign = $campaign) AND ($run = '' OR r.id = $run)
ORDER BY r.started DESC, r.id DESC
LIMIT $limit OFFSET $offset;
