-- An input is ["node", key, port] or ["file", sha256].
INSERT OR REPLACE INTO lineage BY NAME
SELECT
    key AS child,
    input.value[2] AS parent,
    input.key AS role,
    coalesce(input.value[3], '') AS port,
    coalesce(paths[input.key], '') AS path
FROM (SELECT key, paths, unnest(map_entries(recipe.inputs)) AS input FROM batch);
