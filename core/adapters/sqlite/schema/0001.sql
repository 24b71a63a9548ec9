-- Bodies are JSON as msgspec writes it; beside them stand only the columns that a guard, a claim or a query looks at.
-- `seq` is the order of arrival. Partial indexes keep what is finished out of the way of what is not.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE once (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL DEFAULT 'new',
    task TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX events_new ON events (state) WHERE state = 'new';

CREATE TABLE signals (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    due_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'new',
    body BLOB NOT NULL
) STRICT;
CREATE INDEX signals_due ON signals (due_at_ms) WHERE state = 'new';
CREATE INDEX signals_task ON signals (task) WHERE state = 'new';

-- `path` is every ancestor's id and its own, as /t-a/t-b/: a pause of a tree is a search in it.
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    role TEXT NOT NULL,
    conversation TEXT NOT NULL,
    phase TEXT NOT NULL,
    open INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX tasks_root ON tasks (root);
CREATE INDEX tasks_open ON tasks (open) WHERE open = 1;
CREATE INDEX tasks_talk ON tasks (conversation) WHERE open = 1 AND id = root;

CREATE TABLE entries (
    task TEXT NOT NULL,
    n INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (task, n)
) STRICT;

CREATE TABLE effects (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    fence INTEGER NOT NULL,
    attempt_n INTEGER NOT NULL,
    holder TEXT NOT NULL,
    lease_until_ms INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX effects_queued ON effects (role) WHERE state = 'queued';
CREATE INDEX effects_started ON effects (role) WHERE state = 'started';
CREATE INDEX effects_task ON effects (task) WHERE state <> 'ended';

CREATE TABLE inquiries (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    state TEXT NOT NULL,
    active INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX inquiries_active ON inquiries (active) WHERE active = 1;
CREATE INDEX inquiries_root ON inquiries (root);

CREATE TABLE votes (
    seq INTEGER PRIMARY KEY,
    callback TEXT NOT NULL UNIQUE,
    inquiry TEXT NOT NULL,
    revision INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    principal TEXT NOT NULL,
    active INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX votes_active ON votes (inquiry, revision, stage, principal) WHERE active = 1;

CREATE TABLE grants (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    inquiry TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX grants_inquiry ON grants (inquiry);

CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    inquiry TEXT NOT NULL,
    nonce_hash TEXT NOT NULL,
    state TEXT NOT NULL,
    receipt TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX deliveries_inquiry ON deliveries (inquiry);
CREATE INDEX deliveries_nonce ON deliveries (nonce_hash);

CREATE TABLE posts (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    platform TEXT NOT NULL,
    conversation TEXT NOT NULL,
    slot TEXT NOT NULL,
    rank INTEGER NOT NULL,
    state TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    attempt_n INTEGER NOT NULL DEFAULT 0,
    holder TEXT NOT NULL DEFAULT '',
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    boot INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    receipt TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    body BLOB NOT NULL
) STRICT;
CREATE INDEX posts_open ON posts (conversation, rank) WHERE state IN ('queued', 'sending');
CREATE INDEX posts_slot ON posts (slot, conversation);
CREATE INDEX posts_conversation ON posts (conversation);

-- What was said in a conversation, in one order: a person's event or an answer's post.
CREATE TABLE lines (
    n INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    event INTEGER,
    post INTEGER
) STRICT;
CREATE INDEX lines_conversation ON lines (conversation);

CREATE TABLE budgets (
    scope TEXT PRIMARY KEY,
    tokens INTEGER NOT NULL DEFAULT 0,
    microusd INTEGER NOT NULL DEFAULT 0,
    reserved_tokens INTEGER NOT NULL DEFAULT 0,
    reserved_microusd INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    microusd INTEGER NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (id, scope)
) STRICT, WITHOUT ROWID;

-- `seq`, `previous` and `hash` are filled when the sealer links the row; until then `seq` is NULL.
CREATE TABLE audit (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    seq INTEGER UNIQUE,
    previous TEXT,
    hash TEXT,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE blobs (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE pauses (
    scope TEXT PRIMARY KEY,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
