-- Silences that selfheal asked Alertmanager for: one row for each that is wanted, however often it is written or made
-- longer. id stands in the silence's comment, by which it is found again; silence_id is Alertmanager's, once it is known.
-- purpose: fix (while a remedy runs) or hand (a person asked). status: asked, active, ending, ended, refused. matchers:
-- as people write them, in a fixed order.
CREATE TABLE silences (
    id TEXT NOT NULL PRIMARY KEY,
    incident_id TEXT,
    target TEXT NOT NULL,
    matchers TEXT NOT NULL,
    purpose TEXT NOT NULL,
    status TEXT NOT NULL,
    created_by TEXT NOT NULL,
    comment TEXT NOT NULL,
    silence_id TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    ends_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX silences_by_incident ON silences (incident_id, status);
CREATE INDEX silences_by_status ON silences (status, ends_at);
