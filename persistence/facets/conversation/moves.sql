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
-- What the head goes back to is there again, where the run had hidden it: what stands on a hidden node is hidden too.
UPDATE nodes SET tombstoned_at = NULL WHERE tombstoned_at IS NOT NULL AND node IN (
    WITH RECURSIVE hidden (node, parent, position) AS (
        SELECT node, parent, position FROM nodes WHERE node = :node AND tombstoned_at IS NOT NULL
        UNION ALL
        SELECT n.node, n.parent, n.position FROM hidden h JOIN nodes n ON n.node = h.parent AND n.position < h.position
        WHERE n.tombstoned_at IS NOT NULL
    )
    SELECT node FROM hidden
);

-- name: moves.forget_run
DELETE FROM session_moves WHERE run = :run;
