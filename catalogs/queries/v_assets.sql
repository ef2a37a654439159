-- One row an asset of a node, with where it came from: the table to open first. A file that no
-- model made itself, as a delivered one, has the model and the seed of the clip it was made from,
-- else of the picture, the last one made; `fingerprint` is of a node's own model alone.
CREATE OR REPLACE VIEW v_assets AS
WITH own AS (
    SELECT
        key AS node,
        key IN (SELECT node FROM assets WHERE kind = 'clip') AS clip,
        started,
        notes ->> '$.model' AS model,
        try_cast(parameters ->> '$.seed' AS BIGINT) AS seed
    FROM nodes
    WHERE model <> ''
),
step AS (
    SELECT l.parent, l.child
    FROM lineage AS l
    JOIN nodes AS n ON n.key = l.child AND n.model = ''
),
exported AS (
    SELECT s.child AS node, o.* EXCLUDE (node) FROM own AS o JOIN step AS s ON s.parent = o.node
),
signed AS (
    SELECT s.child AS node, e.* EXCLUDE (node) FROM exported AS e JOIN step AS s ON s.parent = e.node
),
drawn AS (  -- no recursion: over one, a window fails at times in DuckDB 1.5.5
    FROM own UNION ALL FROM exported UNION ALL FROM signed
),
drawing AS (
    SELECT node, max({'clip': clip, 'started': started, 'model': model, 'seed': seed}) AS it
    FROM drawn
    GROUP BY node
)
SELECT
    a.sha256,
    a.kind,
    r.campaign,
    split_part(n.shot, '/', 1) AS product,
    try_cast(split_part(n.shot, '/', 2) AS DATE) AS day,
    n.shot,
    n.stage,
    n.aspect,
    n.delivery,
    a.port,
    a.width,
    a.height,
    a.fps,
    a.frames,
    a.seconds,
    a.bytes,
    a.mime,
    a.uri,
    n.held,
    n.key AS node,
    d.it.model,
    n.model AS fingerprint,
    d.it.seed,
    n.parameters,
    p.text AS prompt,
    p.template,
    p.language,
    v.verdict,
    n.run,
    n.started,
    n.seconds AS made_in_seconds,
    n.facts ->> '$.device' AS device
FROM assets AS a
JOIN nodes AS n ON n.key = a.node
-- no model made an overlay or subtitles; said on one side, or this is no hash join, 3 times as slow
LEFT JOIN drawing AS d
    ON d.node = if(n.model <> '' OR a.kind IN ('image', 'clip', 'cover'), n.key, NULL)
LEFT JOIN runs AS r ON r.id = n.run
LEFT JOIN prompts AS p
    ON p.run = n.run
    AND p.shot = n.shot
    -- of a clip from words alone there is footage and nothing else
    AND p.port IN ('footage', if(n.stage = 'animate', 'motion', 'picture'))
LEFT JOIN (
    SELECT asset, arg_max(verdict, reviewed) AS verdict FROM reviews GROUP BY asset
) AS v ON v.asset = a.sha256;
