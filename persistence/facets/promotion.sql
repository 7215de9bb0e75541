-- name: promotion.load
SELECT promotion_id, state, store_id, place, logical_hash, promoted_at, digest, scheme FROM promotion;

-- name: promotion.say
INSERT INTO promotion (singleton, promotion_id, state, store_id, place, logical_hash, promoted_at, digest)
VALUES (1, :promotion_id, :state, :store_id, :place, :logical_hash, :now, :digest);

-- name: promotion.forget
DELETE FROM promotion;

-- name: promotion.store
SELECT store_id, last_fence_token FROM store;

-- name: promotion.raise_tokens
UPDATE store SET last_fence_token = last_fence_token + :raised;

-- name: promotion.be_patient
-- This transaction waits for another store: an engine that ends idle ones lets it be.
SELECT 1;

-- name: promotion.groups
-- The last group of every host that ever was: what is newer has more of them. Rows of hosts stay for good.
SELECT incarnation, group_number FROM hosts;

-- name: promotion.count_anew
-- For an engine that plans by how many rows it has counted.
SELECT 1;

-- name: promotion.go_on_after
-- New keys of a table come after this one: for an engine that counts them elsewhere than in the table.
SELECT :sequence, :last;
