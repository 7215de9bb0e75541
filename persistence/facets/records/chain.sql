-- name: chain.insert
INSERT INTO links (runtime, position, event, detail, fence_token, generation, committed_at, group_number, chain)
VALUES (:runtime, :position, :event, :detail, :fence_token, :generation, :now, :group_number, :chain);
