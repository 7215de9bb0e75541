-- name: checkpoints.blob
SELECT blob FROM blobs WHERE digest = :digest;

-- name: checkpoints.insert_blob
INSERT INTO blobs (blob, digest, body) VALUES (:key, :digest, :body);

-- name: checkpoints.parts
SELECT p.name, b.digest, p.version, p.blob FROM checkpoint_parts p LEFT JOIN blobs b ON b.blob = p.blob
WHERE p.session = :session ORDER BY p.name;

-- name: checkpoints.insert_part
INSERT INTO checkpoint_parts (part, session, name, blob, version) VALUES (:key, :session, :name, :blob, :version);

-- name: checkpoints.update_part
UPDATE checkpoint_parts SET blob = :blob, version = :version WHERE session = :session AND name = :name;

-- name: checkpoints.delete_part
DELETE FROM checkpoint_parts WHERE session = :session AND name = :name;

-- name: checkpoints.load
SELECT turn_state, digest, scheme FROM checkpoints WHERE session = :session;

-- name: checkpoints.save
INSERT INTO checkpoints (session, turn_state, digest) VALUES (:session, :turn_state, :digest)
ON CONFLICT (session) DO UPDATE
SET turn_state = excluded.turn_state, digest = excluded.digest, scheme = excluded.scheme;

-- name: checkpoints.bodies
SELECT b.blob, b.body, b.digest, b.scheme FROM checkpoint_parts p JOIN blobs b ON b.blob = p.blob
WHERE p.session = :session;

-- name: checkpoints.roots
SELECT c.session, s.session_id FROM checkpoints c LEFT JOIN sessions s ON s.session = c.session
WHERE c.session > :after ORDER BY c.session LIMIT :count;

-- name: checkpoints.unreachable
SELECT b.blob FROM blobs b
WHERE b.blob > :after AND NOT EXISTS (SELECT 1 FROM checkpoint_parts p WHERE p.blob = b.blob)
ORDER BY b.blob LIMIT :count;

-- name: checkpoints.delete_blob
-- Judged again in the commit: something may refer to it by now.
DELETE FROM blobs
WHERE blob = :blob AND NOT EXISTS (SELECT 1 FROM checkpoint_parts p WHERE p.blob = blobs.blob);

-- name: checkpoints.body
SELECT body, digest, scheme FROM blobs WHERE blob = :blob;
