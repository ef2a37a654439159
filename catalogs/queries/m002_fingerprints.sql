-- What finished files look like, so that a copy is found again when its metadata is gone.

CREATE TABLE fingerprints (
    node     VARCHAR,
    port     VARCHAR,
    position INTEGER,                -- of the frame, from 1; a still has one
    hash     BIGINT,                 -- 64 bits: two copies differ by few of them
    PRIMARY KEY (node, port, position)
);
