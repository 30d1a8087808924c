//! What comes back from the archive is what left the cache, and whatever goes wrong leaves what was there. With a tiny
//! model of random weights.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::chat::Role;
use crate::engine::eviction::tests::{Act, act, acts, assert_agrees, model, session_with, tokens};
use crate::engine::eviction::{Asking, Evict};
use crate::engine::kv::{Key, SnapshotSettings, Snapshots};
use crate::engine::llama::Model;
use crate::engine::parts::Part;
use crate::engine::protocol::ChatKey;

const CELLS: u32 = 256;
/// Longer than the cache, by far.
const DOCUMENT: usize = 700;
const TRAINED: u32 = 4096;

struct Fixture {
    folder: tempfile::TempDir,
    model: Model,
}

impl Fixture {
    fn new(trained: u32) -> Self {
        let (folder, model) = model(trained);
        Self { folder, model }
    }

    fn snapshots(&self, most_bytes: u64) -> Snapshots {
        let settings = SnapshotSettings {
            folder: self.folder.path().join("kv"),
            most_bytes: Some(most_bytes),
            model_sha256: Some("abc".into()),
            hashes: self.folder.path().join("hashes.json"),
        };
        let model = self.folder.path().join("tiny.gguf");
        let key = Key { model, template: String::new(), types: "f16 f16".into(), library: "1.0".into() };
        Snapshots::open(settings, key, CancelFlag::default()).unwrap()
    }

    /// A session in a chat that may take so much of the disk.
    fn session_with(&self, types: &str, most_bytes: u64) -> Session<'_> {
        let snapshots = self.snapshots(most_bytes);
        let mut session = session_with(&self.model, CELLS, types.parse().unwrap(), Some(snapshots));
        session.go_to(Some(ChatKey(1)));
        session.restore_for(&[]);
        session
    }

    fn session(&self) -> Session<'_> {
        self.session_with("f16", 1 << 30)
    }

    fn archives(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path().join("kv")).into_iter().flatten().flatten();
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|is| is == "rows")).collect()
    }
}

/// What is there is one long message, but for its first tokens, and then comes a question of so many tokens.
fn ask(session: &mut Session<'_>, question: &[i32]) {
    let length = session.ledger.tokens().len();
    let document = Part { message: 0, role: Role::User, tokens: 4..length.clamp(4, DOCUMENT) };
    let asking = Asking { probe: question.to_vec(), ..Asking::default() };
    session.eviction.begin(vec![document], Vec::new(), asking);
}

/// Computes a document, as the first question leaves it, and something behind it.
fn read(session: &mut Session<'_>, mut each: impl FnMut(&Session<'_>)) {
    let text = tokens(session.model, 1, DOCUMENT);
    for chunk in text.chunks(64) {
        let document = Part { message: 0, role: Role::User, tokens: 4..DOCUMENT };
        session.eviction.begin(vec![document], Vec::new(), Asking::default());
        assert_eq!(session.extend(chunk, &[]).unwrap(), Go::On);
        each(session);
    }
    assert_eq!(session.extend(&tokens(session.model, 2, 20), &[]).unwrap(), Go::On);
    each(session);
}

/// The rows in the cache, by their positions.
fn rows(session: &Session<'_>) -> HashMap<u32, Vec<u8>> {
    let state = session.context.state(u64::MAX).unwrap();
    let rows = Rows::read(&state).unwrap();
    let row = |cell| {
        let mut row = Vec::new();
        rows.copy_row(cell, &mut row);
        row
    };
    rows.positions().iter().enumerate().map(|(cell, position)| (*position, row(cell))).collect()
}

fn select(session: &mut Session<'_>, cancel: &[&CancelFlag]) -> Go {
    session.select_anew(30, cancel, &|_| true).unwrap()
}

