-- The tables of the catalog. Every row can be made again from node records, run.json files and
-- reviews, so nothing here is the only copy of anything. Times are UTC.

CREATE TABLE campaigns (
    name      VARCHAR PRIMARY KEY,
    title     JSON,                  -- {"zh": ..., "en": ...}, of the latest run
    runs      BIGINT,
    first_run TIMESTAMP,
    last_run  TIMESTAMP
);

CREATE TABLE runs (
    id         VARCHAR PRIMARY KEY,
    campaign   VARCHAR,
    title      JSON,
    state      VARCHAR,              -- running, done, failed, interrupted
    started    TIMESTAMP,
    finished   TIMESTAMP,
    parameters JSON                  -- campaign file and its hash, seed, first day, profile
);

CREATE TABLE nodes (
    key        VARCHAR PRIMARY KEY,
    stage      VARCHAR,
    shot       VARCHAR,              -- where the node stood when it was first made
    aspect     VARCHAR,
    delivery   VARCHAR,
    version    INTEGER,              -- of the stage's code
    parameters JSON,                 -- what decided the pixels
    model      VARCHAR,              -- fingerprint of the weight files, '' for none
    pixels     JSON,                 -- dtype, quantisation, attention, device kind
    notes      JSON,                 -- model id, delivery id, template: not part of the key
    run        VARCHAR,              -- the run that made it
    started    TIMESTAMP,
    seconds    DOUBLE,
    facts      JSON,                 -- device, peak_bytes, load_seconds, versions, fallbacks
    held       BOOLEAN               -- false: `keyreel gc` took the files, the recipe remains
);

CREATE TABLE assets (
    node    VARCHAR,
    port    VARCHAR,
    sha256  VARCHAR,
    kind    VARCHAR,                 -- image, clip, overlay, cover, text
    uri     VARCHAR,                 -- relative to the store
    bytes   BIGINT,
    width   INTEGER,
    height  INTEGER,
    fps     DOUBLE,
    frames  INTEGER,
    seconds DOUBLE,
    mime    VARCHAR,
    PRIMARY KEY (node, port)
);

CREATE TABLE lineage (
    child  VARCHAR,                  -- key of the node
    parent VARCHAR,                  -- key of the node before it, or SHA-256 of the user's file
    role   VARCHAR,                  -- the child's input port
    port   VARCHAR,                  -- the parent's output port, '' for a file
    path   VARCHAR,                  -- relative to the home, '' for a node
    PRIMARY KEY (child, role)
);

CREATE TABLE executions (
    run          VARCHAR,
    stage        VARCHAR,
    shot         VARCHAR,
    aspect       VARCHAR,
    delivery     VARCHAR,
    node         VARCHAR,
    state        VARCHAR,            -- planned, made, cached, failed, skipped
    started      TIMESTAMP,
    seconds      DOUBLE,
    device       VARCHAR,            -- the last five only where this run made the node
    peak_bytes   BIGINT,
    load_seconds DOUBLE,
    versions     JSON,
    fallbacks    JSON,
    error        VARCHAR,
    PRIMARY KEY (run, stage, shot, aspect, delivery)
);

CREATE TABLE prompts (
    run      VARCHAR,
    shot     VARCHAR,
    port     VARCHAR,                -- picture, motion, ...
    text     VARCHAR,
    template VARCHAR,
    language VARCHAR,
    seed     VARCHAR,                -- up to 2**63: wider than a double holds
    PRIMARY KEY (run, shot, port)
);

CREATE TABLE reviews (
    id      VARCHAR PRIMARY KEY,
    asset   VARCHAR,                 -- SHA-256
    verdict VARCHAR,                 -- approved, rejected
    reviewer VARCHAR,
    reviewed TIMESTAMP,
    note    VARCHAR
);

CREATE TABLE deliveries (
    run      VARCHAR,
    shot     VARCHAR,
    delivery VARCHAR,
    node     VARCHAR,                -- the last node of the delivery: its outputs are the files
    PRIMARY KEY (run, shot, delivery)
);
