-- What each run found finished already, and the seconds that saved. A node that stands at several
-- places is counted once: where the run made it, the other places saved nothing.
CREATE OR REPLACE VIEW v_cache_hits AS
SELECT
    r.id AS run,
    r.campaign,
    r.started,
    count(*) AS nodes,
    count(*) FILTER (e.worked) AS made,
    count(*) FILTER (e.found) AS cached,
    cached / nodes AS hit_rate,
    coalesce(sum(n.seconds) FILTER (e.found), 0) AS seconds_saved
FROM runs AS r
JOIN (
    SELECT
        run,
        node,
        bool_or(state = 'made') AS worked,
        bool_or(state = 'cached') AND NOT worked AS found
    FROM executions
    GROUP BY run, node
) AS e ON e.run = r.id
LEFT JOIN nodes AS n ON n.key = e.node
GROUP BY ALL
ORDER BY r.started;
