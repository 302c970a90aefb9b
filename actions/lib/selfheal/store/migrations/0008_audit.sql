-- The chain of what happened. Each event carries its number among the events of its incident and a hash over the one
-- before and itself. What is from before the chain has neither.

ALTER TABLE incident_events ADD COLUMN link BIGINT;
ALTER TABLE incident_events ADD COLUMN hash TEXT;
CREATE INDEX incident_events_by_link ON incident_events (incident_id, link);
-- Most events have no key: an index without them costs their writers nothing.
DROP INDEX incident_events_once;
CREATE UNIQUE INDEX incident_events_once ON incident_events (incident_id, dedupe_key) WHERE dedupe_key IS NOT NULL;

-- The last link of each incident's chain. sealed: the links when it was sealed last, -1 for never. old_events and
-- old_executions: how many the incident had before the chain. They are part of what its first link is hashed with.
CREATE TABLE audit_heads (
    incident_id TEXT NOT NULL PRIMARY KEY,
    links BIGINT NOT NULL,
    hash TEXT NOT NULL,
    sealed BIGINT NOT NULL,
    old_events BIGINT NOT NULL,
    old_executions BIGINT NOT NULL
);
CREATE INDEX audit_heads_to_seal ON audit_heads (incident_id) WHERE links <> sealed;
INSERT INTO audit_heads (incident_id, links, hash, sealed, old_events, old_executions)
SELECT incident_id, 0, 'before:' || SUM(events) || ':' || SUM(executions), -1, SUM(events), SUM(executions)
FROM (
    SELECT incident_id, COUNT(*) AS events, 0 AS executions FROM incident_events GROUP BY incident_id
    UNION ALL
    SELECT incident_id, 0 AS events, COUNT(*) AS executions FROM execution_history GROUP BY incident_id
) counted GROUP BY incident_id;

-- Heads as they were, in one chain over all incidents. kind: head; removed (retention deletes the incident's events up to
-- links); dropped (retention deleted the seals up to the one numbered links, whose hash is head).
CREATE TABLE audit_seals (
    seq BIGINT NOT NULL PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    incident_id TEXT NOT NULL,
    links BIGINT NOT NULL,
    head TEXT NOT NULL,
    kind TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_seals_by_incident ON audit_seals (incident_id, seq);
