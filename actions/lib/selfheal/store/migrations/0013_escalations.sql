-- Messages that call somebody: which rungs of the ladder were told, until somebody acknowledges or all is over. id: the
-- outbox id of the first letter; about: its key. payload: the message as it was told first. told: numbers of rungs, JSON.
CREATE TABLE escalations (
    id TEXT NOT NULL PRIMARY KEY,
    incident_id TEXT NOT NULL,
    about TEXT NOT NULL,
    payload TEXT NOT NULL,
    began_at DOUBLE PRECISION NOT NULL,
    told TEXT NOT NULL,
    acknowledged_at DOUBLE PRECISION,
    acknowledged_by TEXT,
    ended_at DOUBLE PRECISION
);
CREATE INDEX escalations_by_incident ON escalations (incident_id);
CREATE INDEX escalations_living ON escalations (began_at) WHERE ended_at IS NULL;

-- The incidents that a message covers, as they were opened then.
CREATE TABLE escalation_members (
    escalation_id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    opening INTEGER NOT NULL,
    PRIMARY KEY (escalation_id, incident_id, opening)
);
CREATE INDEX escalation_members_by_incident ON escalation_members (incident_id);

-- The letters by which a channel was told; number 0 is the first of its channel, which others follow in its thread. rung:
-- of the ladder, NULL for what only follows.
CREATE TABLE escalation_letters (
    escalation_id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    number INTEGER NOT NULL,
    rung INTEGER,
    outbox_id TEXT NOT NULL,
    PRIMARY KEY (escalation_id, channel, number)
);
CREATE INDEX escalation_letters_by_incident ON escalation_letters (incident_id);
