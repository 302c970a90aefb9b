-- What was found when somebody looked closely: one row per look, kept with its incident. incident_id is empty for a look
-- that a person asked for without one. facts: one line each, for people; content: all that was gathered, secrets hidden.
CREATE TABLE diagnoses (
    id TEXT NOT NULL PRIMARY KEY,
    incident_id TEXT,
    at DOUBLE PRECISION NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    facts TEXT NOT NULL,
    missing TEXT NOT NULL,
    hidden TEXT NOT NULL,
    content TEXT NOT NULL,
    took_s DOUBLE PRECISION NOT NULL
);
CREATE INDEX diagnoses_by_incident ON diagnoses (incident_id, at);
CREATE INDEX diagnoses_by_subject ON diagnoses (subject, at);
CREATE INDEX diagnoses_by_time ON diagnoses (at);
