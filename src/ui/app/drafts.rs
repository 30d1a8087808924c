//! What came of guessing tokens in the last answer: a few words for the status line, and all of it for `/spec`.

use super::App;
use crate::chat::{DraftedBy, Speculation, Stats};
use crate::text::counted;
use crate::ui::transcript::Entry;

impl App {
    /// How many of the guessed tokens were right, and how much faster that was; nothing if none were.
    pub fn drafts(&self) -> Option<String> {
        let Speculation { drafted, accepted, .. } = self.last_answer?.speculation;
        if accepted == 0 {
            return None;
        }
        let speedup = self.last_answer?.speculation.speedup()?;
        Some(format!("{accepted}/{drafted} drafted x{speedup:.2}"))
    }

    /// Whether answers may be others than the model would give.
    pub fn is_fuzzy(&self) -> bool {
        self.options.speculation.fuzzy > 0.0
    }

    /// Says what came of it, and why no more.
    pub(super) fn explain_drafts(&mut self) {
        let is_whole = |entry: &Entry| matches!(entry, Entry::Answer(answer) if answer.end.is_some());
        let has_answer = self.transcript.entries().iter().any(is_whole);
        let sentence = match &self.last_answer {
            Some(stats) => explanation(stats),
            None if has_answer => {
                "what guessing tokens brought is known of answers of this run only; ask something".into()
            }
            None => "there is no answer yet; after one, `/spec` tells what guessing tokens brought to it".into(),
        };
        self.notice(sentence);
    }
}

fn explanation(stats: &Stats) -> String {
    let Speculation { drafter, drafted, accepted, fuzzy, off, .. } = stats.speculation;
    let tokens = stats.usage.completion_tokens;
    let mut words = match (drafter, stats.speculation.speedup()) {
        (Some(by), Some(speedup)) => guessed(stats, by, speedup),
        _ if tokens == 0 => "no token of the last answer came".into(),
        _ if tokens == 1 => "the one token of the last answer was not guessed".into(),
        _ => format!("the {tokens} tokens of the last answer came one by one"),
    };
    match off {
        Some(reason) if drafted > 0 => words.push_str(&format!("; then guessing was given up: {}", reason.as_str())),
        Some(reason) => words.push_str(&format!("; nothing was guessed: {}", reason.as_str())),
        None if drafted == 0 && tokens > 1 => words.push_str("; nothing was guessed"),
        None => {}
    }
    if fuzzy > 0.0 && accepted > 0 {
        words.push_str(&format!("; fuzzy {fuzzy}: the answer may be another than the model would have given"));
    }
    words
}

fn guessed(stats: &Stats, by: DraftedBy, speedup: f64) -> String {
    let Speculation { drafted, accepted, verified_calls, spent_ms, plain_ms, .. } = stats.speculation;
    format!(
        "the {} of the last answer came in {}, {verified_calls} of them with guesses; of {} guessed by {}, {accepted} {} \
         right; that took {:.1} s, and one by one it would have taken about {:.1} s: {speedup:.2} times as fast",
        counted(stats.usage.completion_tokens, "token"),
        counted(stats.decode_calls, "step"),
        counted(drafted, "token"),
        by.as_str(),
        if accepted == 1 { "was" } else { "were" },
        spent_ms / 1000.0,
        plain_ms / 1000.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Ended, NotDrafted, Role, Usage};
    use crate::store::ChatId;
    use crate::ui::app::tester::{Tester, opened, settings, stored};
    use crate::ui::msg::Msg;

    #[test]
    fn the_ledger_of_an_answer_is_told_in_a_sentence() {
        let speculation = Speculation {
            drafter: Some(DraftedBy::Ngram),
            drafted: 60,
            accepted: 45,
            verified_calls: 6,
            spent_ms: 4000.0,
            plain_ms: 6000.0,
            ..Speculation::default()
        };
        let usage = Usage { completion_tokens: 120, ..Usage::default() };
        let stats = Stats { usage, decode_calls: 74, speculation, ..Stats::default() };
        let told = explanation(&stats);
        for part in [
            "the 120 tokens of the last answer came in 74 steps, 6 of them with guesses",
            "of 60 tokens guessed by ngram, 45 were right",
            "about 6.0 s: 1.50 times as fast",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn why_nothing_was_guessed_is_told() {
        let speculation = Speculation { off: Some(NotDrafted::Unlikely), fuzzy: 0.3, ..Speculation::default() };
        let usage = Usage { completion_tokens: 9, ..Usage::default() };
        let told = explanation(&Stats { usage, speculation, ..Stats::default() });
        assert!(told.contains("one by one; nothing was guessed: no guess was likely enough"), "{told}");
        assert!(!told.contains("fuzzy"), "an answer without guesses is the model's own: {told}");
    }

    #[test]
    fn what_is_not_known_is_not_told_as_if_it_were() {
        let told = |completion_tokens| {
            explanation(&Stats { usage: Usage { completion_tokens, ..Usage::default() }, ..Stats::default() })
        };
        assert_eq!(told(0), "no token of the last answer came");
        assert_eq!(told(1), "the one token of the last answer was not guessed");
        assert_eq!(told(20), "the 20 tokens of the last answer came one by one; nothing was guessed");
        let mut tester = Tester::saving();
        tester.send("/spec");
        assert!(tester.app.notices()[0].starts_with("there is no answer yet"), "{:?}", tester.app.notices());
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        let messages = vec![stored(1, Role::User, "one", None), stored(2, Role::Assistant, "1", Some(Ended::Stop))];
        tester.update(Msg::ChatOpened(opened(4, messages)));
        tester.send("/spec");
        assert!(tester.app.notices()[0].contains("of answers of this run only"), "{:?}", tester.app.notices());
    }
}
