INSERT OR REPLACE INTO assets BY NAME
SELECT
    node,
    port,
    format('assets/{}/{}{}', asset.sha256[:2], asset.sha256, asset.suffix) AS uri,
    asset.* EXCLUDE (suffix)
FROM (
    SELECT node, output.key AS port, from_json(output.value, '{
        "sha256": "VARCHAR", "suffix": "VARCHAR", "kind": "VARCHAR", "mime": "VARCHAR",
        "bytes": "BIGINT", "width": "INTEGER", "height": "INTEGER",
        "frames": "INTEGER", "fps": "DOUBLE", "seconds": "DOUBLE"
    }') AS asset
    FROM (SELECT key AS node, unnest(map_entries(outputs)) AS output FROM batch)
);
