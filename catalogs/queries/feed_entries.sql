-- What this run made itself was told better by the records; the rest is told by the run alone.
INSERT OR REPLACE INTO executions BY NAME
SELECT run, unnest(entry.place), entry.key AS node, entry.state, entry.seconds, entry.error
FROM (SELECT id AS run, unnest(entries) AS entry FROM told)
WHERE NOT EXISTS (
    FROM nodes AS n
    WHERE n.key = entry.key
        AND n.run = run
        AND n.stage = entry.place.stage
        AND n.shot = entry.place.shot
        AND n.aspect = entry.place.aspect
        AND n.delivery = entry.place.delivery
);
