-- One row an asset of a node, with where it came from: the table to open first.
CREATE OR REPLACE VIEW v_assets AS
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
    n.notes ->> '$.model' AS model,
    n.model AS fingerprint,
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
LEFT JOIN runs AS r ON r.id = n.run
LEFT JOIN prompts AS p
    ON p.run = n.run
    AND p.shot = n.shot
    -- of a clip from words alone there is footage and nothing else
    AND p.port IN ('footage', if(n.stage = 'animate', 'motion', 'picture'))
LEFT JOIN (
    SELECT asset, arg_max(verdict, reviewed) AS verdict FROM reviews GROUP BY asset
) AS v ON v.asset = a.sha256;
