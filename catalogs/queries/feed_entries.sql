-- What this run made was told better by its record, at the place it was made for. Another place
-- of the same node found it finished.
INSERT OR REPLACE INTO executions BY NAME
SELECT
    run,
    unnest(entry.place),
    entry.key AS node,
    if(entry.state = 'made', 'cached', entry.state) AS state,
    if(entry.state = 'made', 0, entry.seconds) AS seconds,
    entry.error
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
