INSERT OR REPLACE INTO fingerprints BY NAME
SELECT node, port, unnest(hashes) AS hash, generate_subscripts(hashes, 1) AS position
FROM (
    SELECT node, look.key AS port, look.value AS hashes
    FROM (
        SELECT
            key AS node,
            unnest(map_entries(from_json(facts -> '$.fingerprints', '"MAP(VARCHAR, BIGINT[])"')))
                AS look
        FROM batch
    )
);
