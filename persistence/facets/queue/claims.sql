-- name: claims.insert
INSERT INTO queue_claims (claim, session_id, claim_id, owner_id, lease_token, fencing_token, host, ttl_ms, renewals, claimed_at,
    expires_at, batches, digest)
VALUES (:key, :session_id, :claim_id, :owner_id, :lease_token, :fencing_token, :host, :ttl_ms, 0, :claimed_at, :expires_at,
    :batches, :digest);

-- name: claims.by_id
SELECT c.claim, c.session_id, c.claim_id, c.owner_id, c.lease_token, c.fencing_token, c.host, c.ttl_ms, c.renewals, c.claimed_at,
    c.expires_at, c.batches, c.digest, c.scheme,
    CASE WHEN h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL THEN 0 ELSE 1 END
FROM queue_claims c LEFT JOIN hosts h ON h.host = c.host WHERE c.claim_id = :claim_id;

-- name: claims.of_session
SELECT c.claim, c.session_id, c.claim_id, c.owner_id, c.lease_token, c.fencing_token, c.host, c.ttl_ms, c.renewals, c.claimed_at,
    c.expires_at, c.batches, c.digest, c.scheme,
    CASE WHEN h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL THEN 0 ELSE 1 END
FROM queue_claims c LEFT JOIN hosts h ON h.host = c.host WHERE c.session_id = :session_id ORDER BY c.claim;

-- name: claims.keys
SELECT claim FROM queue_claims WHERE claim > :after ORDER BY claim LIMIT :count;

-- name: claims.by_key
SELECT c.claim, c.session_id, c.claim_id, c.owner_id, c.lease_token, c.fencing_token, c.host, c.ttl_ms, c.renewals, c.claimed_at,
    c.expires_at, c.batches, c.digest, c.scheme,
    CASE WHEN h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL THEN 0 ELSE 1 END
FROM queue_claims c LEFT JOIN hosts h ON h.host = c.host WHERE c.claim = :claim;

-- name: claims.renew
UPDATE queue_claims SET host = :host, ttl_ms = :ttl_ms, renewals = :renewals, expires_at = :expires_at, digest = :digest,
    scheme = :scheme
WHERE claim = :claim;

-- name: claims.delete
DELETE FROM queue_claims WHERE claim = :claim;
