-- What each run found finished already, and the seconds that saved.
CREATE OR REPLACE VIEW v_cache_hits AS
SELECT
    r.id AS run,
    r.campaign,
    r.started,
    count(*) AS nodes,
    count(*) FILTER (e.state = 'made') AS made,
    count(*) FILTER (e.state = 'cached') AS cached,
    cached / nodes AS hit_rate,
    coalesce(sum(n.seconds) FILTER (e.state = 'cached'), 0) AS seconds_saved
FROM runs AS r
JOIN executions AS e ON e.run = r.id
LEFT JOIN nodes AS n ON n.key = e.node
GROUP BY ALL
ORDER BY r.started;
