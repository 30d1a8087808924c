//! What the store has acknowledged survives a power cut at every moment, and a disk that fills up at every write.

#[path = "common/disk.rs"]
mod disk;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use disk::{Disk, Luck};
use jiff::Timestamp;
use tempfile::TempDir;
use tuichat::chat::{Ended, Role, Sampling, Stats};
use tuichat::store::{ChatId, ChatSummary, ChatTree, FORM, MessageId, Result, Store, WholeChat, WholeMessage};

const CHATS: &str = "chats.db";

/// Longer than a page of the database.
const LONG: usize = 9_000;

/// More than the write-ahead log holds before it is copied into the database.
const VERY_LONG: usize = 5_000_000;

/// What a person and a model do to the store, one call each.
type Step = fn(&mut Store, &mut Ids) -> Result<()>;

/// What the calls have made so far.
#[derive(Default)]
struct Ids {
    chats: Vec<ChatId>,
    messages: Vec<MessageId>,
}

fn create(store: &mut Store, ids: &mut Ids, title: &str, system: Option<&str>) -> Result<()> {
    store.create_chat(title, system).map(|chat| ids.chats.push(chat))
}

fn say(store: &mut Store, ids: &mut Ids, chat: usize, parent: Option<usize>, text: &str) -> Result<()> {
    let parent = parent.map(|parent| ids.messages[parent]);
    store.add_message(ids.chats[chat], parent, Role::User, text).map(|message| ids.messages.push(message))
}

fn answer(store: &mut Store, ids: &mut Ids, chat: usize, question: usize) -> Result<()> {
    let answer = store.begin_answer(ids.chats[chat], ids.messages[question], "SmolLM2", &Sampling::default());
    answer.map(|message| ids.messages.push(message))
}

