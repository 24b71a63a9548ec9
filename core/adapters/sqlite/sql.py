"""Every statement, by the name of the guard, change, claim or query it serves. Nothing else in the adapter speaks SQL.

A guard's statement yields a row when the guard holds. Times are milliseconds and come in as parameters: the store's
clock is the only one.
"""

from __future__ import annotations

from typing import Final

from core.model.unit import Table

# --- Guards ---------------------------------------------------------------------------------------------------------

VERSION: Final = {
    Table.TASK: "SELECT 1 FROM tasks WHERE id = ? AND version = ?",
    Table.INQUIRY: "SELECT 1 FROM inquiries WHERE id = ? AND version = ?",
}
VERSION_ABSENT: Final = {
    Table.TASK: "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = ?)",
    Table.INQUIRY: "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM inquiries WHERE id = ?)",
}
FENCE: Final = {
    Table.EFFECT: "SELECT 1 FROM effects WHERE id = ? AND fence = ? AND state = 'started'",
    Table.POST: "SELECT 1 FROM posts WHERE id = ? AND fence = ? AND state = 'sending'",
}
_STATE = (
    "SELECT 1 WHERE coalesce((SELECT {column} FROM {table} WHERE {key} = ?), '') IN (SELECT value FROM json_each(?))"
)
STATE: Final = {
    Table.EVENT: _STATE.format(table="events", key="key", column="state"),
    Table.SIGNAL: _STATE.format(table="signals", key="id", column="state"),
    Table.TASK: _STATE.format(table="tasks", key="id", column="phase"),
    Table.EFFECT: _STATE.format(table="effects", key="id", column="state"),
    Table.INQUIRY: _STATE.format(table="inquiries", key="id", column="state"),
    Table.GRANT: _STATE.format(table="grants", key="id", column="state"),
    Table.ATTEMPT: _STATE.format(table="attempts", key="id", column="state"),
    Table.POST: _STATE.format(table="posts", key="id", column="state"),
    Table.MEMORY: _STATE.format(table="memories", key="id", column="iif(superseded = '', 'live', 'superseded')"),
}
ROOM: Final = """
SELECT 1 WHERE
    coalesce((SELECT tokens + reserved_tokens FROM budgets WHERE scope = :scope), 0) + :tokens <= :tokens_max
    AND coalesce((SELECT microusd + reserved_microusd FROM budgets WHERE scope = :scope), 0) + :microusd
        <= :microusd_max
"""
ONCE_LOOK: Final = "SELECT digest FROM once WHERE key = ?"
ONCE_KEEP: Final = "INSERT INTO once (key, digest) VALUES (?, ?)"

# --- Changes: events, signals ---------------------------------------------------------------------------------------

ADD_EVENT: Final = "INSERT INTO events (key, body) VALUES (?, ?)"
ADD_LINE_OF_EVENT: Final = "INSERT INTO lines (conversation, event) VALUES (?, last_insert_rowid())"
CLOSE_EVENT: Final = "UPDATE events SET state = 'done', task = ? WHERE key = ?"
ADD_SIGNAL: Final = """
INSERT INTO signals (id, task, due_at_ms, body) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET due_at_ms = excluded.due_at_ms WHERE state = 'new'
"""
CLOSE_SIGNAL: Final = "UPDATE signals SET state = 'done' WHERE id = ?"

# --- Changes: tasks, journal, effects -------------------------------------------------------------------------------

