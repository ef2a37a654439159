-- What this run made was told better by its record, at the place it was made for. Another place
-- of the same node found it finished.
INSERT OR REPLACE INTO executions BY NAME
SELECT
    t.run,
    unnest(t.entry.place),
    t.entry.key AS node,
    if(t.entry.state = 'made', 'cached', t.entry.state) AS state,
    if(t.entry.state = 'made', 0, t.entry.seconds) AS seconds,
    t.entry.error
FROM (SELECT id AS run, unnest(entries) AS entry FROM told) AS t
WHERE NOT EXISTS (
    FROM nodes AS n
    WHERE n.key = t.entry.key
        AND n.run = t.run
        AND n.stage = t.entry.place.stage
        AND n.shot = t.entry.place.shot
        AND n.aspect = t.entry.place.aspect
        AND n.delivery = t.entry.place.delivery
);
