INSERT OR REPLACE INTO campaigns BY NAME
SELECT
    campaign AS name,
    arg_max(title, started) AS title,
    count(*) AS runs,
    min(started) AS first_run,
    max(started) AS last_run
FROM runs
WHERE campaign = (SELECT campaign FROM told)
GROUP BY campaign;
