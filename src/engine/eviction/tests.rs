//! Whatever is done to a cache, llama.cpp holds what the ledger says. With a tiny model of random weights.

use proptest::prelude::*;

use super::*;
use crate::engine::kv::{KvTypes, Snapshots};
use crate::engine::llama::{Context, ContextSettings, Model, Placement};
use crate::engine::parts::Part;
use crate::tiny_gguf::TinyModel;

const CELLS: u32 = 256;
/// Positions end here, so that they must begin anew.
const TRAINED: u32 = 512;
/// How far a logit may move by rounding alone: other kernels compute batches of other shapes. 0.017 was seen.
const ROUNDING: f32 = 0.05;

pub(super) fn model(trained: u32) -> (tempfile::TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::default().context(trained).write(&path).unwrap();
    let model = Model::load(&path, &Placement::default(), |_| true).unwrap();
    (folder, model)
}

pub(super) fn session(model: &Model, cells: u32) -> Session<'_> {
    session_with(model, cells, KvTypes::default(), None)
}

pub(super) fn session_with(model: &Model, cells: u32, types: KvTypes, snapshots: Option<Snapshots>) -> Session<'_> {
    let settings =
        ContextSettings { cells, crews: crate::hardware::cores::Crews::anywhere(1), batch: 64, types, sequences: 1 };
    let mut session = Session::new(model, Context::new(model, settings).unwrap(), snapshots);
    session.eviction.policy = Evict::Score;
    session
}

/// Words, spaces and line ends of the tiny vocabulary's ordinary tokens.
pub(super) fn tokens(model: &Model, seed: u64, count: usize) -> Vec<Token> {
    let words = ["one ", "two ", "three, ", "four.\n", "five ", "six. "];
    let mut state = seed.wrapping_add(1);
    let mut text = String::new();
    while model.tokenize(&text, false).len() < count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(state >> 33) as usize % words.len()]);
    }
    let mut tokens = model.tokenize(&text, false);
    tokens.truncate(count);
    tokens
}

pub(super) fn assert_agrees(session: &Session<'_>) {
    let held: Vec<u32> = session.ledger.contents().held.positions().collect();
    assert!(held.len() <= session.context.cells() as usize);
    assert!(session.ledger.contents().is_consistent());
    assert_eq!(session.ledger.attention().len(), session.ledger.tokens().len());
    // Positions that were moved and are not yet rotated cannot be written out.
    if let Some(state) = session.context.state(u64::MAX) {
        assert_eq!(State::read(&state).unwrap().positions(), held);
    }
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Compute so many tokens behind what is there.
    Extend(u64, usize),
    /// Go back to this part of the conversation, in hundredths.
    Edit(usize),
    EvictTo(usize),
    /// Pin the tokens of this part, in hundredths.
    Pin(usize),
    /// Leave a span out, as a later prompt does with thoughts.
    LeaveOut(usize, usize),
    SnapshotAndRestore,
    Ask(u64),
}

pub(super) fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (any::<u64>(), 1..120usize).prop_map(|(seed, count)| Act::Extend(seed, count)),
        1 => (0..100usize).prop_map(Act::Edit),
        1 => (20..250usize).prop_map(Act::EvictTo),
        1 => (0..90usize).prop_map(Act::Pin),
        1 => (0..90usize, 1..20usize).prop_map(|(start, length)| Act::LeaveOut(start, length)),
        1 => Just(Act::SnapshotAndRestore),
        1 => any::<u64>().prop_map(Act::Ask),
    ];
    proptest::collection::vec(act, 1..16)
}

