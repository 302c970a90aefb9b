-- Error documents, their patterns and groups. The error tables of 0001 were never written; they are made anew.

DROP TABLE error_logs;
DROP TABLE error_patterns;

-- One row per document that the search found, whatever could be made of it. The key is the document's own identity, so a
-- document that is seen again, by this sensor or another, changes nothing.
CREATE TABLE error_logs (
    document_id TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    group_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    logged_at DOUBLE PRECISION NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL,
    error_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    host TEXT NOT NULL,
    program TEXT NOT NULL,
    message TEXT NOT NULL,
    detail TEXT NOT NULL
);
-- There is no index on the fingerprint: a pattern's documents are found through its groups.
CREATE INDEX error_logs_by_group ON error_logs (group_key, logged_at);
CREATE INDEX error_logs_by_time ON error_logs (logged_at);

-- A pattern is what a fingerprint stands for. merged_into names the pattern whose errors count together with its own (one
-- step at most: that one is not merged itself), merged_by the execution that said so; a fingerprint itself never changes.
-- occurrences are its own. sample, error_type, severity and rule are those of its latest document.
CREATE TABLE error_patterns (
    fingerprint TEXT PRIMARY KEY,
    template TEXT NOT NULL,
    sample TEXT NOT NULL,
    error_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    rule TEXT NOT NULL,
    merged_into TEXT,
    merged_at DOUBLE PRECISION,
    merged_by TEXT,
    announced_at DOUBLE PRECISION,
    occurrences BIGINT NOT NULL,
    first_seen_at DOUBLE PRECISION NOT NULL,
    last_seen_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX error_patterns_by_merge ON error_patterns (merged_into);
CREATE INDEX error_patterns_by_time ON error_patterns (last_seen_at);

-- A group is a pattern in one scope (a workload, a program on a host): what the threshold counts, and what becomes an
-- incident. pending_from: the earliest document that the threshold was not asked about yet, null when there is none.
-- alerting_since: the start of the signal that is firing for the group, null while none is. Documents logged before
-- fresh_from have had their incident and count towards no other. alerts: how many in a row without a quiet day between;
-- notes: how often the timeline was told that it goes on. next_alert_at: not before that, next_spike_at likewise.
CREATE TABLE error_groups (
    group_key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    scope TEXT NOT NULL,
    cluster TEXT,
    namespace TEXT,
    workload TEXT,
    host TEXT,
    program TEXT,
    origin TEXT NOT NULL,
    error_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    occurrences BIGINT NOT NULL,
    first_logged_at DOUBLE PRECISION NOT NULL,
    last_logged_at DOUBLE PRECISION NOT NULL,
    pending_from DOUBLE PRECISION,
    alerting_since TEXT,
    fresh_from DOUBLE PRECISION,
    alerts INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    next_alert_at DOUBLE PRECISION,
    next_spike_at DOUBLE PRECISION,
    incident_id TEXT,
    updated_at DOUBLE PRECISION NOT NULL
);
-- What the threshold has still to be asked of, and what is alerting: both few, however many groups there are. Every batch
-- updates its groups, so they have no index that is not needed by each poll; a sweep of old ones may read them all.
CREATE INDEX error_groups_pending ON error_groups (group_key) WHERE pending_from IS NOT NULL;
CREATE INDEX error_groups_alerting ON error_groups (group_key) WHERE alerting_since IS NOT NULL;
CREATE INDEX error_groups_by_pattern ON error_groups (fingerprint);
CREATE INDEX error_groups_by_incident ON error_groups (incident_id);

-- How many errors of a group each minute had: rates against their own past, and storms, whose documents are counted by
-- the search and not stored one by one. A minute is written as whole minutes since the epoch (logged_at / 60, rounded
-- down). The sum of stored and counted is the number of documents there were.
CREATE TABLE error_counts (
    group_key TEXT NOT NULL,
    minute BIGINT NOT NULL,
    stored INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    PRIMARY KEY (group_key, minute)
);
CREATE INDEX error_counts_by_time ON error_counts (minute);

-- Minutes of an origin that were counted by aggregation, and what the search said of each bucket of them. No document of
-- such a minute and origin is stored one by one from then on.
CREATE TABLE storm_minutes (
    origin TEXT NOT NULL,
    minute BIGINT NOT NULL,
    bucket TEXT NOT NULL,
    documents BIGINT NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (origin, minute, bucket)
);
CREATE INDEX storm_minutes_by_time ON storm_minutes (minute);

CREATE TABLE statistics (
    at DOUBLE PRECISION PRIMARY KEY,
    figures TEXT NOT NULL
);