#[test]
fn every_token_of_a_selection_has_the_row_that_was_computed_for_it() {
    for types in ["f16", "q8_0", "q4_0/f16"] {
        let fixture = Fixture::new(TRAINED);
        let mut session = fixture.session_with(types, 1 << 30);
        let mut computed = HashMap::new();
        read(&mut session, |session| computed.extend(rows(session)));
        let before = session.ledger.contents().clone();
        assert!(session.archived() > DOCUMENT / 2, "{}", session.archived());

        let mut asked = Vec::new();
        for seed in 3..5 {
            ask(&mut session, &tokens(&fixture.model, seed, 64));
            assert_eq!(select(&mut session, &[]), Go::On);
            assert_agrees(&session);
            let contents = session.ledger.contents();
            assert_eq!((&contents.tokens, &contents.asides), (&before.tokens, &before.asides));
            assert!(contents.held.has(0) && contents.held.count(&(DOCUMENT..DOCUMENT + 20)) == 20);
            assert!(contents.cells() > CELLS as usize / 2, "{}", contents.cells());
            let there = rows(&session);
            assert!(there.iter().all(|(position, row)| computed[position] == *row), "{types}");
            asked.push(contents.held.clone());
            // It can be gone on with, and what is evicted then comes back too.
            assert_eq!(session.extend(&tokens(&fixture.model, 9, 40), &[]).unwrap(), Go::On);
            session.keep(DOCUMENT + 20);
            session.evict_to(120).unwrap();
        }
        assert!(asked[0] != before.held && asked[0] != asked[1], "each question has its own");
    }
}

#[test]
fn a_document_that_fits_again_comes_back_whole_and_byte_for_byte() {
    let fixture = Fixture::new(TRAINED);
    let mut session = fixture.session();
    for chunk in tokens(&fixture.model, 1, 130).chunks(64) {
        session.extend(chunk, &[]).unwrap();
    }
    let (state, contents) = (session.context.state(u64::MAX).unwrap(), session.ledger.contents().clone());
    ask(&mut session, &tokens(&fixture.model, 2, 64));
    session.evict_to(80).unwrap();
    assert!(session.archived() >= 50);
    assert_eq!(select(&mut session, &[]), Go::On);
    assert_eq!(session.context.state(u64::MAX).unwrap(), state);
    assert_eq!(session.ledger.contents().held, contents.held);
    assert_eq!(session.archived(), 0);
}

/// What is there before and after an attempt that comes to nothing.
fn assert_nothing_changes(session: &mut Session<'_>, go: Go, attempt: impl FnOnce(&mut Session<'_>) -> Go) {
    let (state, contents) = (session.context.state(u64::MAX).unwrap(), session.ledger.contents().clone());
    let attention = session.ledger.attention().to_vec();
    assert_eq!(attempt(session), go);
    assert_agrees(session);
    assert_eq!(session.context.state(u64::MAX).unwrap(), state);
    assert_eq!(*session.ledger.contents(), contents);
    assert_eq!(session.ledger.attention(), attention);
    assert!(session.eviction.asked.is_empty());
}

#[test]
fn a_question_that_is_cancelled_leaves_what_was_there() {
    let fixture = Fixture::new(TRAINED);
    let mut session = fixture.session();
    read(&mut session, |_| ());
    ask(&mut session, &tokens(&fixture.model, 3, 64));
    for parts in 0..4 {
        let cancel = CancelFlag::default();
        let left = std::cell::Cell::new(parts);
        let listen = |_: Step| {
            if left.get() == 0 {
                cancel.cancel();
            }
            left.set(left.get() - 1);
            true
        };
        assert_nothing_changes(&mut session, Go::Cancelled, |session| {
            session.select_anew(30, &[&cancel], &listen).unwrap()
        });
        assert_nothing_changes(&mut session, Go::Cancelled, |session| {
            session.select_anew(30, &[], &|_| false).unwrap()
        });
    }
    assert_eq!(select(&mut session, &[]), Go::On);
}

/// The same of an archive that turns out to be of no use, which is not tried again.
fn assert_only_the_archive_is_lost(session: &mut Session<'_>) {
    let archived = session.ledger.contents().archived.clone();
    assert_nothing_changes(session, Go::On, |session| {
        assert_eq!(select(session, &[]), Go::On);
        assert_eq!(session.archived(), 0);
        session.ledger.set_archived(archived);
        Go::On
    });
}

