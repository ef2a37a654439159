-- What assets can be searched by, with how many of those that people look at there are of each.
WITH shown AS (
    SELECT *, node IN (SELECT node FROM deliveries) AS delivered
    FROM v_assets
    WHERE held AND kind IN ('image', 'clip') AND (fingerprint <> '' OR delivered)
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
    SELECT 'tag', unnest(hashtags) FROM v_captions
)
WHERE value <> ''
GROUP BY name, value
QUALIFY row_number() OVER (PARTITION BY name ORDER BY many DESC, value) <= 40
ORDER BY name, value;
