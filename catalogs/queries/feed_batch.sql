-- $records: a JSON list of node records; $held: whether the store still has their files.
CREATE OR REPLACE TEMP TABLE batch AS
SELECT r.*, $held::BOOLEAN AS held
FROM (
    SELECT unnest(from_json($records, '[{
        "key": "VARCHAR",
        "recipe": {
            "version": "INTEGER", "params": "JSON", "inputs": "MAP(VARCHAR, VARCHAR[])",
            "model": "VARCHAR", "pixels": "JSON"
        },
        "place": {
            "stage": "VARCHAR", "shot": "VARCHAR", "aspect": "VARCHAR", "delivery": "VARCHAR"
        },
        "paths": "MAP(VARCHAR, VARCHAR)",
        "notes": "JSON",
        "outputs": "MAP(VARCHAR, JSON)",
        "run": "VARCHAR",
        "started": "TIMESTAMP",
        "seconds": "DOUBLE",
        "facts": "JSON"
    }]')) AS r
);