pub(super) fn act(session: &mut Session<'_>, model: &Model, act: &Act) {
    let length = session.ledger.tokens().len();
    match act {
        Act::Extend(seed, count) => {
            for chunk in tokens(model, *seed, *count).chunks(64) {
                assert_eq!(session.extend(chunk, &[]).unwrap(), Go::On);
            }
        }
        Act::Edit(part) => {
            let wanted = length * part / 100;
            let left = session.keep(wanted);
            assert!(left <= wanted && (left == 0 || session.ledger.contents().held.count(&(left - 1..left)) == 1));
        }
        Act::EvictTo(cells) => session.evict_to(*cells).unwrap(),
        Act::Pin(start) => {
            let start = length * start / 100;
            let part = Part { message: 7, role: Role::User, tokens: start..(start + 20).min(length) };
            session.eviction.begin(vec![part], vec![7], Asking::default());
        }
        Act::LeaveOut(start, count) => {
            let start = length * start / 100;
            let range = start..(start + count).min(length);
            if range.end < length && session.ledger.contents().held.count(&(range.end..length)) > 0 {
                let mut prompt = session.ledger.tokens().to_vec();
                let next = prompt[range.end];
                prompt.drain(range.clone());
                session.ledger.set_aside(range.clone());
                let found = session.ledger.contents().compare(&prompt).length;
                let left = session.reuse(&prompt);
                assert!(left <= found && prompt[..left] == *session.ledger.tokens(), "{range:?} {next}");
            }
        }
        Act::SnapshotAndRestore => {
            if let Some(state) = session.context.state(u64::MAX) {
                let contents = session.ledger.contents().clone();
                session.keep(0);
                assert_agrees(session);
                assert!(session.context.set_state(&state));
                session.ledger.replace(contents);
            }
        }
        Act::Ask(seed) => {
            let before = session.ledger.contents().clone();
            if before.cells() > 0 && session.room() >= 30 {
                let question = tokens(model, *seed, 30);
                assert_eq!(session.observe_question(&question).unwrap(), Go::On);
                assert_eq!(*session.ledger.contents(), before);
                let asked: Vec<f32> = before.held.tokens().map(|token| session.eviction.asked[token]).collect();
                assert!(asked.iter().all(|seen| (0.0..=1.0).contains(seen)), "{asked:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_what_llama_cpp_holds(acts in acts()) {
        let (_folder, model) = model(TRAINED);
        let mut session = session(&model, CELLS);
        for step in &acts {
            act(&mut session, &model, step);
            assert_agrees(&session);
        }
        // Where nothing left and no position was moved, the cache is that of a fresh prefill.
        session.keep(session.ledger.contents().held.floor(session.ledger.tokens().len()));
        let conversation = session.ledger.tokens().to_vec();
        let is_whole = session.ledger.contents().held.positions().eq(0..conversation.len() as u32);
        let was_cut = acts.iter().any(|act| matches!(act, Act::LeaveOut(..)));
        if is_whole && !was_cut && session.ledger.contents().evicted() == 0 && conversation.len() < 200 {
            let more = tokens(&model, 5, 3);
            prop_assert_eq!(session.extend(&more, &[]).unwrap(), Go::On);
            let reused = session.context.logits().to_vec();
            let mut fresh = self::session(&model, CELLS);
            for chunk in conversation.chunks(64).chain([&more[..]]) {
                prop_assert_eq!(fresh.extend(chunk, &[]).unwrap(), Go::On);
            }
            let far = fresh.context.logits().iter().zip(&reused).map(|(one, other)| (one - other).abs());
            let far = far.fold(0.0, f32::max);
            prop_assert!(far < ROUNDING, "{far}");
        }
    }
}

#[test]
fn a_compacted_cache_computes_what_the_same_cache_with_holes_does() {
    let (_folder, model) = model(TRAINED);
    let text = tokens(&model, 1, 200);
    let logits = |compacts: bool, last: Range<usize>| {
        let mut session = session(&model, CELLS);
        for chunk in text.chunks(64) {
            session.extend(chunk, &[]).unwrap();
        }
        for range in [10..40, 60..61, last] {
            for span in session.ledger.evict(&range) {
                assert!(session.context.remove(span));
            }
        }
        if compacts {
            session.compact().unwrap();
        }
        session.decode(&text[..3], &[]).unwrap();
        session.context.logits().to_vec()
    };
    let far = |one: Vec<f32>, other: Vec<f32>| {
        one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
    };
    let same = far(logits(true, 100..170), logits(false, 100..170));
    assert!(same < ROUNDING, "{same}");
    let another = far(logits(true, 100..170), logits(true, 120..190));
    assert!(another > 4.0 * ROUNDING, "{another}");
}

#[test]
fn a_conversation_goes_on_past_the_trained_length_in_a_fixed_number_of_cells() {
    let (_folder, model) = model(TRAINED);
    for policy in [Evict::Score, Evict::Window] {
        let mut session = session(&model, CELLS);
        session.eviction.policy = policy;
        for part in 0..60 {
            assert_eq!(session.extend(&tokens(&model, part, 50), &[]).unwrap(), Go::On);
            assert!(session.ledger.next_position() <= TRAINED);
        }
        assert_agrees(&session);
        assert_eq!(session.ledger.tokens().len(), 3000);
        assert!(session.ledger.cells() > CELLS as usize / 2);
        let first: Vec<usize> = session.ledger.contents().held.tokens().take(SINKS).collect();
        assert_eq!(first, (0..SINKS).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_pinned_and_what_asks_stays() {
    let (_folder, model) = model(4096);
    let mut session = session(&model, CELLS);
    let part = |message, tokens| Part { message, role: Role::User, tokens };
    let parts = vec![part(0, 10..40), part(1, 100..110), part(2, 110..240)];
    session.eviction.begin(parts, vec![0], Asking { ranges: std::iter::once(100..110).collect(), ..Asking::default() });
    for chunk in tokens(&model, 3, 240).chunks(64) {
        session.extend(chunk, &[]).unwrap();
    }
    session.evict_to(60).unwrap();
    let held = &session.ledger.contents().held;
    assert_eq!((held.count(&(10..40)), held.count(&(100..110))), (30, 10));
    assert!(held.cells() < 240);
}

#[test]
fn the_last_answer_stays_whatever_is_asked() {
    let (_folder, model) = model(4096);
    let mut session = session(&model, CELLS);
    let part = |message, role, tokens| Part { message, role, tokens };
    let parts = vec![part(0, Role::User, 10..40), part(1, Role::Assistant, 40..100), part(2, Role::User, 220..240)];
    session.eviction.begin(
        parts,
        Vec::new(),
        Asking { ranges: std::iter::once(220..240).collect(), text: vec![1], ..Asking::default() },
    );
    for chunk in tokens(&model, 3, 240).chunks(64) {
        session.extend(chunk, &[]).unwrap();
    }
    session.evict_to(100).unwrap();
    // The end of it, as it is longer than an eighth of the cells.
    assert_eq!(session.ledger.contents().held.count(&(68..100)), 32);
}

#[test]
fn nothing_leaves_where_that_is_switched_off() {
    let (_folder, model) = model(4096);
    let mut session = session(&model, CELLS);
    session.eviction.policy = Evict::Off;
    for chunk in tokens(&model, 3, 250).chunks(64) {
        session.extend(chunk, &[]).unwrap();
    }
    assert_eq!(session.extend(&tokens(&model, 4, 10), &[]).unwrap(), Go::Full);
    assert_eq!((session.ledger.cells(), session.policy()), (250, "off"));
}
