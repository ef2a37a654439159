-- What assets can be searched by, with how many of those that people look at there are of each.
WITH shown AS (
    SELECT *, node IN (SELECT node FROM deliveries) AS delivered
    FROM v_assets
    WHERE held AND kind IN ('image', 'clip') AND (fingerprint <> '' OR delivered)
),
tagged AS (  -- of captions that two deliveries share there is one node, and a place for each
    SELECT from_json(n.parameters -> '$.hashtags', '["VARCHAR"]') AS tags
    FROM nodes AS n
    JOIN executions AS e ON e.node = n.key
    JOIN runs AS r ON r.id = e.run
    WHERE json_exists(n.parameters, '$.hashtags')
    QUALIFY row_number() OVER (PARTITION BY r.campaign, e.shot, e.delivery ORDER BY r.started DESC) = 1
)
SELECT name, value, count(*) AS many
FROM (
    SELECT 'campaign' AS name, campaign AS value FROM shown
    UNION ALL
    SELECT 'product', product FROM shown
    UNION ALL
    SELECT 'delivery', delivery FROM shown
    UNION ALL
    SELECT 'stage', stage FROM shown WHERE fingerprint <> ''
    UNION ALL
    SELECT 'tag', unnest(tags) FROM tagged
)
WHERE value <> ''
GROUP BY name, value
QUALIFY row_number() OVER (PARTITION BY name ORDER BY many DESC, value) <= 40
ORDER BY name, value;
