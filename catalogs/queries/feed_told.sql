-- $run: a run file.
CREATE OR REPLACE TEMP TABLE told AS
SELECT r.*
FROM (
    SELECT from_json($run, '{
        "id": "VARCHAR", "campaign": "VARCHAR", "title": "JSON", "state": "VARCHAR",
        "started": "TIMESTAMP", "finished": "VARCHAR", "parameters": "JSON",
        "shots": "MAP(VARCHAR, JSON)",
        "entries": [{
            "place": {
                "stage": "VARCHAR", "shot": "VARCHAR", "aspect": "VARCHAR", "delivery": "VARCHAR"
            },
            "key": "VARCHAR", "state": "VARCHAR", "seconds": "DOUBLE", "error": "VARCHAR"
        }]
    }') AS r
);
