-- name: branches.at
-- The node at a place of the path that ends at another node.
WITH RECURSIVE path (node, parent, position) AS (
    SELECT node, parent, position FROM nodes WHERE node = :leaf
    UNION ALL
    SELECT n.node, n.parent, n.position FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
    WHERE p.position > :position
)
SELECT node FROM path WHERE position = :position;

-- name: branches.above
-- Of every branch that reaches so far: what of it stands at a place and beyond.
WITH RECURSIVE back (tip, node, parent, position) AS (
    SELECT n.node, n.node, n.parent, n.position FROM branches b JOIN nodes n ON n.node = b.node
    WHERE b.session = :session AND n.position >= :position
    UNION ALL
    SELECT b.tip, n.node, n.parent, n.position FROM back b JOIN nodes n ON n.node = b.parent AND n.position < b.position
    WHERE b.position > :position
)
SELECT tip, node, position FROM back ORDER BY tip, position;

-- name: branches.drop
DELETE FROM branches WHERE session = :session AND node = :node;

-- name: branches.find
SELECT branch FROM branches WHERE session = :session AND node = :node;

-- name: branches.insert
INSERT INTO branches (branch, session, node, digest) VALUES (:key, :session, :node, :digest);
