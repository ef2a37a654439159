-- $1: fingerprints of a stranger's frames; $2: bits by which the best pair may differ; $3: whether
-- the stranger is a clip, which only clips are copied to; a still may be a frame of one.
-- The nearest file first: by the mean, over its frames, of the bits to the most alike of the
-- stranger's.
SELECT node, port, min(bits) AS best, avg(bits) AS mean
FROM (
    SELECT f.node, f.port, f.position, min(bit_count(xor(f.hash, s.hash))) AS bits
    FROM fingerprints AS f
    JOIN assets AS a ON a.node = f.node AND a.port = f.port AND (a.kind = 'clip' OR NOT $3),
        (SELECT unnest(CAST($1 AS BIGINT[])) AS hash) AS s
    GROUP BY ALL
)
GROUP BY ALL
HAVING best <= $2
ORDER BY mean, best, node, port
LIMIT 5;
