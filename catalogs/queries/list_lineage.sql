-- $node: a node's key; $most: how many rows. The node, all it was made from and all made from it,
-- each with the names of what it was made from itself.
WITH RECURSIVE up AS (
    SELECT $node AS name
    UNION
    SELECT l.parent FROM up JOIN lineage AS l ON l.child = up.name
),
down AS (
    SELECT $node AS name
    UNION
    SELECT l.child FROM down JOIN lineage AS l ON l.parent = down.name
),
near AS (
    SELECT name, 0 AS side FROM up
    UNION
    SELECT name, 1 FROM down WHERE name <> $node
),
shown AS (
    SELECT
        node,
        min(sha256) FILTER (kind IN ('image', 'cover', 'overlay')) AS face,
        coalesce(min(sha256) FILTER (kind IN ('clip', 'image')), min(sha256)) AS digest
    FROM assets
    GROUP BY node
)
SELECT
    near.name,
    n.stage,
    n.aspect,
    n.delivery,
    (SELECT min(path) FROM lineage WHERE parent = near.name AND port = '') AS path,
    if(n.held, s.face, NULL) AS face,
    s.digest,
    (SELECT list(DISTINCT parent) FROM lineage WHERE child = near.name) AS parents
FROM near
LEFT JOIN nodes AS n ON n.key = near.name
LEFT JOIN shown AS s ON s.node = near.name
ORDER BY near.side, n.delivery, n.aspect, near.name
LIMIT $most;
