use super::*;
use crate::chat::{Ended, Repetition};
use proptest::prelude::*;

fn theme() -> Theme {
    Theme::plain()
}

fn question(text: &str) -> Entry {
    Entry::Question(Question { text: WrappedText::new(text), ..Question::default() })
}

fn answer(text: &str) -> Entry {
    Entry::Answer(Box::new(Answer::saved(text, String::new(), End::Ended(Ended::Stop), Default::default())))
}

/// `count` questions of one line each, which with the empty line below take two rows.
fn conversation(count: usize) -> Transcript {
    let mut transcript = Transcript::default();
    for number in 0..count {
        transcript.push(question(&format!("question {number}")));
    }
    transcript
}

fn shown(transcript: &Transcript) -> Vec<String> {
    let lines = transcript.visible().iter().map(|line| line.to_string().trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

fn type_on(transcript: &mut Transcript, text: &str) {
    transcript.last_answer_mut().unwrap().document.push_str(text);
}

#[test]
fn the_end_is_in_view_and_stays_there_while_text_arrives() {
    let mut transcript = conversation(10);
    transcript.push(answer("first"));
    transcript.lay_out(40, 6, &theme());
    assert_eq!(shown(&transcript), ["› question 8", "› question 9", "  first"]);
    type_on(&mut transcript, "\n\nsecond");
    transcript.lay_out(40, 6, &theme());
    assert_eq!(shown(&transcript), ["› question 9", "  first", "  second"]);
}

#[test]
fn an_answer_that_repeated_itself_says_what_until_it_goes_on() {
    let mut transcript = conversation(1);
    transcript.push(answer("ha ha"));
    let answer = transcript.last_answer_mut().unwrap();
    answer.finish(End::Repeated(Repetition { period: 1, times: 403 }));
    transcript.lay_out(70, 6, &theme());
    assert_eq!(shown(&transcript)[1..], ["  ha ha", "· stopped because it repeats itself: the same token 403 times"]);
    transcript.last_answer_mut().unwrap().reopen();
    transcript.lay_out(70, 6, &theme());
    assert_eq!(shown(&transcript)[1..], ["  ha ha"]);
}

#[test]
fn a_place_further_up_holds_exactly_while_text_arrives() {
    let mut transcript = conversation(10);
    transcript.push(answer("first"));
    transcript.lay_out(40, 6, &theme());
    transcript.scroll(Scroll::Lines(-3), &theme());
    transcript.lay_out(40, 6, &theme());
    let before = shown(&transcript);
    assert!(!transcript.has_unseen_text());
    for _ in 0..20 {
        type_on(&mut transcript, "\n\nmore");
        transcript.lay_out(40, 6, &theme());
        assert_eq!(shown(&transcript), before);
    }
    assert!(transcript.has_unseen_text());
}

#[test]
fn coming_back_to_the_end_follows_it_again() {
    let mut transcript = conversation(10);
    transcript.push(answer("first"));
    transcript.lay_out(40, 6, &theme());
    transcript.scroll(Scroll::PageUp, &theme());
    transcript.lay_out(40, 6, &theme());
    assert!(!transcript.follows_end());
    transcript.scroll(Scroll::PageDown, &theme());
    assert!(transcript.follows_end());
    transcript.scroll(Scroll::Lines(-1), &theme());
    transcript.scroll(Scroll::Lines(1), &theme());
    assert!(transcript.follows_end());
}

#[test]
fn the_top_is_reached_and_not_passed() {
    let mut transcript = conversation(10);
    transcript.lay_out(40, 6, &theme());
    for _ in 0..30 {
        transcript.scroll(Scroll::PageUp, &theme());
    }
    transcript.lay_out(40, 6, &theme());
    assert_eq!(shown(&transcript)[0], "› question 0");
    transcript.scroll(Scroll::Bottom, &theme());
    transcript.scroll(Scroll::Top, &theme());
    transcript.lay_out(40, 6, &theme());
    assert_eq!(shown(&transcript)[0], "› question 0");
}

#[test]
fn a_conversation_that_fits_does_not_scroll() {
    let mut transcript = conversation(2);
    transcript.lay_out(40, 20, &theme());
    transcript.scroll(Scroll::PageUp, &theme());
    transcript.scroll(Scroll::Top, &theme());
    assert!(transcript.follows_end());
}

#[test]
fn at_another_width_the_same_part_stays_on_top() {
    let mut transcript = conversation(5);
    transcript.push(question(&"word ".repeat(200)));
    transcript.push(question("the end"));
    transcript.lay_out(42, 10, &theme());
    transcript.scroll(Scroll::Top, &theme());
    for _ in 0..4 {
        transcript.scroll(Scroll::Lines(3), &theme());
    }
    transcript.lay_out(42, 10, &theme());
    assert_eq!(transcript.top, Place { entry: 5, line: 2 });
    transcript.lay_out(22, 10, &theme());
    assert!((3..=5).contains(&transcript.top.line), "{:?}", transcript.top);
    assert_eq!(transcript.top.entry, 5);
}

#[test]
fn thoughts_are_folded_once_the_answer_begins_and_shown_on_demand() {
    let mut transcript = Transcript::default();
    transcript.push(Entry::Answer(Box::default()));
    transcript.last_answer_mut().unwrap().thinking.push_str("let me see\nyes");
    transcript.lay_out(60, 10, &theme());
    assert_eq!(shown(&transcript), ["  ▾ thinking, 4 words so far", "  let me see", "  yes"]);
    type_on(&mut transcript, "Hello");
    transcript.lay_out(60, 10, &theme());
    assert_eq!(shown(&transcript), ["  ▸ thought in 4 words (Ctrl-T shows them)", "  Hello"]);
    transcript.show_thinking = true;
    transcript.lay_out(60, 10, &theme());
    assert_eq!(shown(&transcript), ["  ▾ thought in 4 words (Ctrl-T folds them)", "  let me see", "  yes", "  Hello"]);
    let lines: Vec<String> = transcript.visible().iter().map(ToString::to_string).collect();
    assert_eq!(lines[3..5], ["", "  Hello"], "an empty line stands between them");
}

#[test]
fn of_long_thoughts_the_end_is_shown_while_they_come() {
    let mut transcript = Transcript::default();
    transcript.push(Entry::Answer(Box::default()));
    for number in 1..=40 {
        transcript.last_answer_mut().unwrap().thinking.push_str(&format!("thought {number}\n"));
        transcript.lay_out(60, 20, &theme());
        assert!(transcript.visible().len() <= 8);
    }
    let lines = shown(&transcript);
    assert_eq!(lines[0], "  ▾ thinking, 80 words so far (Ctrl-T shows them all)");
    assert_eq!((lines[1].as_str(), lines.last().map(String::as_str)), ("  thought 35", Some("  thought 40")));
    transcript.show_thinking = true;
    transcript.lay_out(60, 50, &theme());
    assert_eq!(shown(&transcript)[..2], ["  ▾ thinking, 80 words so far", "  thought 1"]);
}

#[test]
fn only_entries_near_the_view_are_laid_out() {
    let mut transcript = Transcript::default();
    for _ in 0..10_000 {
        transcript.push(answer("some *text* with\n\n- a list\n- of things\n\n```rust\nfn main() {}\n```"));
    }
    let started = std::time::Instant::now();
    transcript.lay_out(80, 24, &theme());
    for _ in 0..100 {
        transcript.scroll(Scroll::Lines(-1), &theme());
        transcript.lay_out(80, 24, &theme());
    }
    // Generous: all of them would take a hundred times as long.
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_movement_at_any_size_leaves_the_conversation(
        moves in proptest::collection::vec((-40i16..40, 0u16..50, 0u16..20), 1..20),
    ) {
        let mut transcript = conversation(8);
        transcript.push(answer("# A\n\ntext text text text text\n\n| a | b |\n|---|---|\n| 1 | 2 |"));
        for (lines, width, height) in moves {
            transcript.scroll(Scroll::Lines(lines), &theme());
            transcript.lay_out(width, height, &theme());
            prop_assert!(transcript.visible().len() <= usize::from(height));
            prop_assert!(height == 0 || !transcript.visible().is_empty());
        }
    }
}
