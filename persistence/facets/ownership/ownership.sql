-- name: ownership.create_store
INSERT INTO store (singleton, store_id, last_fence_token)
SELECT 1, :store_id, 0 WHERE NOT EXISTS (SELECT 1 FROM store);

-- name: ownership.mint
-- Only from a counter that can be: not below the token it replaces, and not at its end.
UPDATE store SET last_fence_token = last_fence_token + 1
WHERE singleton = 1 AND last_fence_token BETWEEN :least AND :most RETURNING last_fence_token;

-- name: ownership.last_token
SELECT last_fence_token FROM store WHERE singleton = 1;

-- name: ownership.open_host
INSERT INTO hosts (host, incarnation, host_name, boot_id, pid, process_start, files, durability, group_number, lease_until,
                   opened_at)
VALUES (:key, :incarnation, :host_name, :boot_id, :pid, :process_start, :files, :durability, 0, :lease_until, :now);

-- name: ownership.lose_others
-- Only for a host that is provably alone on the file.
UPDATE hosts SET lost_at = :now, lost_how = 'seized' WHERE host <> :host AND closed_at IS NULL AND lost_at IS NULL;

-- name: ownership.mark_dead
-- Its proof of life was seized.
UPDATE hosts SET lost_at = :now, lost_how = 'seized' WHERE host = :lost AND closed_at IS NULL AND lost_at IS NULL;

-- name: ownership.mark_lapsed
-- Only while it has not renewed since it was judged.
UPDATE hosts SET lost_at = :now, lost_how = 'lapsed'
WHERE host = :lost AND group_number = :counter AND closed_at IS NULL AND lost_at IS NULL;

-- name: ownership.move_runtimes
UPDATE runtimes SET owner = :host WHERE owner = :lost;

-- name: ownership.owned
SELECT runtime_id, fence_token FROM runtimes WHERE owner = :host;

-- name: ownership.holding
-- Whose a runtime is: its owner where that one lives.
SELECT r.state, r.fence_token, r.kind, r.held, h.host, h.incarnation, r.aside
FROM runtimes r LEFT JOIN hosts h ON h.host = r.owner AND h.closed_at IS NULL AND h.lost_at IS NULL
WHERE r.runtime_id = :runtime_id;

-- name: ownership.latest_hosts
-- The rows that came last, whatever has become of them since. They are compared and are not a cursor: where hosts register side by
-- side, one may land after another one with a higher key.
SELECT host FROM hosts ORDER BY host DESC LIMIT :count;

-- name: ownership.other_hosts
SELECT host, incarnation, group_number, files, drain FROM hosts
WHERE closed_at IS NULL AND lost_at IS NULL AND host <> :host ORDER BY host;

-- name: ownership.host_of
SELECT host, group_number, closed_at, lost_at, files FROM hosts WHERE incarnation = :incarnation;

-- name: ownership.end_sessions
-- Of a host that has lapsed: on one machine a dead host holds nothing of the file.
SELECT 1 WHERE :sessions IS NULL;

-- name: ownership.begin_group
-- The first statement of every group: a host that was judged dead writes nothing more, and none in a store that another one has made
-- where its own stood.
UPDATE hosts SET group_number = :group_number, lease_until = :lease_until
WHERE host = :host AND incarnation = :incarnation AND closed_at IS NULL AND lost_at IS NULL;

-- name: ownership.close_host
UPDATE hosts SET closed_at = :now WHERE host = :host;

-- name: ownership.release_all
UPDATE runtimes SET owner = NULL, updated_at = :now WHERE owner = :host;

-- name: ownership.host
SELECT incarnation, boot_id, closed_at, lost_at, files FROM hosts WHERE host = :host;

-- name: ownership.crashed
-- A host whose proof of life was seized, on the boot of this one: neither closed in order, nor frozen, nor gone with its machine.
SELECT 1 FROM hosts lost JOIN hosts mine ON mine.host = :host
WHERE lost.host = :lost AND lost.closed_at IS NULL AND lost.lost_how = 'seized' AND lost.boot_id = mine.boot_id;

-- name: ownership.group_of
SELECT group_number, closed_at, lost_at FROM hosts WHERE incarnation = :incarnation;

-- name: ownership.with_work
-- Of a page of the runtimes that have anything open, by key, those that a host takes over: owned by no living one, of a kind, with
-- unfinished inputs that are not delayed, a run, or requests. One whose run is aside waits for its time, and for nothing that is in
-- its inbox. The page is stepped along the indexes of what is open, so that runtimes at rest cost nothing; the row behind it says
-- with which key the next page begins, and nothing else.
WITH RECURSIVE opened (runtime, place) AS (
    SELECT CAST(:after AS BIGINT), 0
    UNION ALL
    SELECT (SELECT min(n.runtime) FROM (
                SELECT (SELECT min(i.runtime) FROM inputs i WHERE i.finished_at IS NULL AND i.runtime > o.runtime) AS runtime
                UNION ALL
                SELECT (SELECT min(u.runtime) FROM runs u WHERE u.ended_at IS NULL AND u.aside = 0 AND u.runtime > o.runtime)
                UNION ALL
                SELECT (SELECT min(q.runtime) FROM requests q WHERE q.done_at IS NULL AND q.runtime > o.runtime)
            ) AS n),
           o.place + 1
    FROM opened o WHERE o.runtime IS NOT NULL AND o.place <= :count
)
SELECT o.place, o.runtime, r.run, r.runtime_id, r.kind
FROM opened o LEFT JOIN runtimes r ON r.runtime = o.runtime AND o.place <= :count LEFT JOIN hosts h ON h.host = r.owner
WHERE o.runtime IS NOT NULL AND o.place > 0
  AND (o.place > :count
       OR ((r.owner IS NULL OR h.lost_at IS NOT NULL) AND r.kind IS NOT NULL
           AND ((r.aside = 0 AND (r.run IS NOT NULL OR EXISTS (SELECT 1 FROM inputs i WHERE i.runtime = r.runtime
                                                               AND i.finished_at IS NULL AND i.due_at IS NULL)))
                OR EXISTS (SELECT 1 FROM requests q WHERE q.runtime = r.runtime AND q.done_at IS NULL))));
