-- name: credentials.save
INSERT INTO oauth_flow (singleton, snapshot, digest, updated_at) VALUES (1, :snapshot, :digest, :now)
ON CONFLICT (singleton) DO UPDATE
SET snapshot = excluded.snapshot, digest = excluded.digest, scheme = excluded.scheme, updated_at = excluded.updated_at;

-- name: credentials.load
SELECT snapshot, digest, scheme FROM oauth_flow WHERE singleton = 1;

-- name: credentials.make
-- The first one; none where another was faster.
INSERT INTO oauth_flow (singleton, snapshot, digest, updated_at) VALUES (1, :snapshot, :digest, :now)
ON CONFLICT (singleton) DO NOTHING RETURNING singleton;

-- name: credentials.hold
-- Changes nothing: on a server the row is locked by it.
UPDATE oauth_flow SET updated_at = updated_at WHERE singleton = 1;
