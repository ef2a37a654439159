-- $records: a JSON list of node records, each with `held`.
CREATE OR REPLACE TEMP TABLE batch AS
SELECT unnest(from_json($records, '[{
    "key": "VARCHAR",
    "held": "BOOLEAN",
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
}]')) AS r;
