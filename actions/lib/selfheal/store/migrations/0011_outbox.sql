-- Letters: what is to be written to another system. Those of one queue go one after the other, by queue_number. A letter is
-- under way while claimed_by is set and next_attempt_at lies ahead. in_doubt: an attempt was begun of which nobody knows
-- what came. failing_since: when the first of the attempts failed that have failed since. answer: what the other system said.
ALTER TABLE outbox ADD COLUMN urgent INTEGER NOT NULL DEFAULT 1;
ALTER TABLE outbox ADD COLUMN queue TEXT;
ALTER TABLE outbox ADD COLUMN queue_number BIGINT;
ALTER TABLE outbox ADD COLUMN is_base INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN not_before DOUBLE PRECISION;
ALTER TABLE outbox ADD COLUMN claimed_by TEXT;
ALTER TABLE outbox ADD COLUMN in_doubt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN failing_since DOUBLE PRECISION;
ALTER TABLE outbox ADD COLUMN answer TEXT;
ALTER TABLE outbox ADD COLUMN ended_at DOUBLE PRECISION;
ALTER TABLE outbox ADD COLUMN note TEXT;
UPDATE outbox SET urgent = 0 WHERE kind = 'ticket';
CREATE INDEX outbox_by_channel ON outbox (channel, status, next_attempt_at);
CREATE INDEX outbox_by_queue ON outbox (queue, queue_number) WHERE status IN ('pending', 'dead');

-- The last number given to a letter of a queue.
CREATE TABLE outbox_numbers (
    name TEXT NOT NULL PRIMARY KEY,
    last_number BIGINT NOT NULL
);
INSERT INTO outbox_numbers (name, last_number) VALUES ('queue', 0);

-- When letters of a channel that has a limit were carried; kept for a minute. Under the claim "rest": until when the other
-- system wants to be left alone.
CREATE TABLE outbox_pace (
    channel TEXT NOT NULL,
    claim TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (channel, claim)
);
