-- $reviews: a JSON list of reviews, each with its `id`.
INSERT OR REPLACE INTO reviews BY NAME
SELECT r.*
FROM (
    SELECT unnest(from_json($reviews, '[{
        "id": "VARCHAR", "asset": "VARCHAR", "node": "VARCHAR", "verdict": "VARCHAR",
        "seed": "VARCHAR", "reviewer": "VARCHAR", "reviewed": "TIMESTAMP", "note": "VARCHAR"
    }]')) AS r
);
