-- Restart counts of containers as the Kubernetes sensor saw them: a row for each count that it saw first. The container
-- came to `restarts` at some time after before_at and was seen there at seen_at (epoch seconds); its first row is where the
-- counting begins, so only the differences between rows are restarts that happened while somebody looked.
CREATE TABLE kubernetes_restarts (
    target TEXT NOT NULL,
    pod_uid TEXT NOT NULL,
    container TEXT NOT NULL,
    restarts BIGINT NOT NULL,
    before_at DOUBLE PRECISION NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (target, pod_uid, container, restarts)
);
