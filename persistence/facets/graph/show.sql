-- name: graph_show.counts
SELECT (SELECT count(*) FROM branches b WHERE b.session = s.session),
       (SELECT count(*) FROM nodes n WHERE n.session = s.session AND n.tombstoned_at IS NOT NULL),
       (SELECT count(*) FROM turns t WHERE t.session = s.session)
FROM sessions s WHERE s.session = :session;

-- name: graph_show.branches
SELECT n.node, n.node_id, n.position FROM branches b JOIN nodes n ON n.node = b.node
WHERE b.session = :session ORDER BY b.branch DESC LIMIT :count;

-- name: graph_show.parts
SELECT p.name, length(b.body) FROM checkpoint_parts p JOIN blobs b ON b.blob = p.blob
WHERE p.session = :session ORDER BY p.name;
