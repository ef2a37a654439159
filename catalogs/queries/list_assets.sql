-- What people look at, newest first: pictures and clips that a model drew, and finished deliveries.
-- $words: all must occur; $tag: a hashtag of the caption, without #; '' leaves any of these out.
-- $asset: a SHA-256, of which everything is found.
WITH found AS MATERIALIZED (
    SELECT a.*, coalesce(c.hashtags, []) AS tags
    FROM (SELECT *, node IN (SELECT node FROM deliveries) AS delivered FROM v_assets) AS a
    LEFT JOIN v_captions AS c
        ON c.campaign = a.campaign AND c.shot = a.shot AND c.delivery = a.delivery
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
        AND ($tag = '' OR list_contains(c.hashtags, $tag))
        AND len(list_filter(string_split(lower($words), ' '), lambda word: NOT contains(lower(
            concat_ws(' ', a.prompt, a.shot, a.template, a.campaign, a.stage, a.delivery, a.model)
        ), word))) = 0
),
page AS (
    SELECT *, (SELECT count(*) FROM found) AS total
    FROM found
    ORDER BY started DESC, shot, stage, delivery, aspect, node, port
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
