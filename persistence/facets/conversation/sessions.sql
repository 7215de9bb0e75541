-- name: sessions.create
INSERT INTO sessions (session, session_id, runtime, revision, head, message_count, digest)
VALUES (:session, :session_id, :runtime, 0, NULL, 0, :digest);

-- name: sessions.by_id
SELECT session FROM sessions WHERE session_id = :session_id;

-- name: sessions.load
SELECT session, session_id, runtime, revision, head, message_count, digest FROM sessions WHERE session = :session;

-- name: sessions.update
UPDATE sessions SET revision = :revision, head = :head, message_count = :message_count, digest = :digest
WHERE session = :session;

-- name: sessions.id_of_runtime
SELECT s.session_id, s.runtime, r.runtime FROM sessions s JOIN runtimes r ON r.session = s.session
WHERE r.runtime_id = :runtime_id;

-- name: sessions.of_runtime
SELECT s.session, s.head, s.message_count, s.runtime, r.runtime FROM sessions s JOIN runtimes r ON r.session = s.session
WHERE r.runtime_id = :runtime_id;

-- name: sessions.insert_node
INSERT INTO nodes (node, session, parent, position, digest, run, boundary, created_at, payload)
VALUES (:key, :session, :parent, :position, :digest, :run, :boundary, :now, :payload);

-- name: sessions.path
-- The active path, walked from a node to the root. Positions fall on the way: damage that made a circle ends the walk.
WITH RECURSIVE path (node, parent, position) AS (
    SELECT node, parent, position FROM nodes WHERE node = :head
    UNION ALL
    SELECT n.node, n.parent, n.position FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
)
SELECT n.payload, n.digest, n.scheme FROM path p JOIN nodes n ON n.node = p.node ORDER BY p.position;

-- name: sessions.path_page
-- A part of the active path, walked from its head to the node before it, which is there for its digest.
WITH RECURSIVE path (node, parent, position) AS (
    SELECT node, parent, position FROM nodes WHERE node = :head
    UNION ALL
    SELECT n.node, n.parent, n.position FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
    WHERE p.position > :after
)
SELECT n.node, n.position, n.digest, n.scheme, n.node_id, n.created_at, u.run_id,
       CASE WHEN n.position > :after THEN n.payload END
FROM path p JOIN nodes n ON n.node = p.node LEFT JOIN runs u ON u.run = n.run
WHERE p.position BETWEEN :after AND :until ORDER BY p.position;

-- name: sessions.appended_by_run
-- With the digest that each was chained to: None where it is the first, or the one before it was let go.
SELECT n.boundary, n.payload, n.digest, n.scheme, n.parent, p.digest
FROM nodes n LEFT JOIN nodes p ON p.node = n.parent WHERE n.run = :run ORDER BY n.node;
