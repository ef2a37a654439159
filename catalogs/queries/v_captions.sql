-- What was last written to be published beside each delivery; of captions that two deliveries share
-- there is one node, and a place for each.
CREATE OR REPLACE VIEW v_captions AS
SELECT
    last.campaign,
    last.shot,
    last.delivery,
    n.parameters ->> '$.language' AS language,
    n.parameters ->> '$.title' AS title,
    n.parameters ->> '$.text' AS text,
    from_json(n.parameters -> '$.hashtags', '["VARCHAR"]') AS hashtags
FROM (
    SELECT r.campaign, e.shot, e.delivery, arg_max(e.node, r.started) AS node
    FROM executions AS e
    JOIN nodes AS n ON n.key = e.node
    JOIN runs AS r ON r.id = e.run
    WHERE json_exists(n.parameters, '$.hashtags')
    GROUP BY ALL
) AS last
JOIN nodes AS n ON n.key = last.node;
