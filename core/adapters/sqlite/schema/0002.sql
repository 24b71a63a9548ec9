-- Chat platforms: messages in several parts, sends whose outcome is in doubt, and people's linked accounts.

ALTER TABLE posts ADD COLUMN part INTEGER NOT NULL DEFAULT 0;
ALTER TABLE posts ADD COLUMN doubt INTEGER NOT NULL DEFAULT 0;

CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the team has been given work: is a thread ours, and which were lately?
CREATE INDEX tasks_place ON tasks (conversation) WHERE id = root;

-- The inbox: filters stand in an index, so that what is looked through is small, however much is open.
ALTER TABLE inquiries ADD COLUMN overdue INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inquiries ADD COLUMN tier TEXT NOT NULL DEFAULT '';
UPDATE inquiries SET
    overdue = json_extract(CAST(body AS TEXT), '$.overdue'), tier = json_extract(CAST(body AS TEXT), '$.tier')
WHERE active = 1;
CREATE INDEX inquiries_waiting ON inquiries (overdue, tier) WHERE active = 1;

-- Who may decide what is open, at its present stage, and whether they have voted on its present revision; the filters
-- stand here, too, so that what waits for one person is one look along the key.
CREATE TABLE deciders (
    person TEXT NOT NULL,
    inquiry INTEGER NOT NULL,
    voted INTEGER NOT NULL,
    overdue INTEGER NOT NULL,
    tier TEXT NOT NULL,
    PRIMARY KEY (person, inquiry)
) STRICT, WITHOUT ROWID;
CREATE INDEX deciders_inquiry ON deciders (inquiry);
INSERT INTO deciders (person, inquiry, voted, overdue, tier)
SELECT DISTINCT
    person.value, i.seq,
    EXISTS (
        SELECT 1 FROM votes AS v
        WHERE v.inquiry = i.id AND v.revision = i.revision AND v.principal = person.value AND v.active = 1
            AND json_extract(CAST(v.body AS TEXT), '$.verb') <> 'view'
    ),
    i.overdue, i.tier
FROM inquiries AS i, json_each(
    CAST(i.body AS TEXT), '$.stages[' || json_extract(CAST(i.body AS TEXT), '$.stage') || '].eligible'
) AS person
WHERE i.active = 1;

-- What has ended, to be searched: `people` is a JSON list of who decided, `found_by` the words it is found by.
CREATE TABLE decisions (
    inquiry INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    people TEXT NOT NULL,
    found_by TEXT NOT NULL
) STRICT;
CREATE INDEX decisions_at ON decisions (at_ms);
INSERT INTO decisions (inquiry, at_ms, state, people, found_by)
SELECT
    seq,
    coalesce(json_extract(CAST(body AS TEXT), '$.resolution.at_ms'), json_extract(CAST(body AS TEXT), '$.updated_at_ms')),
    state,
    coalesce(json_extract(CAST(body AS TEXT), '$.resolution.by'), '[]'),
    lower(words)
FROM (
    SELECT seq, state, body,
        id || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.role'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.question'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.why'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.resolution.reason'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.action.tool'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.action.verb'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.action.resource'), '')
        || char(10) || coalesce(json_extract(CAST(body AS TEXT), '$.action.says'), '') AS words
    FROM inquiries WHERE active = 0
);
