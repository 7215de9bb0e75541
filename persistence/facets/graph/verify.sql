-- name: graph_check.sessions
SELECT session, session_id, scheme FROM sessions WHERE session > :after ORDER BY session LIMIT :count;

-- name: graph_check.turns
SELECT turn, turn_id FROM turns WHERE session = :session AND turn > :after ORDER BY turn LIMIT :count;

-- name: graph_check.blobs
SELECT blob FROM blobs WHERE blob > :after ORDER BY blob LIMIT :count;

-- name: graph_check.lost
-- On no path, and without a tombstone: neither the head nor a branch leads to it.
SELECT n.node FROM nodes n LEFT JOIN nodes c ON c.parent = n.node LEFT JOIN sessions s ON s.head = n.node
    LEFT JOIN branches b ON b.node = n.node
WHERE n.tombstoned_at IS NULL AND c.node IS NULL AND s.session IS NULL AND b.branch IS NULL
ORDER BY n.node LIMIT :count;

-- name: graph_check.strays
SELECT 'checkpoint part', p.part FROM checkpoint_parts p LEFT JOIN checkpoints c ON c.session = p.session
    LEFT JOIN blobs b ON b.blob = p.blob WHERE c.session IS NULL OR b.blob IS NULL
UNION ALL
SELECT 'node', n.node FROM nodes n JOIN nodes p ON p.node = n.parent WHERE p.session <> n.session
UNION ALL
SELECT 'branch', b.branch FROM branches b LEFT JOIN nodes n ON n.node = b.node AND n.session = b.session WHERE n.node IS NULL
UNION ALL
SELECT 'session config', c.session FROM session_configs c LEFT JOIN sessions s ON s.session = c.session WHERE s.session IS NULL
UNION ALL
SELECT 'session meta', m.session FROM session_metas m LEFT JOIN sessions s ON s.session = m.session WHERE s.session IS NULL
UNION ALL
SELECT 'token usage', u.entry FROM token_usage u LEFT JOIN sessions s ON s.session = u.session WHERE s.session IS NULL
UNION ALL
SELECT 'checkpoint', c.session FROM checkpoints c LEFT JOIN sessions s ON s.session = c.session WHERE s.session IS NULL
UNION ALL
SELECT 'turn', t.turn FROM turns t LEFT JOIN sessions s ON s.session = t.session WHERE s.session IS NULL;
