-- name: graph_pruning.old_turns
SELECT turn FROM turns WHERE turn > :after AND committed_at < :before ORDER BY turn LIMIT :count;

-- name: graph_pruning.delete_turn
DELETE FROM turns WHERE turn = :turn AND committed_at < :before;
