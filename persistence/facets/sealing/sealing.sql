-- name: sealing.load
SELECT marker, key_id, store_key FROM sealing

-- name: sealing.insert
INSERT INTO sealing (singleton, marker, key_id, store_key, sealed_at) VALUES (1, :marker, :key_id, :store_key, :now)

-- name: sealing.rewrap
UPDATE sealing SET key_id = :key_id, store_key = :store_key WHERE store_key = :before

-- name: sealing.hosts
SELECT count(*) FROM hosts WHERE closed_at IS NULL AND lost_at IS NULL AND lease_until > :now
