-- part: own_nodes
-- The messages of every session of a runtime: by its runs, and what no run has appended by two partial indexes. So it does not grow with
-- what other runtimes have.
SELECT n.node FROM runs u JOIN nodes n ON n.run = u.run JOIN sessions s ON s.session = n.session AND s.runtime = u.runtime
WHERE u.runtime = :runtime
UNION ALL
SELECT n.node FROM sessions s JOIN nodes n ON n.session = s.session
WHERE s.runtime = :runtime AND n.run IS NULL AND n.node_id IS NULL
UNION ALL
SELECT n.node FROM sessions s JOIN nodes n ON n.session = s.session
WHERE s.runtime = :runtime AND n.run IS NULL AND n.node_id IS NOT NULL;

-- name: verification.node_keys
-- A parent always comes before its children.
{own_nodes}
ORDER BY 1;

-- name: verification.schemes
-- Of links and conversations; that of any other row is looked at where the row is read.
SELECT 'receipt', r.scheme, r.receipt FROM runs u JOIN receipts r ON r.run = u.run AND r.runtime = u.runtime
WHERE u.runtime = :runtime
UNION ALL SELECT 'link', scheme, link FROM links WHERE runtime = :runtime
UNION ALL SELECT 'session', scheme, session FROM sessions WHERE runtime = :runtime
UNION ALL SELECT 'node', o.scheme, o.node FROM nodes o WHERE o.node IN ({own_nodes});

-- name: verification.empty_sessions
SELECT session, digest FROM sessions WHERE runtime = :runtime AND message_count = 0;

-- name: verification.strays
-- What names a run of a runtime stands with it; the rest is found by its runtime.
WITH own_inputs (input) AS (
    SELECT i.input FROM runs u JOIN inputs i ON i.run = u.run AND i.runtime = u.runtime WHERE u.runtime = :runtime
    UNION ALL SELECT input FROM inputs WHERE runtime = :runtime AND run IS NULL AND finished_at IS NULL
    UNION ALL SELECT input FROM inputs WHERE runtime = :runtime AND run IS NULL AND finished_at IS NOT NULL
), own_nodes (node) AS ({own_nodes})
SELECT 'receipt', c.receipt FROM runs u JOIN receipts c ON c.run = u.run WHERE u.runtime = :runtime AND c.runtime <> u.runtime
UNION ALL
SELECT 'input', i.input FROM runs u JOIN inputs i ON i.run = u.run WHERE u.runtime = :runtime AND i.runtime <> u.runtime
UNION ALL
SELECT 'input', i.input FROM own_inputs o JOIN inputs i ON i.input = o.input
WHERE (i.phase IN ('consumed', 'superseded', 'coalesced', 'abandoned') AND i.finished_at IS NULL)
   OR (i.phase NOT IN ('consumed', 'superseded', 'coalesced', 'abandoned') AND i.finished_at IS NOT NULL)
UNION ALL
SELECT 'input', i.input FROM own_inputs o JOIN inputs i ON i.input = o.input
WHERE i.due_at IS NOT NULL AND (i.phase NOT IN ('accepted', 'abandoned') OR i.run IS NOT NULL OR i.due_at < i.created_at)
UNION ALL
SELECT 'input', i.input FROM own_inputs o JOIN inputs i ON i.input = o.input LEFT JOIN payloads p ON p.input = i.input
WHERE i.pruned_at IS NULL AND p.input IS NULL
UNION ALL
SELECT 'node', n.node FROM runs u JOIN nodes n ON n.run = u.run JOIN sessions s ON s.session = n.session
WHERE u.runtime = :runtime AND (s.runtime IS NULL OR s.runtime <> u.runtime)
UNION ALL
SELECT 'node', n.node FROM own_nodes o JOIN nodes n ON n.node = o.node
WHERE (n.run IS NULL AND n.boundary IS NOT NULL) OR (n.run IS NOT NULL AND n.boundary IS NULL)
UNION ALL
SELECT 'node', n.node FROM runs u JOIN nodes n ON n.run = u.run
WHERE u.runtime = :runtime AND u.pruned_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM receipts c WHERE c.run = n.run AND c.sequence = n.boundary)
UNION ALL
SELECT 'node', n.node FROM own_nodes o JOIN nodes n ON n.node = o.node JOIN nodes p ON p.node = n.parent
WHERE p.session <> n.session OR p.position <> n.position - 1
UNION ALL
SELECT 'run', u.run FROM runs u LEFT JOIN nodes b ON b.node = u.base LEFT JOIN sessions s ON s.session = b.session
WHERE u.runtime = :runtime
  AND ((u.base IS NULL AND u.base_count <> 0) OR b.position <> u.base_count OR s.runtime <> u.runtime
       OR (u.aside <> 0 AND (SELECT a.run FROM asides a WHERE a.runtime = u.runtime AND a.run = u.run) IS NULL))
