-- name: moves.insert
INSERT INTO session_moves (move, run, boundary, place, kind, appended, added, kept, own, node, digest)
VALUES (:key, :run, :boundary, :place, :kind, :appended, :added, :kept, :own, :node, :digest);

-- name: moves.of_run
SELECT move, run, boundary, place, kind, appended, added, kept, own, node, digest, scheme FROM session_moves
WHERE run = :run ORDER BY move;

-- name: moves.appended
SELECT count(*), max(node) FROM nodes WHERE run = :run;

-- name: moves.own_node
SELECT node, session, position, digest FROM nodes WHERE run = :run ORDER BY node LIMIT 1 OFFSET :at;

-- name: moves.node
SELECT node, session, position, digest FROM nodes WHERE node = :node;

-- name: moves.revive
-- A run that is taken back had hidden what stood before it.
UPDATE nodes SET tombstoned_at = NULL WHERE tombstoned_at IS NOT NULL AND node IN (
    WITH RECURSIVE path (node, parent, position) AS (
        SELECT node, parent, position FROM nodes WHERE node = :base
        UNION ALL
        SELECT n.node, n.parent, n.position FROM path p JOIN nodes n ON n.node = p.parent AND n.position < p.position
        WHERE p.position > :kept + 1
    )
    SELECT node FROM path WHERE position > :kept
);

-- name: moves.forget_run
DELETE FROM session_moves WHERE run = :run;
