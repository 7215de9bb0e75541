-- name: node_floor.find
SELECT last_node, digest, scheme FROM node_floor WHERE singleton = 1;

-- name: node_floor.highest
SELECT max(node) FROM nodes;

-- name: node_floor.save
INSERT INTO node_floor (singleton, last_node, digest) VALUES (1, :last_node, :digest)
ON CONFLICT (singleton) DO UPDATE SET last_node = excluded.last_node, digest = excluded.digest, scheme = excluded.scheme;
