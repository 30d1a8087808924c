//! The schema, as the steps that lead to it. This file only grows: a step that a release has run is never edited,
//! because the files it made are on people's disks. A new word for a role or for how an answer ended needs a step
//! too, even an empty one, so that older programs refuse the file instead of stumbling over the word.

use rusqlite_migration::M;

/// What `PRAGMA application_id` says in our files ("tuic" in ASCII), so that another program's database is told
/// apart from ours before anything is written.
pub(super) const APPLICATION_ID: i64 = 0x7475_6963;

/// All steps, oldest first. `PRAGMA user_version` counts those a file has been through.
pub(super) const STEPS: &[M<'static>] = &[
    M::up(CHATS_AND_MESSAGES),
    M::up(ENDED_BY_LOOP),
    M::up(PINNED_MESSAGES),
    M::up(DRAFTS),
    M::up(NEWEST_MESSAGES),
    M::up(OPEN_CHATS_AND_FOLDS),
    M::up(SEARCH),
    M::up(TAGS_ARCHIVE_AND_ORIGINS),
];

/// Ids grow and are never used twice (`AUTOINCREMENT`), and they alone order things: a clock may be set back.
///
/// A parent is older than its child and of the same chat. Deleting a chat deletes its messages directly; the rule
/// between parent and child must not cascade, since a long chat is deeper than SQLite lets triggers nest (1000).
///
/// `writer` is set exactly while an answer is being written (see `writers.rs`). The tables suit an
/// external-content FTS5 index over `messages(text)` by `id`.
const CHATS_AND_MESSAGES: &str = "
PRAGMA application_id = 0x74756963;

CREATE TABLE chats (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    title      TEXT NOT NULL,
    created_at INTEGER NOT NULL, -- milliseconds since 1970
    updated_at INTEGER NOT NULL,
    leaf       INTEGER,          -- the message last added, where the chat goes on; NULL before the first
    FOREIGN KEY (id, leaf) REFERENCES messages (chat, id)
) STRICT;

CREATE TABLE messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    chat       INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    parent     INTEGER,          -- NULL for a root
    role       TEXT NOT NULL,
    text       TEXT NOT NULL,
    thinking   TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    model      TEXT,
    sampling   TEXT,             -- JSON, with the seed that was used
    stats      TEXT,             -- JSON
    ended      TEXT,             -- NULL while an answer is being written, and for other roles
    writer     INTEGER,
    UNIQUE (chat, id),
    CHECK (parent < id),
    FOREIGN KEY (chat, parent) REFERENCES messages (chat, id)
) STRICT;

CREATE INDEX chats_by_leaf ON chats (leaf) WHERE leaf IS NOT NULL;
CREATE INDEX messages_by_parent ON messages (chat, parent);
CREATE INDEX messages_by_writer ON messages (writer) WHERE writer IS NOT NULL;
";

/// Nothing changes but the words: `messages.ended` may be `loop`.
const ENDED_BY_LOOP: &str = "";

/// 1 for a message that the person wants to stay in the KV cache.
const PINNED_MESSAGES: &str = "ALTER TABLE messages ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;";

/// What is being written in a chat; without a chat, in one that has no message yet.
const DRAFTS: &str = "
CREATE TABLE drafts (
    chat  INTEGER UNIQUE REFERENCES chats (id) ON DELETE CASCADE,
    draft TEXT NOT NULL
) STRICT;
";

/// Since a chat may go on from an older message, its leaf no longer tells when it was last written to. `newest` is the
/// id of the message last added, and NULL where there is none; the message may have been deleted since.
const NEWEST_MESSAGES: &str = "
ALTER TABLE chats ADD COLUMN newest INTEGER;
UPDATE chats SET newest = leaf;
CREATE INDEX chats_by_newest ON chats (newest) WHERE newest IS NOT NULL;
DROP INDEX chats_by_leaf;
";

/// `opened` grows each time a chat is opened or written to: the greatest is that of the chat to go on with. `opener` is
/// the number of the writer (see `writers.rs`) that has the chat open. `folds` says which parts of a message were pasted
/// or attached, as JSON.
const OPEN_CHATS_AND_FOLDS: &str = "
ALTER TABLE chats ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chats ADD COLUMN opener INTEGER;
ALTER TABLE messages ADD COLUMN folds TEXT;
UPDATE chats SET opened = coalesce(newest, 0);
CREATE INDEX chats_by_opened ON chats (opened);
CREATE INDEX chats_by_opener ON chats (opener) WHERE opener IS NOT NULL;
";

/// What can be searched for: every message but system prompts and answers that are being written, which would be read
/// anew with each piece. Three characters each are a word of the index, so parts of words are found, and languages that
/// write no spaces.
const SEARCH: &str = "
CREATE VIRTUAL TABLE messages_index USING fts5 (text, content = 'messages', content_rowid = 'id', tokenize = 'trigram');
INSERT INTO messages_index (rowid, text)
    SELECT id, text FROM messages WHERE role <> 'system' AND (role <> 'assistant' OR ended IS NOT NULL);

