INSERT OR REPLACE INTO assets BY NAME
SELECT
    node,
    port,
    asset.sha256,
    asset.kind,
    format('assets/{}/{}{}', asset.sha256[:2], asset.sha256, asset.suffix) AS uri,
    asset.bytes,
    asset.width,
    asset.height,
    asset.fps,
    asset.frames,
    asset.seconds,
    asset.mime
FROM (
    SELECT node, output.key AS port, from_json(output.value, '{
        "sha256": "VARCHAR", "suffix": "VARCHAR", "kind": "VARCHAR", "mime": "VARCHAR",
        "bytes": "BIGINT", "width": "INTEGER", "height": "INTEGER",
        "frames": "INTEGER", "fps": "DOUBLE", "seconds": "DOUBLE"
    }') AS asset
    FROM (SELECT r.key AS node, unnest(map_entries(r.outputs)) AS output FROM batch)
);
