"""The statements about what the team remembers, by the name of the change or query each serves (see sql.py)."""

from __future__ import annotations

from typing import Final

# --- Changes --------------------------------------------------------------------------------------------------------

PUT: Final = """
INSERT INTO memories (id, place, layer, secrecy, at_ms, expires_at_ms, untrusted, superseded, body)
VALUES (:id, :place, :layer, :secrecy, :at_ms, :expires_at_ms, :untrusted, :superseded, :body)
ON CONFLICT (id) DO NOTHING
"""
PUT_PEOPLE: Final = """
INSERT INTO memory_people (person, memory)
SELECT DISTINCT p.value, m.seq FROM memories AS m, json_each(:people) AS p WHERE m.id = :id
"""
PUT_WORDS: Final = """
INSERT INTO memory_words (rowid, words, place) SELECT seq, :words, :place_word FROM memories WHERE id = :id
"""
# Only what is in use has words. Both look at the row before it changes.
DROP_WORDS: Final = """
DELETE FROM memory_words WHERE rowid IN (SELECT seq FROM memories WHERE id = :id AND superseded = '')
"""
SUPERSEDE: Final = "UPDATE memories SET superseded = :by WHERE id = :id AND superseded = ''"
FIND_FORGOTTEN: Final = """
SELECT seq FROM memories WHERE id IN (SELECT value FROM json_each(:ids))
UNION SELECT memory FROM memory_people WHERE person = :person
"""
FORGET: Final = (
    "DELETE FROM memory_words WHERE rowid = ?",
    "DELETE FROM memory_people WHERE memory = ?",
    "DELETE FROM memories WHERE seq = ?",
)
# A deletion only marks words in the index, until its pieces are merged: what is forgotten must not wait for that.
MERGE_WORDS: Final = "INSERT INTO memory_words (memory_words) VALUES ('optimize')"

# --- Queries --------------------------------------------------------------------------------------------------------

_LIVES = "superseded = '' AND (expires_at_ms IS NULL OR expires_at_ms > :now)"
_SEEN = f"""
place IN (SELECT value FROM json_each(:places)) AND secrecy IN (SELECT value FROM json_each(:classes))
    AND {_LIVES} AND untrusted = 0
"""  # noqa: S608  constants
# Of facts the newest, of what is more than facts everything; of the board what is not older than `since`.
READ_VIEW: Final = f"""
WITH seen AS (
    SELECT * FROM (
        SELECT 0 AS part, layer, at_ms, seq FROM memories
        WHERE {_SEEN} AND layer = 0 AND (place <> :board OR at_ms >= :since)
        ORDER BY at_ms DESC, seq DESC LIMIT :facts
    )
    UNION ALL SELECT * FROM (
        SELECT 1, layer, at_ms, seq FROM memories WHERE {_SEEN} AND layer > 0
        ORDER BY layer DESC, at_ms DESC, seq DESC LIMIT :n
    )
)
SELECT m.body, m.superseded FROM seen CROSS JOIN memories AS m ON m.seq = seen.seq
ORDER BY seen.part, seen.layer DESC, seen.at_ms DESC, seen.seq DESC
"""  # noqa: S608  constants
READ_IN: Final = f"""
SELECT body, superseded FROM memories
WHERE place IN (SELECT value FROM json_each(:places)) AND {_LIVES} ORDER BY at_ms DESC, seq DESC LIMIT :n
"""  # noqa: S608  constants
READ_LIKE: Final = "SELECT body, superseded FROM memories WHERE id >= ? AND id < ? ORDER BY id LIMIT 10"
READ_OF: Final = """
SELECT m.body, m.superseded FROM memory_people AS p JOIN memories AS m ON m.seq = p.memory
WHERE p.person = ? ORDER BY m.at_ms DESC, m.seq DESC LIMIT ?
"""
# Taken from the index in the order of arrival, so that a word of every entry costs no more than a rare one.
READ_FOUND: Final = """
SELECT m.body, m.superseded FROM memory_words AS w CROSS JOIN memories AS m ON m.seq = w.rowid
WHERE memory_words MATCH :match AND m.secrecy IN (SELECT value FROM json_each(:classes))
    AND (m.expires_at_ms IS NULL OR m.expires_at_ms > :now)
ORDER BY w.rowid DESC LIMIT :n
"""
# What nobody needs any more: what has run out, and what was replaced or put away long ago.
READ_SPENT: Final = """
SELECT id FROM memories WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= :now
UNION SELECT id FROM memories WHERE superseded <> '' AND at_ms < :before
ORDER BY id LIMIT :n
"""
READ_ARCHIVE: Final = """
SELECT body, superseded FROM memories WHERE superseded <> '' AND place = ? ORDER BY at_ms DESC, seq DESC LIMIT ?
"""
