-- One row per remedy that began and per budget it was charged to, so that any hour and any day can be counted exactly.
-- The name says what of (target, namespace, cluster, remedy, global, cause, group) and holds a hash of which.

DROP TABLE budgets;
CREATE TABLE budgets (
    name TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name, execution_id)
);
CREATE INDEX budgets_by_time ON budgets (name, at);
-- Incidents that came back, for counting a storm.
CREATE INDEX incident_events_reopened ON incident_events (at) WHERE kind = 'reopened';
