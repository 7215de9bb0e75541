-- name: snapshots.session_by_id
SELECT session, session_id, runtime, revision, head, message_count, digest FROM sessions WHERE session_id = :session_id;

-- name: snapshots.bind_session
UPDATE sessions SET runtime = :runtime WHERE session = :session;

-- name: snapshots.load
SELECT rewrites, meta, digest, scheme FROM session_snapshots WHERE session = :session;

-- name: snapshots.save
INSERT INTO session_snapshots (session, rewrites, meta, digest) VALUES (:session, :rewrites, :meta, :digest)
ON CONFLICT (session) DO UPDATE
SET rewrites = excluded.rewrites, meta = excluded.meta, digest = excluded.digest, scheme = excluded.scheme;

-- name: snapshots.drop
DELETE FROM session_snapshots WHERE session = :session;

-- name: snapshots.path_back
-- The active path from its head down to the node after `count` messages: no further than the answer is in.
WITH RECURSIVE path (node, parent, position, digest) AS (
    SELECT node, parent, position, digest FROM nodes WHERE node = :head
    UNION ALL
    SELECT n.node, n.parent, n.position, n.digest FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
    WHERE p.position > :count
)
SELECT node, position, digest FROM path ORDER BY position DESC;

-- name: snapshots.tombstone
-- What a path leaves when it branches off after `count` messages; not what another branch needs.
UPDATE nodes SET tombstoned_at = :now WHERE node IN (
    WITH RECURSIVE path (node, parent, position) AS (
        SELECT node, parent, position FROM nodes WHERE node = :head
        UNION ALL
        SELECT n.node, n.parent, n.position FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
        WHERE p.position > :count
    ), kept (node, parent, position) AS (
        SELECT n.node, n.parent, n.position FROM branches b JOIN nodes n ON n.node = b.node WHERE b.session = :session
        UNION
        SELECT n.node, n.parent, n.position FROM kept k JOIN nodes n ON n.node = k.parent AND n.position < k.position
        WHERE k.position > :count
    )
    SELECT p.node FROM path p LEFT JOIN kept k ON k.node = p.node WHERE p.position > :count AND k.node IS NULL
);

-- name: snapshots.of_runtime
SELECT s.session, s.session_id, s.head, s.message_count, s.digest, n.session, n.rewrites, n.meta, n.digest, n.scheme,
       s.runtime, r.runtime
FROM runtimes r JOIN sessions s ON s.session = r.session LEFT JOIN session_snapshots n ON n.session = s.session
WHERE r.runtime_id = :runtime_id;

-- name: snapshots.quarantine
INSERT INTO quarantines (runtime, since) VALUES (:runtime, :now) ON CONFLICT (runtime) DO UPDATE SET since = excluded.since;

-- name: snapshots.lift_quarantine
DELETE FROM quarantines WHERE runtime = :runtime;

-- name: snapshots.is_quarantined
SELECT 1 FROM quarantines q JOIN runtimes r ON r.runtime = q.runtime WHERE r.runtime_id = :runtime_id;
