-- Each size that something to look at has.
SELECT DISTINCT width, height
FROM assets
WHERE width > 0 AND height > 0
ORDER BY ALL
LIMIT 2000;