fn imported() -> WholeChat {
    let question = WholeMessage::new(1, None, Role::User, "How deep is the sea?");
    let answer = WholeMessage::new(2, Some(1), Role::Assistant, "Eleven kilometres at most. ".repeat(400));
    WholeChat {
        tuichat: FORM,
        title: "From elsewhere".into(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        tags: vec!["sea".into()],
        archived: false,
        leaf: Some(2),
        messages: vec![question, answer],
    }
}

const HISTORY: &[Step] = &[
    |store, ids| create(store, ids, "Trees", Some("Be brief")),
    |store, ids| store.take_chat(ids.chats[0]).map(drop),
    |store, ids| store.set_draft(Some(ids.chats[0]), "What is a tr"),
    |store, ids| say(store, ids, 0, None, &"What is a tree? ".repeat(LONG / 16)),
    |store, ids| store.set_draft(Some(ids.chats[0]), ""),
    |store, ids| answer(store, ids, 0, 0),
    |store, ids| store.append_answer(ids.messages[1], "A plant", "Botany?"),
    |store, ids| store.append_answer(ids.messages[1], &" with a trunk".repeat(LONG / 13), ""),
    |store, ids| store.append_answer(ids.messages[1], ", and with leaves", " Or a graph?"),
    |store, ids| store.finish_answer(ids.messages[1], Ended::Stop, &Stats::default(), Some(7)),
    |store, ids| store.rename_chat(ids.chats[0], "What trees are"),
    |store, ids| store.pin_message(ids.messages[0], true),
    // The question is edited.
    |store, ids| say(store, ids, 0, None, "What is a forest?"),
    |store, ids| answer(store, ids, 0, 2),
    |store, ids| store.append_answer(ids.messages[3], "Many tr", ""),
    |store, ids| store.finish_answer(ids.messages[3], Ended::Cancelled, &Stats::default(), None),
    |store, ids| store.continue_answer(ids.messages[3]),
    |store, ids| store.append_answer(ids.messages[3], "ees", ""),
    |store, ids| store.finish_answer(ids.messages[3], Ended::Stop, &Stats::default(), None),
    |store, ids| store.go_to(ids.chats[0], Some(ids.messages[1])),
    |store, ids| store.tag_chat(ids.chats[0], &["botany".into(), "school".into()], &[]).map(drop),
    |store, ids| store.fork(ids.chats[0], ids.messages[3]).map(|chat| ids.chats.push(chat)),
    |store, ids| store.delete_message(ids.messages[2]),
    |store, ids| create(store, ids, "Bread", None),
    |store, ids| say(store, ids, 2, None, "How is bread baked?"),
    |store, ids| answer(store, ids, 2, 4),
    |store, ids| store.append_answer(ids.messages[5], &"Slowly. ".repeat(LONG / 8), "Hm"),
    |store, _| store.import_chat(&imported()).map(drop),
    |store, _| store.import_prompts(&["one".into(), "two".into()]).map(drop),
    |store, ids| store.delete_chat(ids.chats[1]),
    |store, _| store.restore_chat().map(drop),
    |store, ids| store.archive_chat(ids.chats[1], true),
    |store, ids| store.append_answer(ids.messages[5], "But well", ""),
    |store, ids| store.delete_chat(ids.chats[0]),
    |store, ids| store.append_answer(ids.messages[5], ".", ""),
];

/// What makes the write-ahead log so long that it is copied into the database, and then shorter than it was.
const BULK: &[Step] = &[
    |store, ids| create(store, ids, "Bulk", None),
    |store, ids| say(store, ids, ids.chats.len() - 1, None, &"All of it. ".repeat(VERY_LONG / 11)),
    |store, ids| say(store, ids, ids.chats.len() - 1, None, "And a little more"),
    |store, ids| store.delete_message(ids.messages[ids.messages.len() - 2]),
    |store, ids| say(store, ids, ids.chats.len() - 1, None, "That was all"),
];

/// A text, or enough of a long one to tell it from all others.
fn brief(text: &str) -> String {
    if text.len() <= 60 {
        return text.to_owned();
    }
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    format!("{}… ({} bytes, {:x})", &text[..40], text.len(), hash.finish())
}

/// Everything that a person has in a store. Times are left out, since they differ from run to run; an answer that is
/// being written is told as one that was cut off, which it is when its program is gone.
#[derive(Clone, Debug, PartialEq)]
struct Everything {
    chats: Vec<(Option<ChatSummary>, Option<ChatTree>, Option<String>)>,
    prompts: Vec<String>,
}

fn everything(store: &Store) -> Everything {
    let chat = |number| {
        let mut summary = store.chat(ChatId(number)).unwrap();
        if let Some(summary) = &mut summary {
            (summary.created_at, summary.updated_at) = Default::default();
        }
        let mut tree = store.tree(ChatId(number)).ok();
        for message in tree.iter_mut().flat_map(|tree| &mut tree.messages) {
            message.created_at = Timestamp::UNIX_EPOCH;
            message.text = brief(&message.text);
            if message.role == Role::Assistant {
                message.ended.get_or_insert(Ended::Interrupted);
            }
        }
        (summary, tree, store.draft(Some(ChatId(number))).unwrap())
    };
    let prompts = store.sent(100, usize::MAX).unwrap().into_iter().map(|sent| brief(&sent.text)).collect();
    Everything { chats: (1..=6).map(chat).collect(), prompts }
}

fn folder() -> TempDir {
    // Thousands of files are made and read; waiting for a real disk shows nothing more.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A history as it was done on a disk that keeps a record.
struct Recorded {
    disk: Disk,
    _folder: TempDir,
    /// How long the record was after each call, the opening first, and what was in the store then.
    acknowledged: Vec<(usize, Everything)>,
}

fn record(history: &[&[Step]]) -> Recorded {
    let folder = folder();
    let disk = Disk::watch(folder.path());
    let path = folder.path().join(CHATS);
    let mut store = Store::open(&path).unwrap();
    let mut ids = Ids::default();
    let mut acknowledged = vec![(disk.events(), everything(&store))];
    for (number, step) in history.iter().copied().flatten().enumerate() {
        step(&mut store, &mut ids).unwrap_or_else(|error| panic!("call {number}: {error}"));
        acknowledged.push((disk.events(), everything(&store)));
    }
    // The last one that closes a database copies the log into it, and removes the log.
    drop(store);
    let store = Store::open(&path).unwrap();
    acknowledged.push((disk.events(), everything(&store)));
    drop(store);
    Recorded { disk, _folder: folder, acknowledged }
}

/// Makes the files that a power cut has left.
fn make(files: &BTreeMap<String, Vec<u8>>) -> (TempDir, PathBuf) {
    let folder = folder();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    // What programs share in memory may be on the disk, too, in whatever state.
    std::fs::write(folder.path().join("chats.db-shm"), [0x5a; 32 * 1024]).unwrap();
    let path = folder.path().join(CHATS);
    (folder, path)
}

impl Recorded {
    /// Checks that what a power cut after so many events has left opens, is sound, and holds all that was acknowledged
    /// by then and nothing that was never said.
    fn check(&self, cut: usize, path: &Path, case: &str) {
        let done = self.acknowledged.partition_point(|(events, _)| *events <= cut);
        let store = Store::open(path).unwrap_or_else(|error| panic!("{case}: {error}"));
        let found = everything(&store);
        // The call that was under way may have been done.
        let possible = &self.acknowledged[done.saturating_sub(1)..self.acknowledged.len().min(done + 1)];
        assert!(
            possible.iter().any(|(_, state)| *state == found),
            "{case}: {} of {} calls were acknowledged, and this is there: {found:#?}",
            done.saturating_sub(1),
            self.acknowledged.len() - 1,
        );
        drop(store);
        let connection = rusqlite::Connection::open(path).unwrap();
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok", "{case}");
        connection.execute("INSERT INTO messages_index (messages_index) VALUES ('integrity-check')", []).unwrap();
        drop(connection);
        let mut store = Store::open(path).unwrap();
        let chat = store.create_chat("It goes on", None).unwrap();
        store.add_message(chat, None, Role::User, "Are you there?").unwrap();
        assert_eq!(store.branch(chat).unwrap().len(), 1, "{case}");
    }

    /// Cuts the power after so many events, and once more while the store is opened again.
    fn cut_twice(&self, cut: usize, mut luck: Luck, again: Option<&mut fastrand::Rng>, case: &str) {
        let files = self.disk.after_a_power_cut(cut, &mut luck);
        if let Some(random) = again {
            let (folder, path) = make(&files);
            let disk = Disk::watch(folder.path());
            drop(Store::open(&path).unwrap_or_else(|error| panic!("{case}: {error}")));
            let second = random.usize(..=disk.events());
            let files = disk.after_a_power_cut(second, &mut Luck::Random(random.fork()));
            let (_folder, path) = make(&files);
            self.check(cut, &path, &format!("{case}, again after {second}"));
        }
        let (_folder, path) = make(&files);
        self.check(cut, &path, case);
    }
}

fn survive(history: &[&[Step]], seeds: std::ops::Range<u64>, every: usize) {
    let recorded = record(history);
    let events = recorded.disk.events();
    let mut cuts = 0;
    for cut in (0..=events).step_by(every) {
        recorded.cut_twice(cut, Luck::Nothing, None, &format!("cut {cut}, nothing"));
        recorded.cut_twice(cut, Luck::Everything, None, &format!("cut {cut}, everything"));
        cuts += 2;
    }
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        for start in (0..=events).step_by(every) {
            let cut = random.usize(start..=events.min(start + every - 1));
            let luck = Luck::Random(random.fork());
            let is_cut_again = random.u8(..4) == 0;
            recorded.cut_twice(cut, luck, is_cut_again.then_some(&mut random), &format!("cut {cut}, seed {seed}"));
            cuts += 1 + usize::from(is_cut_again);
        }
    }
    println!("{} calls, {events} events, {cuts} power cuts survived", recorded.acknowledged.len());
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    survive(&[HISTORY], 0..1, 5);
}

#[test]
#[ignore = "takes minutes"]
fn what_was_acknowledged_survives_ten_thousand_power_cuts() {
    survive(&[HISTORY], 1..16, 1);
    // Each of these writes and reads a database of many megabytes.
    survive(&[HISTORY, BULK], 16..18, 50);
}

/// Does the history on a disk that is full after so many writes; returns whether it was full in time. What could not be
/// done is done again when there is room.
fn fill(writes: usize, expected: &[Everything]) -> bool {
    let folder = folder();
    let path = folder.path().join(CHATS);
    let disk = Disk::watch(folder.path());
    disk.has_room_for(writes);
    let told = |what: &str, error: &dyn std::fmt::Display| {
        let sentence = error.to_string();
        assert!(sentence.contains(": ") && sentence.contains(CHATS), "{what} at write {writes}: {sentence}");
        assert!(disk.make_room() > 0, "{what} at write {writes}, where there was room: {sentence}");
    };
    let mut was_full = false;
    let mut store = Store::open(&path).unwrap_or_else(|error| {
        told("opening", &error);
        was_full = true;
        Store::open(&path).unwrap()
    });
    let mut ids = Ids::default();
    for (number, step) in HISTORY.iter().enumerate() {
        let done = catch_unwind(AssertUnwindSafe(|| step(&mut store, &mut ids)));
        if let Err(error) = done.unwrap_or_else(|_| panic!("call {number} panicked at write {writes}")) {
            assert_eq!(everything(&store), expected[number], "call {number} at write {writes}: {error}");
            told(&format!("call {number}"), &error);
            was_full = true;
            let again = step(&mut store, &mut ids);
            again.unwrap_or_else(|error| panic!("call {number} with room again, after write {writes}: {error}"));
        }
        assert_eq!(everything(&store), expected[number + 1], "call {number}, full at write {writes}");
    }
    drop(store);
    was_full |= disk.make_room() > 0;
    assert_eq!(everything(&Store::open(&path).unwrap()), expected[HISTORY.len()], "full at write {writes}");
    was_full
}

/// Fills the disk at every so many writes of the history.
fn fill_at_every(step: usize) {
    let expected: Vec<Everything> = record(&[HISTORY]).acknowledged.into_iter().map(|(_, state)| state).collect();
    let tried: Vec<usize> = (0..).step_by(step).take_while(|writes| fill(*writes, &expected)).collect();
    println!("a disk that was full at each of {} writes", tried.len());
    assert!(tried.len() * step > 100, "the history writes too little to show anything: {tried:?}");
}

#[test]
fn a_disk_that_is_full_at_any_write_is_told_in_a_sentence_and_loses_nothing() {
    fill_at_every(9);
}

#[test]
#[ignore = "takes minutes"]
fn a_disk_that_is_full_at_each_write_is_told_in_a_sentence_and_loses_nothing() {
    fill_at_every(1);
}
