-- One row for every node and everything it was made from, near or far.
CREATE OR REPLACE VIEW v_lineage AS
WITH RECURSIVE up AS (
    SELECT child, parent, role, path, 1 AS depth FROM lineage
    UNION
    SELECT up.child, l.parent, l.role, l.path, up.depth + 1
    FROM up
    JOIN lineage AS l ON l.child = up.parent
)
SELECT
    up.child,
    c.stage AS child_stage,
    c.shot,
    up.parent AS ancestor,
    coalesce(p.stage, 'file') AS ancestor_stage,
    up.role,
    up.path,
    min(up.depth) AS depth
FROM up
JOIN nodes AS c ON c.key = up.child
LEFT JOIN nodes AS p ON p.key = up.parent
GROUP BY ALL;
