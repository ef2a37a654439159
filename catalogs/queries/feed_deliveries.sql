-- A run lists its nodes in the order of work, so the last one of a delivery gave its files.
INSERT OR REPLACE INTO deliveries BY NAME
SELECT run, entry.place.shot AS shot, entry.place.delivery AS delivery, entry.key AS node
FROM (
    SELECT id AS run, unnest(entries) AS entry, generate_subscripts(entries, 1) AS position
    FROM told
)
WHERE entry.place.delivery <> ''
QUALIFY position = max(position) OVER (PARTITION BY shot, delivery)
    AND entry.state IN ('made', 'cached');
