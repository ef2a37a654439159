INSERT OR REPLACE INTO runs BY NAME
SELECT
    id,
    campaign,
    title,
    state,
    started,
    nullif(finished, '')::TIMESTAMP AS finished,
    parameters
FROM told;
