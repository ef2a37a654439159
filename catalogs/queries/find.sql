-- $name: the beginning of an asset's SHA-256 or of a node's key. The first maker comes first.
SELECT name, node, port
FROM (
    SELECT a.sha256 AS name, a.node, a.port, n.started
    FROM assets AS a
    JOIN nodes AS n ON n.key = a.node
    WHERE starts_with(a.sha256, $name)
    UNION ALL
    SELECT key, key, '', started
    FROM nodes
    WHERE starts_with(key, $name)
)
ORDER BY started, node, port;
