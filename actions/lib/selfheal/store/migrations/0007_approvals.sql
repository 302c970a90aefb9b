-- What was shown to the person who is asked, who answered and what they said, the execution that used the answer up, and
-- whether the workflow that asked has been told. A question is used at most once: approved, then used.

ALTER TABLE approvals ADD COLUMN shown TEXT;
ALTER TABLE approvals ADD COLUMN comment TEXT;
ALTER TABLE approvals ADD COLUMN used_by TEXT;
ALTER TABLE approvals ADD COLUMN used_at DOUBLE PRECISION;
ALTER TABLE approvals ADD COLUMN told_at DOUBLE PRECISION;

-- Until now decided_by said of an expired question that its workflow had been told; of all others the workflow itself did.
UPDATE approvals SET told_at = decided_at WHERE status <> 'pending' AND (status <> 'expired' OR decided_by IS NOT NULL);
CREATE INDEX approvals_untold ON approvals (status) WHERE told_at IS NULL AND inquiry_id IS NOT NULL;
