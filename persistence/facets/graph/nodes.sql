-- name: nodes.session
SELECT s.session, s.runtime, r.runtime_id FROM sessions s LEFT JOIN runtimes r ON r.runtime = s.runtime
WHERE s.session_id = :session_id;

-- name: nodes.by_id
SELECT node, session, parent, position, digest, tombstoned_at FROM nodes WHERE session = :session AND node_id = :node_id;

-- name: nodes.by_key
-- A message of a runtime, which has no id.
SELECT node, session, parent, position, digest, tombstoned_at FROM nodes
WHERE node = :node AND session = :session AND node_id IS NULL;

-- name: nodes.insert
INSERT INTO nodes (node, session, parent, position, digest, created_at, node_id, written_at, about, seal, payload)
VALUES (:key, :session, :parent, :position, :digest, :now, :node_id, :written_at, :about, :seal, :payload);

-- name: nodes.one
SELECT node, session, parent, position, digest, scheme, created_at, tombstoned_at, node_id, written_at, about, seal, payload
FROM nodes WHERE node = :node;

-- name: nodes.path
-- From the node at the position `first`, or from the root.
WITH RECURSIVE path (node, parent, position) AS (
    SELECT node, parent, position FROM nodes WHERE node = :leaf
    UNION ALL
    SELECT n.node, n.parent, n.position FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
    WHERE n.position >= :first
)
SELECT n.node, n.session, n.parent, n.position, n.digest, n.scheme, n.created_at, n.tombstoned_at, n.node_id, n.written_at,
       n.about, n.seal, n.payload
FROM path p JOIN nodes n ON n.node = p.node ORDER BY p.position;

-- name: nodes.graph
-- All that the head and the branches lead to, each once; a parent has the smaller key.
WITH RECURSIVE seen (node, parent, position) AS (
    SELECT node, parent, position FROM nodes WHERE node = :head
    UNION
    SELECT n.node, n.parent, n.position FROM branches b JOIN nodes n ON n.node = b.node WHERE b.session = :session
    UNION
    SELECT n.node, n.parent, n.position FROM seen s JOIN nodes n ON n.node = s.parent AND n.position < s.position
)
SELECT n.node, n.session, n.parent, n.position, n.digest, n.scheme, n.created_at, n.tombstoned_at, n.node_id, n.written_at,
       n.about, n.seal, n.payload
FROM seen s JOIN nodes n ON n.node = s.node ORDER BY n.node;

-- name: nodes.branches
SELECT branch, node, digest, scheme FROM branches WHERE session = :session ORDER BY branch;

-- name: nodes.tombstone
UPDATE nodes SET tombstoned_at = :now WHERE node = :node AND tombstoned_at IS NULL;

-- name: nodes.left_of
-- What a session has left, and no run may need again.
SELECT n.node FROM nodes n JOIN sessions s ON s.session = n.session
WHERE n.session = :session AND n.node > :after AND n.tombstoned_at IS NOT NULL AND n.run IS NULL
  AND (s.runtime IS NULL OR s.runtime NOT IN (
      SELECT u.runtime FROM runs u WHERE u.base IS NOT NULL AND (u.outcome IS NULL OR u.outcome <> 'finished')))
ORDER BY n.node LIMIT :count;
