-- What was last written to be published beside each delivery; of captions that two deliveries share
-- there is one node, and a place for each.
CREATE OR REPLACE VIEW v_captions AS
SELECT
    r.campaign,
    e.shot,
    e.delivery,
    n.parameters ->> '$.language' AS language,
    n.parameters ->> '$.title' AS title,
    n.parameters ->> '$.text' AS text,
    from_json(n.parameters -> '$.hashtags', '["VARCHAR"]') AS hashtags
FROM nodes AS n
JOIN executions AS e ON e.node = n.key
JOIN runs AS r ON r.id = e.run
WHERE json_exists(n.parameters, '$.hashtags')
QUALIFY row_number() OVER (PARTITION BY r.campaign, e.shot, e.delivery ORDER BY r.started DESC) = 1;
