-- name: schedules.find
SELECT schedule, schedule_id, runtime_id, terms, payload, revision, next_at, fires_at, decided_through, refusals, paused_at, note, last_input,
       created_at, digest, scheme
FROM schedules WHERE schedule_id = :schedule_id;

-- name: schedules.insert
INSERT INTO schedules (schedule, schedule_id, runtime_id, terms, payload, revision, next_at, fires_at, decided_through, refusals, paused_at, note,
                       last_input, created_at, digest)
VALUES (:key, :schedule_id, :runtime_id, :terms, :payload, :revision, :next_at, :fires_at, :decided_through, :refusals, :paused_at, :note,
        :last_input, :created_at, :digest);

-- name: schedules.save
UPDATE schedules SET runtime_id = :runtime_id, terms = :terms, payload = :payload, revision = :revision, next_at = :next_at,
                     fires_at = :fires_at, decided_through = :decided_through, refusals = :refusals, paused_at = :paused_at, note = :note, last_input = :last_input,
                     digest = :digest, scheme = 1
WHERE schedule_id = :schedule_id AND schedule = :schedule;

-- name: schedules.delete
DELETE FROM schedules WHERE schedule = :schedule;

-- name: schedules.delete_occurrences
DELETE FROM occurrences WHERE schedule = :schedule;

-- name: schedules.due
-- By key: one that cannot be decided hides no other.
SELECT schedule FROM schedules WHERE fires_at <= :now AND fires_at IS NOT NULL AND schedule > :after ORDER BY schedule LIMIT :count;

-- name: schedules.read
SELECT schedule, schedule_id, runtime_id, terms, payload, revision, next_at, fires_at, decided_through, refusals, paused_at, note,
       last_input, created_at, digest, scheme
FROM schedules WHERE schedule = :schedule;

-- name: schedules.next
-- What has come and is not decided stands in nobody's way, nor does what is no number: a text comes after all of them.
SELECT fires_at FROM schedules WHERE fires_at > :now AND fires_at < 9e300 AND fires_at IS NOT NULL ORDER BY fires_at LIMIT 1;

-- name: schedules.key
SELECT schedule FROM schedules WHERE schedule_id = :schedule_id;

-- name: schedules.of_runtime
SELECT schedule_id FROM schedules WHERE runtime_id = :runtime_id ORDER BY schedule_id;

-- name: schedules.unfinished
SELECT 1 FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
WHERE r.runtime_id = :runtime_id AND i.input_id = :input_id AND i.finished_at IS NULL;

-- name: schedules.insert_occurrence
INSERT INTO occurrences (occurrence, schedule, scheduled_at, through, local_time, utc_offset_s, decided_at, input_id, skipped, detail,
                         triggered, digest)
VALUES (:occurrence, :schedule, :scheduled_at, :through, :local_time, :utc_offset_s, :decided_at, :input_id, :skipped, :detail, :triggered, :digest);

-- name: schedules.occurrences
-- The newest first.
SELECT o.occurrence, s.schedule_id, o.scheduled_at, o.through, o.local_time, o.utc_offset_s, o.decided_at, o.input_id, o.skipped, o.detail,
       o.triggered, o.digest, o.scheme
FROM occurrences o JOIN schedules s ON s.schedule = o.schedule
WHERE s.schedule_id = :schedule_id AND o.occurrence < :before ORDER BY o.occurrence DESC LIMIT :count;

-- name: schedules.page
SELECT schedule FROM schedules WHERE schedule > :after ORDER BY schedule LIMIT :count;

-- name: schedules.occurrence_page
SELECT occurrence FROM occurrences WHERE occurrence > :after ORDER BY occurrence LIMIT :count;

-- name: schedules.occurrence
SELECT o.occurrence, s.schedule_id, o.scheduled_at, o.through, o.local_time, o.utc_offset_s, o.decided_at, o.input_id, o.skipped,
       o.detail, o.triggered, o.digest, o.scheme
FROM occurrences o LEFT JOIN schedules s ON s.schedule = o.schedule
WHERE o.occurrence = :occurrence;

-- name: schedules.over
SELECT occurrence FROM occurrences WHERE occurrence > :after AND decided_at < :before ORDER BY occurrence LIMIT :count;

-- name: schedules.prune
DELETE FROM occurrences WHERE occurrence = :occurrence AND decided_at < :before;
