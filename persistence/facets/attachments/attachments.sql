-- name: attachments.find
SELECT attachment, session_id, attachment_id, uri, host, intent_at, committed_at, digest, scheme FROM attachments
WHERE attachment_id = :attachment_id AND session_id = :session_id;

-- name: attachments.by_key
SELECT attachment, session_id, attachment_id, uri, host, intent_at, committed_at, digest, scheme FROM attachments
WHERE attachment = :attachment;

-- name: attachments.keys
SELECT attachment FROM attachments WHERE attachment > :after ORDER BY attachment LIMIT :count;

-- name: attachments.counts
SELECT count(committed_at), count(*) - count(committed_at) FROM attachments WHERE session_id = :session_id;

-- name: attachments.newest
SELECT attachment FROM attachments WHERE session_id = :session_id ORDER BY attachment DESC LIMIT :count;

-- name: attachments.insert
INSERT INTO attachments (attachment, session_id, attachment_id, uri, host, intent_at, digest)
VALUES (:key, :session_id, :attachment_id, :uri, :host, :intent_at, :digest);

-- name: attachments.update
UPDATE attachments SET uri = :uri, host = :host, intent_at = :intent_at, committed_at = :committed_at, digest = :digest,
    scheme = :scheme
WHERE attachment = :attachment;

-- name: attachments.delete
DELETE FROM attachments WHERE attachment = :attachment;

-- name: attachments.uncommitted
SELECT attachment, session_id, attachment_id, uri, host, intent_at, committed_at, digest, scheme FROM attachments
WHERE committed_at IS NULL AND intent_at <= :before ORDER BY intent_at, attachment;

-- name: attachments.orphans
-- Old, and of a host that has gone: age alone proves nothing.
SELECT a.attachment FROM attachments a LEFT JOIN hosts h ON h.host = a.host
WHERE a.committed_at IS NULL AND a.intent_at <= :before AND (h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL)
ORDER BY a.intent_at LIMIT :count;

-- name: attachments.in_question
-- Who means something old, or removes something.
SELECT host FROM attachments WHERE committed_at IS NULL AND intent_at <= :before UNION SELECT host FROM attachment_removals;

-- name: attachments.stamped
SELECT 1 FROM attachments WHERE attachment_id = :attachment_id AND committed_at IS NOT NULL LIMIT 1;

-- name: attachments.named
SELECT 1 FROM attachments WHERE attachment_id = :attachment_id LIMIT 1;

-- name: attachments.removal
SELECT r.host, CASE WHEN h.host IS NULL OR h.closed_at IS NOT NULL OR h.lost_at IS NOT NULL THEN 0 ELSE 1 END
FROM attachment_removals r LEFT JOIN hosts h ON h.host = r.host WHERE r.attachment_id = :attachment_id;

-- name: attachments.begin_removal
INSERT INTO attachment_removals (removal, attachment_id, host) VALUES (:key, :attachment_id, :host);

-- name: attachments.end_removal
DELETE FROM attachment_removals WHERE attachment_id = :attachment_id;

-- name: attachments.end_own_removal
-- Not another host's, which has begun since this one was judged lost.
DELETE FROM attachment_removals WHERE attachment_id = :attachment_id AND host = :host;
