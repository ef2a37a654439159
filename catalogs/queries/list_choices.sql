-- What assets can be searched by, with how many there are of each.
SELECT name, value, count(*) AS many
FROM (
    SELECT 'campaign' AS name, campaign AS value FROM v_assets WHERE held AND kind IN ('image', 'clip')
    UNION ALL
    SELECT 'product', product FROM v_assets WHERE held AND kind IN ('image', 'clip')
    UNION ALL
    SELECT 'delivery', d.delivery FROM deliveries AS d JOIN nodes AS n ON n.key = d.node AND n.held
    UNION ALL
    SELECT 'stage', stage FROM nodes WHERE held AND model <> ''
    UNION ALL
    SELECT 'tag', unnest(from_json(parameters -> '$.hashtags', '["VARCHAR"]'))
    FROM nodes
    WHERE json_exists(parameters, '$.hashtags')
)
WHERE value <> ''
GROUP BY name, value
QUALIFY row_number() OVER (PARTITION BY name ORDER BY many DESC, value) <= 40
ORDER BY name, value;
