INSERT OR REPLACE INTO nodes BY NAME
SELECT
    key,
    place.*,
    recipe.version,
    recipe.params AS parameters,
    recipe.model,
    recipe.pixels,
    notes,
    run,
    started,
    seconds,
    facts,
    held
FROM batch;
