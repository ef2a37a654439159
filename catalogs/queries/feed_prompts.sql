INSERT OR REPLACE INTO prompts BY NAME
SELECT
    run,
    shot,
    prompt.key AS port,
    prompt.value AS text,
    told ->> '$.template' AS template,
    told ->> '$.language' AS language,
    told ->> '$.seed' AS seed
FROM (
    SELECT
        run,
        item.key AS shot,
        item.value AS told,
        unnest(map_entries(from_json(item.value -> '$.texts', '"MAP(VARCHAR, VARCHAR)"'))) AS prompt
    FROM (SELECT id AS run, unnest(map_entries(shots)) AS item FROM told)
);
