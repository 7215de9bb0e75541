-- name: credentials.save
INSERT INTO oauth_flow (singleton, snapshot, updated_at) VALUES (1, :snapshot, :now)
ON CONFLICT (singleton) DO UPDATE SET snapshot = excluded.snapshot, updated_at = excluded.updated_at;

-- name: credentials.load
SELECT snapshot FROM oauth_flow WHERE singleton = 1;
