-- What people look at, newest first: pictures and clips that a model drew, and finished deliveries.
-- $words: all must occur; $tag: a hashtag of the caption, without #; '' leaves any of these out.
-- $asset: a SHA-256, of which everything is found.
WITH tags AS (  -- of captions that two deliveries share there is one node, and a place for each
    SELECT
        r.campaign,
        e.shot,
        e.delivery,
        from_json(n.parameters -> '$.hashtags', '["VARCHAR"]') AS tags
    FROM nodes AS n
    JOIN executions AS e ON e.node = n.key
    JOIN runs AS r ON r.id = e.run
    WHERE json_exists(n.parameters, '$.hashtags')
    QUALIFY row_number() OVER (PARTITION BY r.campaign, e.shot, e.delivery ORDER BY r.started DESC) = 1
),
page AS (
    SELECT a.*, coalesce(t.tags, []) AS tags, count(*) OVER () AS total
    FROM (SELECT *, node IN (SELECT node FROM deliveries) AS delivered FROM v_assets) AS a
    LEFT JOIN tags AS t
        ON t.campaign = a.campaign AND t.shot = a.shot AND t.delivery = a.delivery
    WHERE if(
        $asset <> '',
        a.sha256 = $asset,
        a.held AND a.kind IN ('image', 'clip') AND (a.fingerprint <> '' OR a.delivered)
    )
        AND ($campaign = '' OR a.campaign = $campaign)
        AND ($product = '' OR a.product = $product)
        AND ($delivery = '' OR a.delivery = $delivery)
        AND ($stage = '' OR a.stage = $stage)
        AND ($shot = '' OR a.shot = $shot)
        AND ($aspect = '' OR a.aspect = $aspect)
        AND ($verdict = '' OR coalesce(a.verdict, 'none') = $verdict)
        AND ($run = '' OR a.run = $run)
        AND ($tag = '' OR list_contains(t.tags, $tag))
        AND len(list_filter(string_split(lower($words), ' '), lambda word: NOT contains(lower(
            concat_ws(' ', a.prompt, a.shot, a.template, a.campaign, a.stage, a.delivery, a.model)
        ), word))) = 0
    ORDER BY a.started DESC, a.shot, a.stage, a.delivery, a.aspect, a.node, a.port
    LIMIT $limit OFFSET $offset
),
faces AS (
    SELECT
        node,
        min(sha256) FILTER (kind = 'cover') AS cover,
        min(sha256) FILTER (kind = 'image') AS image
    FROM assets
    GROUP BY node
)
SELECT
    p.* EXCLUDE (started, day, parameters),
    p.day::VARCHAR AS day,
    strftime(p.started, '%Y-%m-%dT%H:%M:%SZ') AS started,
    coalesce(
        if(p.kind IN ('image', 'cover', 'overlay'), p.sha256, NULL),
        (SELECT cover FROM faces WHERE node = p.node),
        (
            SELECT min(coalesce(f.cover, f.image))
            FROM lineage AS l
            JOIN faces AS f ON f.node = l.parent
            WHERE l.child = p.node
        ),
        ''
    ) AS poster
FROM page AS p
ORDER BY p.started DESC, p.shot, p.stage, p.delivery, p.aspect, p.node, p.port;
