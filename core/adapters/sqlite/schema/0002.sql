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
