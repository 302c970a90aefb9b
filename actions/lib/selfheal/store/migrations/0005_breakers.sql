-- Circuit breakers: what is known of each, who probes it now, and why it changed.

DROP TABLE circuit_breakers;
CREATE TABLE circuit_breakers (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX circuit_breakers_by_name ON circuit_breakers (name);

CREATE TABLE breaker_changes (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    numbers TEXT NOT NULL,
    changed_by TEXT NOT NULL
);
CREATE INDEX breaker_changes_by_key ON breaker_changes (key, id);
CREATE INDEX breaker_changes_by_time ON breaker_changes (at);
