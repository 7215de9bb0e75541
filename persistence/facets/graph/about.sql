-- name: about.config
SELECT config, frames, current_frame, digest, scheme FROM session_configs WHERE session = :session;

-- name: about.save_config
INSERT INTO session_configs (session, config, frames, current_frame, digest)
VALUES (:session, :config, :frames, :current_frame, :digest)
ON CONFLICT (session) DO UPDATE
SET config = excluded.config, frames = excluded.frames, current_frame = excluded.current_frame, digest = excluded.digest,
    scheme = excluded.scheme;

-- name: about.meta
SELECT meta, digest, scheme FROM session_metas WHERE session = :session;

-- name: about.save_meta
INSERT INTO session_metas (session, meta, digest, updated_at) VALUES (:session, :meta, :digest, :now)
ON CONFLICT (session) DO UPDATE
SET meta = excluded.meta, digest = excluded.digest, scheme = excluded.scheme, updated_at = excluded.updated_at;

-- name: about.turn
SELECT content, result, digest, scheme FROM turns WHERE session = :session AND turn_id = :turn_id;

-- name: about.insert_turn
INSERT INTO turns (turn, session, turn_id, content, result, digest, committed_at)
VALUES (:key, :session, :turn_id, :content, :result, :digest, :now);