CREATE TRIGGER message_added AFTER INSERT ON messages
WHEN new.role <> 'system' AND (new.role <> 'assistant' OR new.ended IS NOT NULL) BEGIN
    INSERT INTO messages_index (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER message_deleted AFTER DELETE ON messages
WHEN old.role <> 'system' AND (old.role <> 'assistant' OR old.ended IS NOT NULL) BEGIN
    INSERT INTO messages_index (messages_index, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER answer_reopened AFTER UPDATE OF ended ON messages
WHEN old.role = 'assistant' AND old.ended IS NOT NULL BEGIN
    INSERT INTO messages_index (messages_index, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER answer_ended AFTER UPDATE OF ended ON messages
WHEN new.role = 'assistant' AND new.ended IS NOT NULL BEGIN
    INSERT INTO messages_index (rowid, text) VALUES (new.id, new.text);
END;
";

/// `archived` is 1 for a chat that lists leave out until it is asked for. `origin` tells what an imported chat was made
/// of, so that it is imported once. Imported chats lie among the others by their age: where `newest` is the same,
/// `updated_at` orders. `prompts` are messages that were sent to another program.
const TAGS_ARCHIVE_AND_ORIGINS: &str = "
ALTER TABLE chats ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chats ADD COLUMN origin TEXT;
CREATE UNIQUE INDEX chats_by_origin ON chats (origin) WHERE origin IS NOT NULL;
DROP INDEX chats_by_newest;
CREATE INDEX chats_by_newest ON chats (newest, updated_at) WHERE newest IS NOT NULL;
CREATE TABLE tags (
    chat INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    tag  TEXT NOT NULL,
    PRIMARY KEY (chat, tag)
) STRICT, WITHOUT ROWID;
CREATE TABLE prompts (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_an_older_file_can_be_searched() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        rusqlite_migration::Migrations::from_slice(&STEPS[..6]).to_latest(&mut connection).unwrap();
        let old = "INSERT INTO chats (title, created_at, updated_at) VALUES ('old', 1, 1);
            INSERT INTO messages (chat, role, text, created_at, ended) VALUES (1, 'system', 'Bake cakes', 1, NULL),
                (1, 'user', 'How to bake?', 1, NULL), (1, 'assistant', 'Baking is', 1, NULL),
                (1, 'assistant', 'Bake it', 1, 'stop');";
        connection.execute_batch(old).unwrap();
        rusqlite_migration::Migrations::from_slice(STEPS).to_latest(&mut connection).unwrap();
        let mut found = connection.prepare("SELECT rowid FROM messages_index('bak') ORDER BY rowid").unwrap();
        let found: Vec<i64> = found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, [2, 4]);
    }

    #[test]
    fn chats_of_an_older_file_keep_their_order() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        rusqlite_migration::Migrations::from_slice(&STEPS[..4]).to_latest(&mut connection).unwrap();
        let old = "INSERT INTO chats (title, created_at, updated_at) VALUES ('old', 1, 1), ('empty', 2, 2);
            INSERT INTO messages (chat, role, text, created_at) VALUES (1, 'user', 'Hello', 1);
            UPDATE chats SET leaf = 1 WHERE id = 1;";
        connection.execute_batch(old).unwrap();
        rusqlite_migration::Migrations::from_slice(STEPS).to_latest(&mut connection).unwrap();
        let mut newest = connection.prepare("SELECT newest, opened FROM chats ORDER BY id").unwrap();
        let newest = newest.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let newest: Vec<(Option<i64>, i64)> = newest.map(Result::unwrap).collect();
        assert_eq!(newest, [(Some(1), 1), (None, 0)]);
    }

    #[test]
    fn messages_of_an_older_file_are_not_pinned() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        rusqlite_migration::Migrations::from_slice(&STEPS[..2]).to_latest(&mut connection).unwrap();
        let old = "INSERT INTO chats (title, created_at, updated_at) VALUES ('old', 1, 1);
            INSERT INTO messages (chat, role, text, created_at) VALUES (1, 'user', 'Hello', 1);";
        connection.execute_batch(old).unwrap();
        rusqlite_migration::Migrations::from_slice(STEPS).to_latest(&mut connection).unwrap();
        let pinned: bool = connection.query_row("SELECT pinned FROM messages", [], |row| row.get(0)).unwrap();
        assert!(!pinned);
    }

    #[test]
    fn the_steps_run_in_order_on_an_empty_file_and_mark_it_as_ours() {
        let migrations = rusqlite_migration::Migrations::from_slice(STEPS);
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrations.to_latest(&mut connection).unwrap();
        let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
        assert_eq!(id, APPLICATION_ID);
    }
}
