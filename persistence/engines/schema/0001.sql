-- The store. Rows that grow append on a rising INTEGER PRIMARY KEY; other tables name a runtime, run or session by its
-- integer; indexes are narrow, and partial where only open work is ever looked for (docs/architecture.md, "Few dirty pages").
-- What has a digest or a seal says its scheme (model/digests.py).

CREATE TABLE store (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    store_id TEXT NOT NULL,
    last_fence_token INTEGER NOT NULL
);

-- What seals the contents of the store: how sealed ones begin, and its own key, sealed; no row where nothing is sealed.
CREATE TABLE sealing (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    marker BLOB NOT NULL,
    key_id TEXT NOT NULL,
    store_key BLOB NOT NULL,
    sealed_at REAL NOT NULL
);

CREATE TABLE hosts (
    host INTEGER PRIMARY KEY,
    incarnation TEXT NOT NULL UNIQUE,
    host_name TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_start TEXT NOT NULL,
    files TEXT,
    durability TEXT NOT NULL,
    group_number INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    opened_at REAL NOT NULL,
    closed_at REAL,
    lost_at REAL,
    lost_how TEXT CHECK (lost_how IN ('seized', 'lapsed')),
    drain TEXT CHECK (drain IN ('asked', 'ended', 'drains', 'drained')),
    max_owned TEXT
);
-- Dead hosts stay, for verdicts; every look at the living ones passes them by.
CREATE INDEX hosts_living ON hosts (host) WHERE closed_at IS NULL AND lost_at IS NULL;

