-- How each template fares: shots that came out whole, and what people said of their assets.
CREATE OR REPLACE VIEW v_prompt_success AS
WITH shots AS (
    SELECT DISTINCT run, shot, template, language FROM prompts
),
outcomes AS (
    SELECT run, shot, bool_or(state IN ('failed', 'skipped')) AS failed
    FROM executions
    GROUP BY run, shot
    HAVING bool_and(state <> 'planned')
),
verdicts AS (
    SELECT
        n.run,
        n.shot,
        count(*) FILTER (v.verdict = 'approved') AS approved,
        count(*) FILTER (v.verdict = 'rejected') AS rejected
    FROM reviews AS v
    JOIN assets AS a ON a.sha256 = v.asset
    JOIN nodes AS n ON n.key = a.node
    GROUP BY n.run, n.shot
)
SELECT
    template,
    language,
    count(*) AS shots,
    count(*) FILTER (failed) AS failed,
    avg(if(failed, 0, 1)) AS success,
    coalesce(sum(approved), 0) AS approved,
    coalesce(sum(rejected), 0) AS rejected
FROM shots
JOIN outcomes USING (run, shot)
LEFT JOIN verdicts USING (run, shot)
GROUP BY ALL
ORDER BY ALL;
