-- $1: the beginning of an export's key. What was signed of it comes before the export itself.
SELECT n.key, 'delivery' AS port, n.shot, n.delivery, CAST(n.started AS VARCHAR)
FROM nodes AS n
LEFT JOIN lineage AS l ON l.child = n.key AND l.role = 'delivery'
WHERE starts_with(n.key, $1) OR starts_with(l.parent, $1)
ORDER BY l.parent IS NULL, n.started
LIMIT 1;
