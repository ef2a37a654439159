INSERT OR REPLACE INTO nodes BY NAME
SELECT
    r.key,
    r.place.stage AS stage,
    r.place.shot AS shot,
    r.place.aspect AS aspect,
    r.place.delivery AS delivery,
    r.recipe.version AS version,
    r.recipe.params AS parameters,
    r.recipe.model AS model,
    r.recipe.pixels AS pixels,
    r.notes,
    r.run,
    r.started,
    r.seconds,
    r.facts,
    r.held
FROM batch;