CREATE TABLE runtimes (
    runtime INTEGER PRIMARY KEY,
    runtime_id TEXT NOT NULL UNIQUE,
    kind TEXT,
    record_version INTEGER NOT NULL,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    fence_token INTEGER NOT NULL,
    epoch TEXT,
    owner INTEGER,
    held TEXT,
    held_detail TEXT,
    session INTEGER,
    run INTEGER,
    crashes INTEGER NOT NULL,
    failures TEXT NOT NULL,
    boundaries INTEGER NOT NULL,
    chain BLOB NOT NULL,
    -- How many runs wait for an input of it.
    asked INTEGER NOT NULL DEFAULT 0,
    -- Whether its run is put aside.
    aside INTEGER NOT NULL DEFAULT 0,
    -- Whether what becomes of its inputs and runs is written into its output.
    events INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX runtimes_owned ON runtimes (owner) WHERE owner IS NOT NULL;

CREATE TABLE sessions (
    session INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    runtime INTEGER,
    revision INTEGER NOT NULL,
    head INTEGER,
    message_count INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE INDEX sessions_of_runtime ON sessions (runtime) WHERE runtime IS NOT NULL;

CREATE TABLE nodes (
    node INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    parent INTEGER,
    position INTEGER NOT NULL,
    digest BLOB NOT NULL,
    run INTEGER,
    boundary INTEGER,
    created_at REAL NOT NULL,
    tombstoned_at REAL,
    scheme INTEGER NOT NULL DEFAULT 1,
    node_id TEXT,
    written_at TEXT,
    about BLOB,
    seal BLOB,
    payload BLOB NOT NULL
);
CREATE INDEX nodes_of_run ON nodes (run, boundary) WHERE run IS NOT NULL;
CREATE UNIQUE INDEX nodes_by_id ON nodes (session, node_id) WHERE node_id IS NOT NULL;
-- The nodes of a session are those of its runtime's runs, those with an id, and these.
CREATE INDEX nodes_alone ON nodes (session, node) WHERE run IS NULL AND node_id IS NULL;
CREATE INDEX nodes_left ON nodes (session, node) WHERE tombstoned_at IS NOT NULL;

-- The highest node that was ever deleted: a node without an id is named by its key, which is given once.

CREATE TABLE node_floor (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    last_node INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

-- Graphs: where the branches end that the head does not lead to. A conversation that only grows has no row here.

CREATE TABLE branches (
    branch INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    node INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX branches_of_session ON branches (session, node);

CREATE TABLE session_configs (
    session INTEGER PRIMARY KEY,
    config BLOB NOT NULL,
    frames BLOB NOT NULL,
    current_frame TEXT,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE session_metas (
    session INTEGER PRIMARY KEY,
    meta BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    updated_at REAL NOT NULL
);

CREATE TABLE token_usage (
    entry INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX token_usage_by_model ON token_usage (session, source, model);

-- Checkpoints: the digest of a checkpoint covers its parts; the bytes of a part stand in one blob for all sessions.

CREATE TABLE checkpoints (
    session INTEGER PRIMARY KEY,
    turn_state BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE checkpoint_parts (
    part INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    name TEXT NOT NULL,
    blob INTEGER NOT NULL,
    version INTEGER NOT NULL
);
CREATE UNIQUE INDEX checkpoint_parts_by_name ON checkpoint_parts (session, name);
CREATE INDEX checkpoint_parts_of_blob ON checkpoint_parts (blob);

CREATE TABLE blobs (
    blob INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    scheme INTEGER NOT NULL DEFAULT 1,
    body BLOB NOT NULL
);

-- Turns: the first result of each stamped commit.

CREATE TABLE turns (
    turn INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    turn_id TEXT NOT NULL,
    content BLOB NOT NULL,
    result BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    committed_at REAL NOT NULL
);
CREATE UNIQUE INDEX turns_by_id ON turns (session, turn_id);

CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    runtime INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    base INTEGER,
    base_count INTEGER NOT NULL,
    started_at REAL NOT NULL,
    retry_at REAL,
    ended_at REAL,
    reopened_at REAL,
    pruned_at REAL,
    outcome TEXT,
    error TEXT,
    ways TEXT NOT NULL DEFAULT '',
    state_base INTEGER NOT NULL DEFAULT 0,
    version TEXT NOT NULL DEFAULT '',
    -- It ended, left no abandoned input, and a step that never repeats may have run: a dead letter until it is dropped.
    in_doubt INTEGER NOT NULL DEFAULT 0,
    -- How many runtimes end with it.
    children INTEGER NOT NULL DEFAULT 0,
    -- It follows an abandoned batch: the behaviour's on_abandoned executes it.
    follows INTEGER NOT NULL DEFAULT 0,
    -- It is put aside, as its runtime says too: here it keeps the run out of the index of those that a look passes.
    aside INTEGER NOT NULL DEFAULT 0,
    -- The first chunk of output that it has written; NULL: it has said nothing.
    said INTEGER
);
CREATE UNIQUE INDEX runs_by_id ON runs (run_id, runtime);
CREATE INDEX runs_of_runtime ON runs (runtime, run);
CREATE INDEX runs_in_doubt ON runs (runtime, run_id) WHERE in_doubt = 1;
CREATE INDEX runs_reopened ON runs (runtime) WHERE reopened_at IS NOT NULL;
-- What a host that looks for work has to look at.
CREATE INDEX runs_open ON runs (runtime) WHERE ended_at IS NULL AND aside = 0;
-- Those that see their runtime's own state as it was once, and may be entered again.
CREATE INDEX runs_seeing ON runs (runtime, state_base)
    WHERE state_base > 0 AND (outcome IS NULL OR outcome NOT IN ('finished', 'restarted'));

-- Runs that are put aside: they wait, no host owns their runtimes, and each is woken at its time. NULL: by no time.
CREATE TABLE asides (
    runtime INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    kind TEXT NOT NULL,
    since REAL NOT NULL,
    wake_at REAL,
    steerable INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX asides_by_time ON asides (kind, wake_at, runtime) WHERE wake_at IS NOT NULL;

-- What people keep from beginning anything: one runtime, by an id that may come later, or one kind.
CREATE TABLE holds (
    hold INTEGER PRIMARY KEY,
    runtime_id TEXT,
    kind TEXT,
    note TEXT NOT NULL,
    since REAL NOT NULL
);
CREATE UNIQUE INDEX holds_of_runtime ON holds (runtime_id) WHERE runtime_id IS NOT NULL;
CREATE UNIQUE INDEX holds_of_kind ON holds (kind) WHERE kind IS NOT NULL;

-- Versions of behaviours, in the order in which the store heard of them.
CREATE TABLE versions (
    version_key INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    registered_at REAL NOT NULL
);
CREATE UNIQUE INDEX versions_by_name ON versions (kind, version);

-- Kinds whose behaviour has an on_abandoned: a run follows each batch of them that is abandoned.
CREATE TABLE followed_kinds (
    followed_kind INTEGER PRIMARY KEY,
    kind TEXT NOT NULL UNIQUE
);

CREATE TABLE inputs (
    input INTEGER PRIMARY KEY,
    input_id TEXT NOT NULL,
    runtime INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    admission INTEGER NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    durability TEXT NOT NULL,
    source TEXT NOT NULL,
    idempotency_key TEXT,
    payload_digest BLOB NOT NULL,
    seal BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    phase TEXT NOT NULL,
    reason TEXT,
    run INTEGER,
    attempts INTEGER NOT NULL,
    joined INTEGER,
    boundary INTEGER,
    error TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    finished_at REAL,
    record_version INTEGER NOT NULL DEFAULT 1,
    recoveries INTEGER NOT NULL DEFAULT 0,
    supersession_key TEXT,
    successor TEXT,
    -- Version of the behaviour whose payload class took it when it came; NULL: no host with that behaviour has seen it.
    fitted TEXT,
    -- When it is abandoned unless it is done, unix seconds; NULL: never.
    deadline REAL,
    -- When one that is delayed is due, unix seconds; NULL: it is in the inbox, or was from the start.
    due_at REAL,
    pruned_at REAL,
    extra TEXT,
    history TEXT NOT NULL
);
CREATE INDEX inputs_by_deadline ON inputs (deadline) WHERE finished_at IS NULL AND deadline IS NOT NULL;
CREATE UNIQUE INDEX inputs_by_id ON inputs (input_id, runtime);
CREATE UNIQUE INDEX inputs_by_key ON inputs (runtime, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- With the time that a delayed one waits for before its place: the inbox is what has none, and no look at it passes the others.
CREATE INDEX inputs_open ON inputs (runtime, due_at, admission) WHERE finished_at IS NULL;
CREATE INDEX inputs_by_due ON inputs (due_at, input) WHERE finished_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX inputs_by_supersession ON inputs (runtime, kind, supersession_key)
    WHERE finished_at IS NULL AND supersession_key IS NOT NULL;
CREATE INDEX inputs_of_run ON inputs (run, joined) WHERE run IS NOT NULL;
-- The inputs of a runtime are those of its runs, those that have not ended, and these.
CREATE INDEX inputs_over ON inputs (runtime, input) WHERE run IS NULL AND finished_at IS NOT NULL;
-- A run that is steered often has many unfinished inputs, and asks at each checkpoint for those that it has not.
CREATE INDEX inputs_steering ON inputs (runtime, due_at, admission) WHERE finished_at IS NULL AND lane = 'steer' AND run IS NULL;

-- Schedules: the first instant that is not decided, and a row for each that is.

CREATE TABLE schedules (
    schedule INTEGER PRIMARY KEY,
    schedule_id TEXT NOT NULL UNIQUE,
    runtime_id TEXT NOT NULL,
    terms TEXT NOT NULL,
    payload BLOB NOT NULL,
    revision INTEGER NOT NULL,
    next_at REAL,
    fires_at REAL,
    decided_through REAL,
    refusals INTEGER NOT NULL,
    paused_at REAL,
    note TEXT NOT NULL,
    last_input TEXT,
    created_at REAL NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX schedules_by_time ON schedules (fires_at) WHERE fires_at IS NOT NULL;
CREATE INDEX schedules_of_runtime ON schedules (runtime_id);

CREATE TABLE occurrences (
    occurrence INTEGER PRIMARY KEY,
    schedule INTEGER NOT NULL,
    scheduled_at REAL NOT NULL,
    through REAL,
    local_time TEXT NOT NULL,
    utc_offset_s INTEGER NOT NULL,
    decided_at REAL NOT NULL,
    input_id TEXT,
    skipped TEXT,
    detail TEXT,
    triggered INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX occurrences_of_schedule ON occurrences (schedule, occurrence);
CREATE UNIQUE INDEX occurrences_by_instant ON occurrences (schedule, scheduled_at) WHERE triggered = 0;

-- Apart from the inputs: a phase changes often, a payload never, and an update writes its whole row.
CREATE TABLE payloads (
    input INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
);

CREATE TABLE receipts (
    receipt INTEGER PRIMARY KEY,
    runtime INTEGER NOT NULL,
    run INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    boundary TEXT NOT NULL,
    input_ids TEXT NOT NULL,
    conversation_digest BLOB,
    message_count INTEGER NOT NULL,
    fence_token INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    durability TEXT NOT NULL,
    committed_at REAL NOT NULL,
    host INTEGER NOT NULL,
    group_number INTEGER NOT NULL,
    chain BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX receipts_by_run ON receipts (run, sequence);

CREATE TABLE entries (
    entry INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    place TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    repeat TEXT NOT NULL,
    arguments_digest BLOB NOT NULL,
    call_key TEXT,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    version TEXT NOT NULL,
    result BLOB,
    -- Over kind, name, repeat, arguments, key, status, result and error.
    result_digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    error TEXT,
    started_at REAL NOT NULL,
    ended_at REAL,
    next_at REAL,
    drawn TEXT,
    -- Of a step with a call id: the place that its branch had reached when it was asked for.
    asked_after TEXT
);
CREATE UNIQUE INDEX entries_by_place ON entries (run, place);
CREATE UNIQUE INDEX entries_by_key ON entries (call_key) WHERE call_key IS NOT NULL;

CREATE TABLE sends (
    send INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    send_index INTEGER NOT NULL,
    boundary INTEGER NOT NULL,
    target TEXT NOT NULL,
    payload_digest BLOB NOT NULL,
    seal BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    refused TEXT,
    input_id TEXT,
    -- Lane, correlation id and kind of the target, where the sender said something of them.
    terms TEXT,
    -- Of what was refused: kinds whose payload class took it when it was sent, each with its version.
    fits TEXT,
    payload BLOB,
    -- A person has taken it out of the record of its run.
    forgotten INTEGER NOT NULL DEFAULT 0,
    -- The entry that it landed with, where it was sent in a branch; its index is below 0 then, and its boundary 0.
    place TEXT,
    created_at REAL NOT NULL
);
CREATE UNIQUE INDEX sends_by_index ON sends (run, send_index);
-- Dead letters: what was refused, until it is retried or dropped.
CREATE INDEX sends_refused ON sends (input_id) WHERE payload IS NOT NULL;

-- Results of inputs: of one input, or with 0 of all that the run consumed at that boundary.

CREATE TABLE results (
    result_key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    boundary INTEGER NOT NULL,
    input INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    result BLOB NOT NULL
);
CREATE UNIQUE INDEX results_of_run ON results (run, boundary, input);

-- Asks: which run waits for the outcome of an input of another runtime.

CREATE TABLE asks (
    ask INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    place TEXT NOT NULL,
    target INTEGER NOT NULL,
    input INTEGER NOT NULL,
    response_id TEXT NOT NULL,
    correlation_id TEXT,
    status TEXT,
    phase TEXT,
    reason TEXT,
    error TEXT,
    begun INTEGER,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    asked_at REAL NOT NULL,
    ended_at REAL
);
CREATE UNIQUE INDEX asks_of_run ON asks (run, place);
CREATE INDEX asks_open ON asks (target) WHERE ended_at IS NULL;

-- Children: which runtimes a runtime has spawned, and what becomes of each with the end of a run, or of its parent.

CREATE TABLE children (
    child_key INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    child INTEGER NOT NULL,
    -- The run that it ends with; NULL: it ends with its parent, or that run has ended.
    run INTEGER,
    scope TEXT NOT NULL CHECK (scope IN ('runtime', 'run')),
    on_end TEXT NOT NULL CHECK (on_end IN ('leave', 'stop', 'destroy')),
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    spawned_at REAL NOT NULL,
    ended_at REAL
);
CREATE UNIQUE INDEX children_by_child ON children (child);
CREATE INDEX children_of_parent ON children (parent, child_key);
CREATE INDEX children_of_run ON children (run) WHERE run IS NOT NULL;

-- Receipts: links of a chain that are no receipt.

CREATE TABLE links (
    link INTEGER PRIMARY KEY,
    runtime INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event TEXT NOT NULL,
    detail TEXT NOT NULL,
    fence_token INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    committed_at REAL NOT NULL,
    group_number INTEGER NOT NULL,
    chain BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX links_by_position ON links (runtime, position);

-- Lifecycle: what a runtime was bound to when a contract verb wrote its state; true as long as the token is the same.

CREATE TABLE bindings (
    runtime INTEGER PRIMARY KEY,
    fence_token INTEGER NOT NULL,
    facts BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

-- Snapshots: what an envelope has beside its messages, apart from the sessions, whose rows change with every append.

CREATE TABLE session_snapshots (
    session INTEGER PRIMARY KEY,
    rewrites BLOB NOT NULL,
    meta BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE quarantines (
    runtime INTEGER PRIMARY KEY,
    since REAL NOT NULL
);

-- Operations: the snapshot of each runtime's registry.

CREATE TABLE operations (
    runtime INTEGER PRIMARY KEY,
    record_version INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    snapshot BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    updated_at REAL NOT NULL
);

-- Credentials: one row for the whole store.

CREATE TABLE oauth_flow (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    snapshot BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    updated_at REAL NOT NULL
);

-- Requests: lifecycle verbs for the owner of a runtime to carry out.

CREATE TABLE requests (
    request INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    runtime INTEGER NOT NULL,
    verb TEXT NOT NULL,
    arguments TEXT NOT NULL,
    host INTEGER NOT NULL,
    created_at REAL NOT NULL,
    done_at REAL,
    answer TEXT
);
CREATE INDEX requests_open ON requests (runtime) WHERE done_at IS NULL;
CREATE INDEX requests_done ON requests (done_at) WHERE done_at IS NOT NULL;

-- Pruning: from where the chain of a runtime goes on.

CREATE TABLE anchors (
    runtime INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    chain BLOB NOT NULL,
    pruned_at REAL NOT NULL
);

-- Journals: a stream without an id was deleted, and its events go in slices. One row of references stands for all events of a
-- stream, because they only go together.

CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    stream_id TEXT UNIQUE,
    runtime INTEGER,
    streamed INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX streams_of_runtime ON streams (runtime) WHERE runtime IS NOT NULL;
CREATE INDEX streams_forgotten ON streams (stream) WHERE stream_id IS NULL;

CREATE TABLE events (
    event INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT,
    version INTEGER NOT NULL,
    facts TEXT,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    recorded_at REAL NOT NULL,
    payload BLOB NOT NULL
);
CREATE UNIQUE INDEX events_by_sequence ON events (stream, sequence);

CREATE TABLE stream_snapshots (
    stream INTEGER PRIMARY KEY,
    cursor INTEGER NOT NULL,
    snapshot BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    saved_at REAL NOT NULL
);

CREATE TABLE stream_logs (
    stream INTEGER PRIMARY KEY,
    log BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    saved_at REAL NOT NULL
);

CREATE TABLE facts (
    fact INTEGER PRIMARY KEY,
    fact_key TEXT NOT NULL UNIQUE,
    form TEXT NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    stored_at REAL NOT NULL,
    value BLOB NOT NULL
);

CREATE TABLE fact_references (
    reference INTEGER PRIMARY KEY,
    fact INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    source TEXT NOT NULL
);
CREATE UNIQUE INDEX fact_references_by_fact ON fact_references (fact, stream, source);
CREATE INDEX fact_references_of_stream ON fact_references (stream);

-- Execution state: the newest snapshot of a tenant stands last; the clock is the highest time that a value was judged by.

CREATE TABLE execution_snapshots (
    saved INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    snapshot BLOB NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    saved_at REAL NOT NULL
);
CREATE INDEX execution_snapshots_of_tenant ON execution_snapshots (tenant_id, saved);

CREATE TABLE execution_bindings (
    binding INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL UNIQUE,
    runtime INTEGER NOT NULL
);

CREATE TABLE state_values (
    entry INTEGER PRIMARY KEY,
    value_key TEXT NOT NULL UNIQUE,
    deadline REAL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    updated_at REAL NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX state_values_by_deadline ON state_values (deadline) WHERE deadline IS NOT NULL;

CREATE TABLE state_clock (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    high_water REAL NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

-- Where a run has moved the head of its session otherwise than by appending: the path as the run sees it, and the node that
-- the head stood on then. `appended` and `added` count messages of the run: all until then, and those of the move itself.

CREATE TABLE session_moves (
    move INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    boundary INTEGER NOT NULL,
    place TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('pop', 'rewrite', 'fork')),
    appended INTEGER NOT NULL,
    added INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    own TEXT NOT NULL,
    node INTEGER,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX session_moves_by_run ON session_moves (run, move);

-- Own state: what a runtime keeps between its runs. A write has the revision of its commit; a value that a later one has
-- replaced stays while a run may see it, and `own_writes` says which boundary of which run wrote a revision until that run ends.

CREATE TABLE own_states (
    runtime INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    names INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE own_values (
    own_value INTEGER PRIMARY KEY,
    runtime INTEGER NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    value BLOB
);
CREATE UNIQUE INDEX own_values_by_name ON own_values (runtime, name, revision);
CREATE INDEX own_values_by_revision ON own_values (runtime, revision);

CREATE TABLE own_writes (
    own_write INTEGER PRIMARY KEY,
    runtime INTEGER NOT NULL,
    run INTEGER NOT NULL,
    boundary INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    taken_back INTEGER NOT NULL DEFAULT 0,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX own_writes_by_run ON own_writes (run, boundary);
CREATE INDEX own_writes_by_revision ON own_writes (runtime, revision);

-- Queued work: a batch that may be claimed has neither a claim nor a time that it waits for; one index finds the next of them.

CREATE TABLE queue_counter (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    last_batch INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE queue_batches (
    batch INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    source_key TEXT,
    claim INTEGER,
    delayed_until INTEGER,
    fence INTEGER NOT NULL,
    delivery TEXT NOT NULL,
    slot TEXT NOT NULL,
    merge_key TEXT NOT NULL,
    available_at INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    payloads BLOB NOT NULL
);
CREATE INDEX queue_batches_in_order ON queue_batches (session_id, claim, delayed_until, batch);
CREATE UNIQUE INDEX queue_batches_by_source ON queue_batches (session_id, source_key) WHERE source_key IS NOT NULL;

CREATE TABLE queue_claims (
    claim INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    claim_id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    lease_token TEXT NOT NULL,
    fencing_token INTEGER NOT NULL,
    host INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL,
    renewals INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    batches TEXT NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX queue_claims_of_session ON queue_claims (session_id);

-- A batch that failed has a row here until it is gone; without a time to try again it is dead.

CREATE TABLE queue_failures (
    batch INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    retry_at INTEGER,
    error TEXT NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX queue_failures_of_session ON queue_failures (session_id, retry_at);

-- A rate holds over all hosts: each start within its time has a row.

CREATE TABLE queue_rates (
    rate INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    starts INTEGER NOT NULL,
    per_ms INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE queue_starts (
    rate INTEGER NOT NULL,
    place INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (rate, place)
);

-- Attachments: their bytes stand in a folder beside the database, under their digest.

CREATE TABLE attachments (
    attachment INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    attachment_id TEXT NOT NULL,
    uri TEXT NOT NULL,
    host INTEGER NOT NULL,
    intent_at INTEGER NOT NULL,
    committed_at INTEGER,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX attachments_by_id ON attachments (attachment_id, session_id);
CREATE INDEX attachments_of_session ON attachments (session_id, attachment);
CREATE INDEX attachments_uncommitted ON attachments (intent_at) WHERE committed_at IS NULL;

CREATE TABLE attachment_removals (
    removal INTEGER PRIMARY KEY,
    attachment_id TEXT NOT NULL UNIQUE,
    host INTEGER NOT NULL
);

-- Output: what one commit has of the words of one run. `number` counts the entries of its speech, `total` those of its runtime,
-- both with its own. A floor is the last place of a runtime whose entry is gone.

CREATE TABLE output_chunks (
    chunk INTEGER PRIMARY KEY,
    runtime INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    speech TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    total INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    said_at REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX output_chunks_of_runtime ON output_chunks (runtime, chunk);

CREATE TABLE output_floors (
    runtime INTEGER PRIMARY KEY,
    chunk INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
-- A reader of the output of all asks for the highest each time.
CREATE INDEX output_floors_by_chunk ON output_floors (chunk);

-- Labels: names with values by which a caller finds runtimes. A set says of how many labels it is, and seals them.

CREATE TABLE label_sets (
    runtime INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1,
    labelled_at REAL NOT NULL
);

CREATE TABLE labels (
    label INTEGER PRIMARY KEY,
    runtime INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    runtime_id TEXT NOT NULL
);
-- Of a whole label, so that a list reads no row besides; a name is there once, which the digest of the set holds.
CREATE INDEX labels_of_runtime ON labels (runtime, name, value, runtime_id);
-- In the order of lists.
CREATE INDEX labels_by_value ON labels (name, value, runtime_id);

-- Erasing: runtimes whose content goes for ever. `stage` says how far it has come (facets/erasing/erasing.py).

CREATE TABLE erasures (
    runtime INTEGER PRIMARY KEY,
    peers INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    asked_at REAL NOT NULL,
    done_at REAL
);

-- Promotion: a store that comes from another place and is not whole yet, one that came from there, or one that is gone there.

CREATE TABLE promotion (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    promotion_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('coming', 'here', 'gone')),
    store_id TEXT NOT NULL,
    place TEXT NOT NULL,
    logical_hash TEXT NOT NULL,
    promoted_at REAL NOT NULL,
    digest BLOB NOT NULL,
    scheme INTEGER NOT NULL DEFAULT 1
);
