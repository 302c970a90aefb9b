-- What a person has stopped, until when, and why. `scope` is JSON ([kind, cluster, name] in lower case), so that two
-- different scopes never share a key; `words` is the scope as people write it. until: null means until it is resumed.

CREATE TABLE pauses (
    scope TEXT PRIMARY KEY,
    words TEXT NOT NULL,
    paused_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    since DOUBLE PRECISION NOT NULL,
    until DOUBLE PRECISION,
    stops_running SMALLINT NOT NULL
);

-- Who paused and resumed what, and why: pauses hold only what is so now.
CREATE TABLE pause_changes (
    id TEXT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    change TEXT NOT NULL,
    words TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    until DOUBLE PRECISION
);
CREATE INDEX pause_changes_by_time ON pause_changes (at);
