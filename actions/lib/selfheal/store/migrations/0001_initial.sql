-- One dialect for SQLite and PostgreSQL. Times are seconds since the epoch, UTC. JSON is ASCII text: any character that
-- came from outside, NUL and lone surrogates included, survives in both databases.

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    group_key TEXT NOT NULL,
    source TEXT NOT NULL,
    alert_type TEXT NOT NULL,
    title TEXT NOT NULL,
    severity TEXT NOT NULL,
    status TEXT NOT NULL,
    response_level TEXT NOT NULL,
    dry_run SMALLINT NOT NULL,
    cluster TEXT,
    namespace TEXT,
    workload TEXT,
    instance TEXT,
    service TEXT,
    signal TEXT NOT NULL,
    analysis TEXT,
    plan TEXT,
    strategy TEXT,
    reasons TEXT,
    resolution TEXT,
    run_id TEXT,
    attempts INTEGER NOT NULL,
    reopened INTEGER NOT NULL,
    alert_count INTEGER NOT NULL,
    opened_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    last_seen_at DOUBLE PRECISION NOT NULL,
    dispatched_at DOUBLE PRECISION,
    cleared_at DOUBLE PRECISION,
    resolved_at DOUBLE PRECISION
);
-- The database itself keeps "one open incident per cause", whoever races.
CREATE UNIQUE INDEX incidents_one_open_per_cause ON incidents (group_key) WHERE status <> 'resolved';
CREATE INDEX incidents_by_cause ON incidents (group_key, resolved_at);
CREATE INDEX incidents_by_status ON incidents (status, updated_at);
CREATE INDEX incidents_by_opening ON incidents (opened_at);
CREATE INDEX incidents_by_run ON incidents (run_id);
-- Who waits for a response, worst and oldest first, without reading the thousands of others of a storm.
CREATE INDEX incidents_by_turn ON incidents (status, dispatched_at, cleared_at, severity, opened_at, id);

CREATE TABLE alerts (
    fingerprint TEXT NOT NULL,
    starts_at TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    status TEXT NOT NULL,
    severity TEXT NOT NULL,
    source TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    generator_url TEXT NOT NULL,
    ends_at TEXT,
    first_seen_at DOUBLE PRECISION NOT NULL,
    last_seen_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (fingerprint, starts_at)
);
CREATE INDEX alerts_by_incident ON alerts (incident_id, status);
CREATE INDEX alerts_by_status ON alerts (status, source);

CREATE TABLE incident_events (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    data TEXT,
    run_id TEXT,
    dedupe_key TEXT
);
CREATE INDEX incident_events_in_order ON incident_events (incident_id, id);
CREATE UNIQUE INDEX incident_events_once ON incident_events (incident_id, dedupe_key);

CREATE TABLE rejected_signals (
    id TEXT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    sample TEXT NOT NULL
);
CREATE INDEX rejected_signals_by_time ON rejected_signals (at);

CREATE TABLE execution_history (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL,
    run_id TEXT,
    remedy TEXT NOT NULL,
    risk TEXT NOT NULL,
    dry_run SMALLINT NOT NULL,
    status TEXT NOT NULL,
    plan TEXT NOT NULL,
    outcome TEXT,
    verified SMALLINT,
    started_at DOUBLE PRECISION NOT NULL,
    finished_at DOUBLE PRECISION
);
CREATE INDEX execution_history_by_incident ON execution_history (incident_id, started_at);
CREATE INDEX execution_history_by_status ON execution_history (status, incident_id);
CREATE INDEX execution_history_by_time ON execution_history (started_at);

CREATE TABLE undo_log (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    step TEXT NOT NULL,
    action TEXT NOT NULL,
    before_state TEXT,
    status TEXT NOT NULL,
    outcome TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX undo_log_by_incident ON undo_log (incident_id, status);

CREATE TABLE locks (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    acquired_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL,
    run_id TEXT,
    inquiry_id TEXT,
    plan_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    decided_by TEXT,
    requested_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    decided_at DOUBLE PRECISION
);
CREATE INDEX approvals_by_status ON approvals (status, expires_at);
CREATE INDEX approvals_by_incident ON approvals (incident_id, requested_at);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    incident_id TEXT,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    dedupe_key TEXT NOT NULL UNIQUE,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    next_attempt_at DOUBLE PRECISION NOT NULL,
    sent_at DOUBLE PRECISION
);
CREATE INDEX outbox_by_incident ON outbox (incident_id, created_at);
CREATE INDEX outbox_due ON outbox (status, next_attempt_at);

CREATE TABLE circuit_breakers (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    calls TEXT NOT NULL,
    opened_at DOUBLE PRECISION,
    retry_at DOUBLE PRECISION,
    openings INTEGER NOT NULL,
    probes INTEGER NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE budgets (
    name TEXT NOT NULL,
    period_start DOUBLE PRECISION NOT NULL,
    period_s DOUBLE PRECISION NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (name, period_start, period_s)
);

CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE system_status (
    component TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    detail TEXT,
    since DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE error_patterns (
    fingerprint TEXT PRIMARY KEY,
    template TEXT NOT NULL,
    error_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    merged_into TEXT,
    occurrences BIGINT NOT NULL,
    first_seen_at DOUBLE PRECISION NOT NULL,
    last_seen_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE error_logs (
    document_id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    scope TEXT NOT NULL,
    logged_at DOUBLE PRECISION NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL,
    error_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    host TEXT,
    program TEXT,
    message TEXT NOT NULL,
    detail TEXT,
    incident_id TEXT
);
CREATE INDEX error_logs_by_pattern ON error_logs (fingerprint, scope, logged_at);
CREATE INDEX error_logs_by_time ON error_logs (logged_at);

CREATE TABLE solutions (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    scope TEXT NOT NULL,
    source TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT NOT NULL,
    successes INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    last_used_at DOUBLE PRECISION,
    last_success_at DOUBLE PRECISION,
    last_failure_at DOUBLE PRECISION
);
CREATE INDEX solutions_by_pattern ON solutions (fingerprint, scope);
