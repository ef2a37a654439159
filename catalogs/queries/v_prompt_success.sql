-- Prompt templates, best first: shots that came out whole, and what people said of their assets.
-- `score` is the share approved as far as so few verdicts prove it: the lower end of Wilson's
-- interval at 95 % (J. Am. Stat. Assoc. 22, 1927), so that 1 of 1 does not outrank 95 of 100.
CREATE OR REPLACE VIEW v_prompt_success AS
WITH shots AS (
    SELECT DISTINCT run, shot, template, language FROM prompts
),
ends AS (
    SELECT run, shot, bool_or(state IN ('failed', 'skipped')) AS failed
    FROM executions
    GROUP BY run, shot
    HAVING bool_and(state <> 'planned')
),
outcomes AS (
    SELECT
        template,
        language,
        count(*) AS shots,
        count(*) FILTER (failed) AS failed,
        avg(if(failed, 0, 1)) AS success
    FROM shots JOIN ends USING (run, shot)
    GROUP BY template, language
),
latest AS (
    SELECT asset, arg_max(verdict, reviewed) AS verdict FROM reviews GROUP BY asset
),
verdicts AS (
    SELECT
        template,
        language,
        count(*) FILTER (verdict = 'approved') AS approved,
        count(*) FILTER (verdict = 'rejected') AS rejected,
        count(*) FILTER (verdict = 'reseeded') AS reseeded,
        count(*) AS judged
    FROM latest
    JOIN assets AS a ON a.sha256 = latest.asset
    JOIN nodes AS n ON n.key = a.node
    JOIN shots ON shots.run = n.run AND shots.shot = n.shot
    GROUP BY template, language
),
scored AS (
    SELECT
        template,
        language,
        coalesce(shots, 0) AS shots,
        coalesce(failed, 0) AS failed,
        success,
        coalesce(approved, 0) AS approved,
        coalesce(rejected, 0) AS rejected,
        coalesce(reseeded, 0) AS reseeded,
        (approved + 1.92 - 1.96 * sqrt(approved * (judged - approved) / judged + 0.96))
            / (judged + 3.84) AS score
    FROM outcomes FULL JOIN verdicts USING (template, language)
)
SELECT
    rank() OVER (ORDER BY score DESC NULLS LAST, success DESC NULLS LAST) AS rank,
    *
FROM scored
ORDER BY rank, template, language;