#[test]
fn an_archive_that_is_damaged_or_gone_leaves_what_was_there() {
    let fixture = Fixture::new(TRAINED);
    let mut session = fixture.session();
    read(&mut session, |_| ());
    ask(&mut session, &tokens(&fixture.model, 3, 64));
    // What was to be written is written before it is read.
    session.chats.archives().unwrap().1.archive(Title { chat: ChatKey(1), id: 0, row_bytes: 1 }, &|| true);
    let path = fixture.archives().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    for place in [3, 20, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        fs::write(&path, damaged).unwrap();
        assert_only_the_archive_is_lost(&mut session);
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_only_the_archive_is_lost(&mut session);
    fs::remove_file(&path).unwrap();
    assert_only_the_archive_is_lost(&mut session);
    fs::write(&path, &whole).unwrap();
    let before = session.ledger.contents().held.clone();
    assert_eq!(select(&mut session, &[]), Go::On);
    assert_ne!(session.ledger.contents().held, before);
}

#[test]
fn what_the_disk_has_no_room_for_is_given_up() {
    let fixture = Fixture::new(TRAINED);
    let mut session = fixture.session_with("f16", 100_000);
    read(&mut session, |_| ());
    ask(&mut session, &tokens(&fixture.model, 3, 64));
    assert_only_the_archive_is_lost(&mut session);
    assert_eq!(fixture.archives(), Vec::<PathBuf>::new());
}

#[test]
fn a_chat_that_is_not_kept_and_a_window_have_no_archive() {
    let fixture = Fixture::new(TRAINED);
    for (chat, policy) in [(None, Evict::Score), (Some(ChatKey(1)), Evict::Window)] {
        let mut session = fixture.session();
        session.go_to(chat);
        session.restore_for(&[]);
        session.eviction.policy = policy;
        read(&mut session, |_| ());
        assert_eq!(session.archived(), 0);
        drop(session);
        assert_eq!(fixture.archives(), Vec::<PathBuf>::new());
    }
}

#[test]
fn another_chat_does_not_get_the_archive_of_the_one_before() {
    let fixture = Fixture::new(TRAINED);
    let mut session = fixture.session();
    read(&mut session, |_| ());
    let (archived, tokens) = (session.archived(), session.ledger.tokens().to_vec());
    session.go_to(Some(ChatKey(2)));
    session.restore_for(&tokens);
    assert!(session.ledger.tokens() == tokens && session.archived() == 0);
    session.go_to(Some(ChatKey(1)));
    session.restore_for(&tokens);
    // The tokens are the same in both, so what is here was not replaced by what was kept.
    assert!(archived > 0 && session.archived() == 0);
}

#[derive(Clone, Debug)]
enum Deed {
    Act(Act),
    /// All that is there is a document, about which a question is asked.
    Ask(u64),
    /// The same, and it is cancelled after so many parts.
    AskAndCancel(u64, i32),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let acts = acts().prop_map(|acts| acts.into_iter().map(Deed::Act).collect::<Vec<_>>());
    let ask = prop_oneof![
        3 => any::<u64>().prop_map(Deed::Ask),
        1 => (any::<u64>(), 0..4).prop_map(|(seed, parts)| Deed::AskAndCancel(seed, parts)),
    ];
    let group = (acts, ask).prop_map(|(mut deeds, ask)| {
        deeds.push(ask);
        deeds
    });
    proptest::collection::vec(group, 1..4).prop_map(|groups| groups.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_came_before_a_selection_is_what_the_ledger_says(deeds in deeds()) {
        let fixture = Fixture::new(512);
        let mut session = fixture.session();
        ask(&mut session, &[]);
        for deed in &deeds {
            match deed {
                Deed::Act(step) => {
                    act(&mut session, &fixture.model, step);
                    let question = session.eviction.question().to_vec();
                    if !matches!(step, Act::Pin(_)) {
                        ask(&mut session, &question);
                    }
                }
                Deed::Ask(seed) | Deed::AskAndCancel(seed, _) => {
                    ask(&mut session, &tokens(&fixture.model, *seed, 30));
                    let before = session.ledger.contents().clone();
                    let parts = std::cell::Cell::new(match deed {
                        Deed::AskAndCancel(_, parts) => *parts,
                        _ => i32::MAX,
                    });
                    let listen = |_: Step| {
                        parts.set(parts.get() - 1);
                        parts.get() >= 0
                    };
                    // Positions that were moved and are not yet rotated cannot be written out.
                    let go = session.select_anew(10, &[], &listen).unwrap();
                    prop_assert!(go == Go::On || parts.get() < 0);
                    let after = session.ledger.contents();
                    prop_assert_eq!(&after.tokens, &before.tokens);
                    prop_assert!(go == Go::On || after.held == before.held);
                }
            }
            assert_agrees(&session);
        }
    }
}
