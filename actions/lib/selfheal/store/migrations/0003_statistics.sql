-- How many documents were taken in per minute of seeing them: a few rows an hour, so that figures cost nothing however
-- many documents there are, and outlive them.

CREATE TABLE error_intake (
    origin TEXT NOT NULL,
    minute BIGINT NOT NULL,
    documents BIGINT NOT NULL,
    unreadable BIGINT NOT NULL,
    new_patterns BIGINT NOT NULL,
    PRIMARY KEY (origin, minute)
);
CREATE INDEX error_intake_by_time ON error_intake (minute);

-- What happened in the last minutes or hours, over all incidents.
CREATE INDEX incident_events_by_time ON incident_events (at, kind);
