-- One row per ticket: of an incident, in one opening of it (incidents.reopened), in one tracker. opening follows when the
-- same ticket is reopened. status is what we know (asked, open, resolved, left, gone), wanted what the last letter asks
-- for (open, resolved). told is the number of the last event of the incident's chain that was told; ref is the tracker's
-- identifier that never changes, empty until there is one.
CREATE TABLE tickets (
    id TEXT NOT NULL PRIMARY KEY,
    incident_id TEXT NOT NULL,
    opening INTEGER NOT NULL,
    tracker TEXT NOT NULL,
    correlation TEXT NOT NULL,
    status TEXT NOT NULL,
    wanted TEXT NOT NULL,
    severity TEXT NOT NULL,
    told BIGINT NOT NULL,
    previous TEXT,
    ref TEXT NOT NULL,
    number TEXT NOT NULL,
    url TEXT NOT NULL,
    raw_state TEXT NOT NULL,
    assignee TEXT NOT NULL,
    kind TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    resolved_at DOUBLE PRECISION,
    synced_at DOUBLE PRECISION
);
-- The database itself keeps "one ticket per opening and tracker", whoever races.
CREATE UNIQUE INDEX tickets_once ON tickets (incident_id, tracker, opening);
CREATE INDEX tickets_by_status ON tickets (status, changed_at);
