-- What the team remembers. `place` is a scope and whose, as private:devops; `superseded` is '' while an entry is in use.
CREATE TABLE memories (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    layer INTEGER NOT NULL,
    secrecy TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    untrusted INTEGER NOT NULL,
    superseded TEXT NOT NULL DEFAULT '',
    body BLOB NOT NULL
) STRICT;
-- What is in view is chosen in the index alone: only what is shown is read.
CREATE INDEX memories_place ON memories (place, layer, at_ms, secrecy, untrusted, expires_at_ms) WHERE superseded = '';
CREATE INDEX memories_gone ON memories (at_ms) WHERE superseded <> '';
CREATE INDEX memories_expire ON memories (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

-- Whose words or affairs an entry comes from.
CREATE TABLE memory_people (
    person TEXT NOT NULL,
    memory INTEGER NOT NULL,
    PRIMARY KEY (person, memory)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_people_memory ON memory_people (memory);

-- The words of entries in use, made plain by us, so that every store finds the same; and one word for the place, so
-- that a search of one role never reads what is others'.
CREATE VIRTUAL TABLE memory_words USING fts5 (words, place, detail = column, tokenize = "unicode61 remove_diacritics 0");