UNION ALL
SELECT 'runtime', t.runtime FROM runtimes t JOIN sessions s ON s.session = t.session
WHERE t.runtime = :runtime AND (s.runtime IS NULL OR s.runtime <> t.runtime)
UNION ALL
SELECT 'runtime', t.runtime FROM runtimes t JOIN runs u ON u.run = t.run
WHERE t.runtime = :runtime AND (u.runtime <> t.runtime OR u.ended_at IS NOT NULL OR u.aside <> t.aside)
UNION ALL
SELECT 'session', s.session FROM sessions s LEFT JOIN nodes n ON n.node = s.head
WHERE s.runtime = :runtime AND s.message_count > 0
  -- While a store is sealed anew one of them may be sealed by then (48 bytes) and the other not (32).
  AND (n.node IS NULL OR n.session <> s.session OR n.position <> s.message_count
       OR (n.digest <> s.digest AND NOT (length(n.digest) IN (32, 48) AND length(s.digest) IN (32, 48)
                                         AND length(n.digest) <> length(s.digest))))
UNION ALL
SELECT 'session', s.session FROM sessions s
WHERE s.runtime = :runtime AND (s.head IS NULL AND s.message_count <> 0 OR s.head IS NOT NULL AND s.message_count = 0);

-- name: verification.requests
SELECT 'request', q.request FROM requests q
WHERE (q.done_at IS NULL AND q.answer IS NOT NULL) OR (q.done_at IS NOT NULL AND q.answer IS NULL);

-- name: verification.counters
SELECT 'store', s.singleton FROM store s WHERE EXISTS (SELECT 1 FROM runtimes t WHERE t.fence_token > s.last_fence_token)
UNION ALL
SELECT 'host', h.host FROM hosts h WHERE EXISTS (SELECT 1 FROM receipts c WHERE c.host = h.host AND c.group_number > h.group_number);

-- name: verification.orphans
SELECT 'payload', p.input FROM payloads p LEFT JOIN inputs i ON i.input = p.input WHERE i.input IS NULL
UNION ALL
SELECT 'input', i.input FROM inputs i LEFT JOIN runtimes t ON t.runtime = i.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'input', i.input FROM inputs i LEFT JOIN runs u ON u.run = i.run WHERE i.run IS NOT NULL AND u.run IS NULL
UNION ALL
SELECT 'run', u.run FROM runs u LEFT JOIN runtimes t ON t.runtime = u.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'receipt', c.receipt FROM receipts c LEFT JOIN runtimes t ON t.runtime = c.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'receipt', c.receipt FROM receipts c LEFT JOIN runs u ON u.run = c.run WHERE u.run IS NULL
UNION ALL
SELECT 'receipt', c.receipt FROM receipts c LEFT JOIN hosts h ON h.host = c.host WHERE h.host IS NULL
UNION ALL
SELECT 'link', l.link FROM links l LEFT JOIN runtimes t ON t.runtime = l.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'send', s.send FROM sends s LEFT JOIN runs u ON u.run = s.run WHERE u.run IS NULL
UNION ALL
SELECT 'ask', a.ask FROM asks a
WHERE NOT EXISTS (SELECT 1 FROM runs u WHERE u.run = a.run) OR NOT EXISTS (SELECT 1 FROM runtimes t WHERE t.runtime = a.target)
UNION ALL
SELECT 'child', c.child_key FROM children c
WHERE NOT EXISTS (SELECT 1 FROM runtimes t WHERE t.runtime = c.parent) OR NOT EXISTS (SELECT 1 FROM runtimes t WHERE t.runtime = c.child)
   OR (c.run IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs u WHERE u.run = c.run))