# A step of an open task leaves its indexed columns alone: SQLite rewrites an index for every column an UPDATE names.
STEP_TASK: Final = "UPDATE tasks SET version = ?, phase = ?, body = ? WHERE id = ? AND open = 1"
PUT_TASK: Final = """
INSERT INTO tasks (id, root, path, role, conversation, phase, open, version, body)
VALUES (
    :id, :root, coalesce((SELECT path FROM tasks WHERE id = :parent), '/') || :id || '/', :role, :conversation,
    :phase, :open, :version, :body
)
ON CONFLICT (id) DO UPDATE SET
    phase = excluded.phase, open = excluded.open, version = excluded.version, body = excluded.body
"""
ADD_ENTRY: Final = "INSERT INTO entries (task, n, body) VALUES (?, ?, ?)"
ADD_EFFECT: Final = """
INSERT INTO effects (id, task, role, state, fence, attempt_n, holder, lease_until_ms, boot, not_before_ms, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
END_EFFECT: Final = "UPDATE effects SET state = 'ended' WHERE id = ?"
REQUEUE_EFFECT: Final = """
UPDATE effects SET state = 'queued', not_before_ms = ?, attempt_n = attempt_n - ? WHERE id = ? AND state = 'started'
"""

# --- Changes: inquiries ---------------------------------------------------------------------------------------------

PUT_INQUIRY: Final = """
INSERT INTO inquiries (id, root, state, active, revision, version, overdue, tier, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, active = excluded.active, revision = excluded.revision, version = excluded.version,
    overdue = excluded.overdue, tier = excluded.tier, body = excluded.body
"""
DROP_DECIDERS: Final = """
DELETE FROM deciders WHERE inquiry = (SELECT seq FROM inquiries WHERE id = :id)
    AND person NOT IN (SELECT value FROM json_each(:people))
"""
# A single operator's first press is a look, and no vote.
_VOTED = """
EXISTS (
    SELECT 1 FROM votes AS v
    WHERE v.inquiry = i.id AND v.revision = i.revision AND v.principal = {person} AND v.active = 1
        AND json_extract(CAST(v.body AS TEXT), '$.verb') <> 'view'
)
"""
PUT_DECIDERS: Final = f"""
INSERT INTO deciders (person, inquiry, voted, overdue, tier)
SELECT person.value, i.seq, {_VOTED.format(person="person.value")}, i.overdue, i.tier
FROM inquiries AS i, json_each(:people) AS person WHERE i.id = :id
ON CONFLICT (person, inquiry) DO UPDATE SET
    voted = excluded.voted, overdue = excluded.overdue, tier = excluded.tier
"""  # noqa: S608  constants
NOTE_VOTE: Final = f"""
UPDATE deciders SET voted = (SELECT {_VOTED.format(person=":person")} FROM inquiries AS i WHERE i.id = :id)
WHERE person = :person AND inquiry = (SELECT seq FROM inquiries WHERE id = :id)
"""  # noqa: S608  constants
DROP_DECISION: Final = "DELETE FROM decisions WHERE inquiry = (SELECT seq FROM inquiries WHERE id = :id)"
PUT_DECISION: Final = """
INSERT OR REPLACE INTO decisions (inquiry, at_ms, state, people, found_by)
SELECT seq, :at_ms, :state, :by, :found_by FROM inquiries WHERE id = :id
"""
RETIRE_VOTE: Final = """
UPDATE votes SET active = 0
WHERE inquiry = ? AND revision = ? AND stage = ? AND principal = ? AND active = 1
    AND NOT EXISTS (SELECT 1 FROM votes WHERE callback = ?)
"""
PUT_VOTE: Final = """
INSERT INTO votes (inquiry, revision, stage, principal, callback, active, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (callback) DO NOTHING
"""
PUT_GRANT: Final = "INSERT INTO grants (id, inquiry, state, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
USE_GRANT: Final = """
UPDATE grants SET
    body = CAST(json_set(CAST(body AS TEXT), '$.used_n', :used_n) AS BLOB),
    state = iif(:used_n >= coalesce(json_extract(CAST(body AS TEXT), '$.bounds.count_max'), 1), 'consumed', state)
WHERE id = :id AND state = 'live' AND coalesce(json_extract(CAST(body AS TEXT), '$.used_n'), 0) = :used_n - 1
"""
MOVE_GRANT: Final = "UPDATE grants SET state = ? WHERE id = ?"
PUT_ATTEMPT: Final = "INSERT INTO attempts (id, state, body) VALUES (?, ?, ?)"
MOVE_ATTEMPT: Final = "UPDATE attempts SET state = ? WHERE id = ?"
PUT_DELIVERY: Final = """
INSERT INTO deliveries (id, inquiry, nonce_hash, state, receipt, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    inquiry = excluded.inquiry, nonce_hash = excluded.nonce_hash, state = excluded.state, receipt = excluded.receipt,
    body = excluded.body
"""
MOVE_DELIVERY: Final = """
UPDATE deliveries SET state = :state, receipt = CASE WHEN :receipt = '' THEN receipt ELSE :receipt END WHERE id = :id
"""

# --- Changes: posts -------------------------------------------------------------------------------------------------

# A post takes over the wait of the one it supersedes: a status line must not escape a rate limit by being newer.
ADD_POST: Final = """
INSERT INTO posts (id, platform, conversation, slot, rank, state, not_before_ms, body)
VALUES (
    :id, :platform, :conversation, :slot, :rank, 'queued',
    coalesce((
        SELECT max(not_before_ms) FROM posts
        WHERE slot = :slot AND conversation = :conversation AND state = 'queued' AND :slot <> ''
    ), 0),
    :body
)
ON CONFLICT (id) DO NOTHING
"""
SUPERSEDE_POSTS: Final = """
UPDATE posts SET state = 'superseded'
WHERE slot = :slot AND conversation = :conversation AND state = 'queued' AND id <> :id AND :slot <> ''
"""
ADD_LINE_OF_POST: Final = "INSERT INTO lines (conversation, post) SELECT conversation, seq FROM posts WHERE id = :id"
MOVE_POST: Final = """
UPDATE posts SET
    state = :state, receipt = CASE WHEN :receipt = '' THEN receipt ELSE :receipt END, not_before_ms = :not_before_ms,
    error = :error, part = :part, doubt = :doubt
WHERE id = :id
"""
# Back in the queue behind a newer one of its slot, a post is out of date; the newer one takes over its wait.
DEFER_NEWER_POST: Final = """
UPDATE posts SET not_before_ms = max(posts.not_before_ms, :not_before_ms)
FROM posts AS old
WHERE old.id = :id AND old.slot <> '' AND posts.slot = old.slot AND posts.conversation = old.conversation
    AND posts.seq > old.seq AND posts.state = 'queued'
"""
RETIRE_OLDER_POST: Final = """
UPDATE posts SET state = 'superseded'
WHERE id = :id AND state = 'queued' AND slot <> '' AND EXISTS (
    SELECT 1 FROM posts AS newer
    WHERE newer.slot = posts.slot AND newer.conversation = posts.conversation AND newer.seq > posts.seq
)
"""

# --- Changes: budgets, audit, the rest ------------------------------------------------------------------------------

RESERVE: Final = """
INSERT INTO reservations (id, scope, tokens, microusd) VALUES (?, ?, ?, ?) ON CONFLICT (id, scope) DO NOTHING
"""
RESERVE_SAME: Final = "SELECT 1 FROM reservations WHERE id = ? AND scope = ? AND tokens = ? AND microusd = ?"
RESERVE_HOLD: Final = """
INSERT INTO budgets (scope, reserved_tokens, reserved_microusd) VALUES (?, ?, ?)
ON CONFLICT (scope) DO UPDATE SET
    reserved_tokens = reserved_tokens + excluded.reserved_tokens,
    reserved_microusd = reserved_microusd + excluded.reserved_microusd
"""
SETTLE_BOOK: Final = """
UPDATE budgets SET
    tokens = budgets.tokens + :tokens, microusd = budgets.microusd + :microusd,
    reserved_tokens = reserved_tokens - held.tokens, reserved_microusd = reserved_microusd - held.microusd
FROM reservations AS held
WHERE held.id = :id AND held.settled = 0 AND budgets.scope = held.scope
"""
SETTLE_RELEASE: Final = "UPDATE reservations SET settled = 1 WHERE id = :id AND settled = 0"
ADD_AUDIT: Final = "INSERT INTO audit (id, body) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
SEAL: Final = """
UPDATE audit SET seq = :seq, previous = :previous, hash = :hash
WHERE id = :id AND seq IS NULL
    AND :seq = coalesce((SELECT max(seq) FROM audit), 0) + 1
    AND :previous = coalesce((SELECT hash FROM audit WHERE seq = :seq - 1), '')
"""
PUT_BLOB: Final = "INSERT INTO blobs (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING"
LINK_ACCOUNT: Final = """
INSERT INTO accounts (account, person, body) VALUES (?, ?, ?)
ON CONFLICT (account) DO UPDATE SET person = excluded.person, body = excluded.body
"""
UNLINK_ACCOUNT: Final = "DELETE FROM accounts WHERE account = ?"
PAUSE: Final = "INSERT INTO pauses (scope, by) VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET by = excluded.by"
RESUME: Final = "DELETE FROM pauses WHERE scope = ?"
SET_META: Final = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

# --- Claims ---------------------------------------------------------------------------------------------------------

_PAUSED = """
EXISTS (
    SELECT 1 FROM pauses AS p
    WHERE p.scope = 'all' OR p.scope = 'role:' || {role}
        OR (substr(p.scope, 1, 5) = 'task:' AND instr(t.path, '/' || substr(p.scope, 6) || '/') > 0)
)
"""
# A lapsed effect holds no place any more, and goes first when places are given out again. What is stopped may still
# wind down: only tasks that work are held.
FIND_EFFECTS: Final = f"""
WITH running AS (
    SELECT role, count(*) AS n FROM effects
    WHERE state = 'started' AND lease_until_ms > :now AND boot >= :boot GROUP BY role
), waiting AS (
    SELECT seq, task, role, 1 AS lapsed FROM effects
    WHERE state = 'started' AND (lease_until_ms <= :now OR boot < :boot)
    UNION ALL
    SELECT seq, task, role, 0 AS lapsed FROM effects WHERE state = 'queued' AND not_before_ms <= :now
), ranked AS (
    SELECT w.seq, w.role, w.lapsed, t.body AS task_body,
        row_number() OVER (PARTITION BY w.role ORDER BY w.lapsed DESC, w.seq) AS place
    FROM waiting AS w JOIN tasks AS t ON t.id = w.task
    WHERE t.phase <> 'working' OR NOT {_PAUSED.format(role="w.role")}
)
SELECT ranked.seq, ranked.lapsed, ranked.task_body FROM ranked
LEFT JOIN running ON running.role = ranked.role
LEFT JOIN json_each(:caps) AS cap ON cap.key = ranked.role
LEFT JOIN json_each(:batches) AS batch ON batch.key = ranked.role
WHERE ranked.place + coalesce(running.n, 0) <= coalesce(cap.value, 1) AND ranked.place <= coalesce(batch.value, :n)
ORDER BY ranked.lapsed DESC, ranked.seq LIMIT :n
"""  # noqa: S608  both halves are constants
LEASE_EFFECT: Final = """
UPDATE effects SET
    state = 'started', fence = fence + 1, attempt_n = attempt_n + 1, holder = ?, lease_until_ms = ?, boot = ?
WHERE seq = ? RETURNING body, fence, attempt_n
"""
# What is being sent stands first in its lane and blocks it, until its lease runs out: then it is the head again.
FIND_POSTS: Final = """
WITH lanes AS (
    SELECT seq, rank, state, doubt, lease_until_ms, boot,
        row_number() OVER (
            PARTITION BY conversation ORDER BY state = 'sending' DESC, part > 0 DESC, rank, seq
        ) AS place,
        max(state = 'queued' AND not_before_ms > :now) OVER (PARTITION BY conversation) AS waits
    FROM posts
    WHERE state IN ('queued', 'sending') AND platform IN (SELECT value FROM json_each(:platforms))
)
SELECT seq, state = 'sending' OR doubt FROM lanes
WHERE place = 1 AND CASE state
    WHEN 'sending' THEN lease_until_ms <= :now OR boot < :boot
    ELSE NOT waits
END
ORDER BY rank, seq LIMIT :n
"""
LEASE_POST: Final = """
UPDATE posts SET
    state = 'sending', fence = fence + 1, attempt_n = attempt_n + 1, holder = ?, lease_until_ms = ?, boot = ?
WHERE seq = ? RETURNING body, fence, attempt_n, slot, conversation, part, receipt
"""
EDITS: Final = """
SELECT receipt FROM posts
WHERE slot = ? AND conversation = ? AND state = 'sent' AND receipt <> '' AND slot <> ''
ORDER BY seq DESC LIMIT 1
"""
DUE_EVENTS: Final = "SELECT seq, body FROM events WHERE state = 'new' ORDER BY seq LIMIT ?"
DUE_SIGNALS: Final = """
SELECT body, due_at_ms FROM signals WHERE state = 'new' AND due_at_ms <= ? ORDER BY due_at_ms, seq LIMIT ?
"""
DUE_NEXT: Final = "SELECT min(due_at_ms) FROM signals WHERE state = 'new' AND due_at_ms > ?"
BOOT: Final = "SELECT value FROM meta WHERE name = 'engine.boot'"
NEW_BOOT: Final = """
INSERT INTO meta (name, value) VALUES ('engine.boot', '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) RETURNING value
"""

# --- Queries: tasks -------------------------------------------------------------------------------------------------

READ_TASK: Final = "SELECT body FROM tasks WHERE id = ?"
READ_JOURNAL: Final = "SELECT n, body FROM entries WHERE task = ? AND n > ? ORDER BY n"
_TASK_ROW = f"""
SELECT t.body,
    {_PAUSED.format(role="t.role")} AS paused,
    EXISTS (SELECT 1 FROM effects WHERE task = t.id AND state <> 'ended' AND state = 'started') AS leased,
    EXISTS (SELECT 1 FROM effects WHERE task = t.id AND state <> 'ended' AND state = 'queued')
        OR EXISTS (SELECT 1 FROM signals WHERE task = t.id AND state = 'new' AND due_at_ms <= :now) AS ready
FROM tasks AS t
"""  # noqa: S608  constants
READ_TASKS: Final = _TASK_ROW + "ORDER BY seq DESC LIMIT :n"
READ_TASKS_OPEN: Final = _TASK_ROW + "WHERE open = 1 ORDER BY seq DESC LIMIT :n"
READ_TREE: Final = _TASK_ROW + "WHERE root = :root ORDER BY seq LIMIT :n"
READ_TREE_OPEN: Final = _TASK_ROW + "WHERE root = :root AND +open = 1 ORDER BY seq LIMIT :n"
READ_OPEN_ROOT: Final = """
SELECT body FROM tasks WHERE conversation = ? AND open = 1 AND id = root ORDER BY seq DESC LIMIT 1
"""
READ_TASK_IDS: Final = "SELECT id FROM tasks WHERE id >= ? AND id < ? ORDER BY id LIMIT 10"
READ_EFFECTS: Final = """
SELECT body, task, role, state, fence, not_before_ms, attempt_n FROM effects
WHERE task = ? AND state <> 'ended' ORDER BY seq
"""

# --- Queries: inquiries ---------------------------------------------------------------------------------------------

READ_INQUIRY: Final = """
SELECT 'inquiry', body, '', '' FROM inquiries WHERE id = :id
UNION ALL SELECT * FROM (
    SELECT 'vote', v.body, '', '' FROM votes AS v JOIN inquiries AS i ON i.id = v.inquiry AND i.revision = v.revision
    WHERE v.inquiry = :id AND v.active = 1 ORDER BY v.seq
)
UNION ALL SELECT * FROM (SELECT 'delivery', body, state, receipt FROM deliveries WHERE inquiry = :id ORDER BY seq)
UNION ALL SELECT * FROM (SELECT 'grant', body, state, '' FROM grants WHERE inquiry = :id ORDER BY seq DESC LIMIT 1)
"""
READ_INQUIRY_IDS: Final = "SELECT id FROM inquiries WHERE id >= ? AND id < ? ORDER BY id LIMIT 10"
READ_INQUIRIES: Final = "SELECT body FROM inquiries ORDER BY seq LIMIT :n"
READ_INQUIRIES_ACTIVE: Final = "SELECT body FROM inquiries WHERE active = 1 ORDER BY seq LIMIT :n"
READ_INQUIRIES_OF: Final = "SELECT body FROM inquiries WHERE root = :root ORDER BY seq LIMIT :n"
READ_INQUIRIES_OF_ACTIVE: Final = "SELECT body FROM inquiries WHERE root = :root AND +active = 1 ORDER BY seq LIMIT :n"
# `any` is 0, or 1 when only what is overdue is wanted. The index holds all that is asked of it.
_WAITING = """
FROM inquiries INDEXED BY inquiries_waiting
WHERE active = 1 AND overdue IN (1, :any) AND (:tier = '' OR tier = :tier)
"""
_WAITING_FOR = """
FROM deciders
WHERE person = :person AND voted = 0 AND overdue IN (1, :any) AND (:tier = '' OR tier = :tier)
"""
READ_WAITING: Final = f"""
SELECT body FROM inquiries WHERE seq IN (SELECT seq {_WAITING} ORDER BY seq LIMIT :n) ORDER BY seq
"""  # noqa: S608  constants
READ_WAITING_N: Final = f"SELECT count(*) {_WAITING}"
READ_WAITING_FOR: Final = f"""
SELECT body FROM inquiries WHERE seq IN (SELECT inquiry {_WAITING_FOR} ORDER BY inquiry LIMIT :n) ORDER BY seq
"""  # noqa: S608  constants
READ_WAITING_FOR_N: Final = f"SELECT count(*) {_WAITING_FOR}"
READ_VOTES: Final = """
SELECT v.body FROM json_each(:ids) AS wanted
JOIN inquiries AS i ON i.id = wanted.value
JOIN votes AS v ON v.inquiry = i.id AND v.revision = i.revision AND v.active = 1
ORDER BY v.seq
"""
READ_DECISIONS: Final = """
SELECT i.body FROM decisions AS d JOIN inquiries AS i ON i.seq = d.inquiry
WHERE d.at_ms >= :since_ms AND (:state = '' OR d.state = :state)
    AND (
        :who = '' OR EXISTS (SELECT 1 FROM json_each(d.people) WHERE value = :who)
        OR EXISTS (SELECT 1 FROM votes AS v WHERE v.inquiry = i.id AND v.active = 1 AND v.principal = :who)
    )
    AND NOT EXISTS (SELECT 1 FROM json_each(:what) WHERE instr(d.found_by, value) = 0)
ORDER BY d.at_ms DESC, d.inquiry DESC LIMIT :n
"""
READ_DELIVERY: Final = "SELECT body, state, receipt FROM deliveries WHERE nonce_hash = ? ORDER BY seq DESC LIMIT 1"
READ_GRANT: Final = "SELECT body, state FROM grants WHERE id = ?"
READ_ATTEMPT: Final = "SELECT body, state FROM attempts WHERE id = ?"

# --- Queries: conversations -----------------------------------------------------------------------------------------

READ_TALKED: Final = "SELECT 1 FROM tasks WHERE conversation = ? AND id = root LIMIT 1"
READ_PLACES: Final = """
SELECT conversation FROM tasks WHERE conversation >= ? AND conversation < ? AND id = root
GROUP BY conversation ORDER BY max(seq) DESC LIMIT ?
"""
READ_SAID: Final = """
SELECT e.body, p.body FROM lines AS l
LEFT JOIN events AS e ON e.seq = l.event
LEFT JOIN posts AS p ON p.seq = l.post
WHERE l.conversation = :conversation
    AND (:since_ms = 0 OR json_extract(CAST(coalesce(e.body, p.body) AS TEXT), '$.at_ms') >= :since_ms)
    AND (p.state IS NULL OR p.state NOT IN ('superseded', 'dead'))
ORDER BY l.n DESC LIMIT :n
"""
READ_POSTS: Final = "SELECT body, state, receipt, error FROM posts ORDER BY seq DESC LIMIT :n"
READ_POSTS_IN: Final = """
SELECT body, state, receipt, error FROM posts WHERE conversation = :conversation ORDER BY seq DESC LIMIT :n
"""
READ_POSTS_OF: Final = "SELECT body, state, receipt, error FROM posts WHERE slot = :slot ORDER BY seq DESC LIMIT :n"
READ_POSTS_OF_IN: Final = """
SELECT body, state, receipt, error FROM posts
WHERE slot = :slot AND conversation = :conversation ORDER BY seq DESC LIMIT :n
"""
READ_EVENT_TASK: Final = "SELECT task FROM events WHERE key = ?"

# --- Queries: the rest ----------------------------------------------------------------------------------------------

READ_SPENT: Final = "SELECT tokens, microusd, reserved_tokens, reserved_microusd FROM budgets WHERE scope = ?"
READ_PAUSED: Final = "SELECT scope FROM pauses ORDER BY scope"
READ_BLOB: Final = "SELECT body FROM blobs WHERE hash = ?"
READ_ACCOUNT: Final = "SELECT body FROM accounts WHERE account = ?"
READ_ACCOUNTS: Final = "SELECT body FROM accounts ORDER BY account"
READ_META: Final = "SELECT value FROM meta WHERE name = ?"
READ_FACTS: Final = "SELECT name, value FROM meta WHERE name >= ? AND name < ? AND value <> '' ORDER BY name LIMIT ?"
READ_UNSEALED: Final = "SELECT body FROM audit WHERE seq IS NULL ORDER BY n LIMIT ?"
READ_CHAIN: Final = "SELECT seq, hash, previous, body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
READ_CHAIN_HEAD: Final = "SELECT seq, hash FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
READ_COUNTS: Final = f"""
SELECT
    (SELECT count(*) FROM events WHERE state = 'new'),
    (SELECT count(*) FROM signals WHERE state = 'new' AND due_at_ms <= :now),
    (
        SELECT count(*) FROM effects AS e LEFT JOIN tasks AS t ON t.id = e.task
        WHERE e.state <> 'ended' AND NOT {_PAUSED.format(role="e.role")}
    ),
    (
        SELECT count(*) FROM posts WHERE state IN ('queued', 'sending')
        AND (:platforms IS NULL OR platform IN (SELECT value FROM json_each(:platforms)))
    ),
    (SELECT count(*) FROM tasks WHERE open = 1),
    (SELECT count(*) FROM inquiries WHERE active = 1)
"""  # noqa: S608  constants