UNION ALL
SELECT 'result', a.result_key FROM results a
WHERE NOT EXISTS (SELECT 1 FROM runs u WHERE u.run = a.run)
   OR (a.input <> 0 AND NOT EXISTS (SELECT 1 FROM inputs i WHERE i.input = a.input AND i.run = a.run))
UNION ALL
SELECT 'entry', s.entry FROM entries s LEFT JOIN runs u ON u.run = s.run WHERE u.run IS NULL
UNION ALL
SELECT 'session move', m.move FROM session_moves m LEFT JOIN runs u ON u.run = m.run WHERE u.run IS NULL
UNION ALL
SELECT 'session', s.session FROM sessions s LEFT JOIN runtimes t ON t.runtime = s.runtime
WHERE s.runtime IS NOT NULL AND t.runtime IS NULL
UNION ALL
SELECT 'node', n.node FROM nodes n LEFT JOIN sessions s ON s.session = n.session WHERE s.session IS NULL
UNION ALL
SELECT 'node', n.node FROM nodes n LEFT JOIN runs u ON u.run = n.run WHERE n.run IS NOT NULL AND u.run IS NULL
UNION ALL
SELECT 'session snapshot', n.session FROM session_snapshots n LEFT JOIN sessions s ON s.session = n.session
WHERE s.session IS NULL
UNION ALL
SELECT 'runtime', t.runtime FROM runtimes t LEFT JOIN sessions s ON s.session = t.session
WHERE t.session IS NOT NULL AND s.session IS NULL
UNION ALL
SELECT 'runtime', t.runtime FROM runtimes t LEFT JOIN runs u ON u.run = t.run WHERE t.run IS NOT NULL AND u.run IS NULL
UNION ALL
SELECT 'runtime', t.runtime FROM runtimes t LEFT JOIN hosts h ON h.host = t.owner WHERE t.owner IS NOT NULL AND h.host IS NULL
UNION ALL
SELECT 'lifecycle record', b.runtime FROM bindings b LEFT JOIN runtimes t ON t.runtime = b.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'quarantine', q.runtime FROM quarantines q LEFT JOIN runtimes t ON t.runtime = q.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'operations', o.runtime FROM operations o LEFT JOIN runtimes t ON t.runtime = o.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'anchor', a.runtime FROM anchors a LEFT JOIN runtimes t ON t.runtime = a.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'request', q.request FROM requests q LEFT JOIN runtimes t ON t.runtime = q.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'request', q.request FROM requests q LEFT JOIN hosts h ON h.host = q.host WHERE h.host IS NULL
UNION ALL
SELECT 'log', l.stream FROM stream_logs l LEFT JOIN streams s ON s.stream = l.stream WHERE s.stream IS NULL
UNION ALL
SELECT 'snapshot', n.stream FROM stream_snapshots n LEFT JOIN streams s ON s.stream = n.stream WHERE s.stream IS NULL
UNION ALL
SELECT 'reference', f.reference FROM fact_references f LEFT JOIN streams s ON s.stream = f.stream WHERE s.stream IS NULL
UNION ALL
SELECT 'execution', b.binding FROM execution_bindings b LEFT JOIN runtimes t ON t.runtime = b.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'own state', o.runtime FROM own_states o LEFT JOIN runtimes t ON t.runtime = o.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'labels', s.runtime FROM label_sets s LEFT JOIN runtimes t ON t.runtime = s.runtime WHERE t.runtime IS NULL
UNION ALL
SELECT 'label', l.label FROM labels l LEFT JOIN label_sets s ON s.runtime = l.runtime WHERE s.runtime IS NULL
UNION ALL
SELECT 'own value', v.own_value FROM own_values v LEFT JOIN own_states o ON o.runtime = v.runtime WHERE o.runtime IS NULL
UNION ALL
SELECT 'own write', w.own_write FROM own_writes w LEFT JOIN runs u ON u.run = w.run AND u.runtime = w.runtime WHERE u.run IS NULL;
