//! What came of guessing tokens in the last answer: a few words for the status line, and all of it for `/spec`.

use super::App;
use crate::chat::{Speculation, Stats};

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
        let sentence = match &self.last_answer {
            None => "there was no answer yet; `/spec` tells what guessing tokens brought to the last one".into(),
            Some(stats) => explanation(stats),
        };
        self.notice(sentence);
    }
}

fn explanation(stats: &Stats) -> String {
    let Speculation { drafter, drafted, accepted, verified_calls, spent_ms, plain_ms, fuzzy, off } = stats.speculation;
    let tokens = stats.usage.completion_tokens;
    let mut words = match (drafter, stats.speculation.speedup()) {
        (Some(by), Some(speedup)) => format!(
            "{tokens} tokens came in {} steps, {verified_calls} of them with guesses; of {drafted} tokens guessed by {}, \
             {accepted} were right; that took {:.1} s, and one by one it would have taken about {:.1} s: {speedup:.2} \
             times as fast",
            stats.decode_calls,
            by.as_str(),
            spent_ms / 1000.0,
            plain_ms / 1000.0,
        ),
        _ => format!("{tokens} tokens came one by one"),
    };
    if let Some(reason) = off {
        let what = if drafted > 0 { "then guessing was given up" } else { "nothing was guessed" };
        words.push_str(&format!("; {what}: {}", reason.as_str()));
    }
    if fuzzy > 0.0 {
        words.push_str(&format!("; fuzzy {fuzzy}: the answer may be another than the model would have given"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{DraftedBy, NotDrafted, Usage};

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
            "120 tokens came in 74 steps",
            "of 60 tokens guessed by ngram, 45 were right",
            "about 6.0 s: 1.50 times as fast",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn why_nothing_was_guessed_is_told() {
        let speculation = Speculation { off: Some(NotDrafted::Unlikely), fuzzy: 0.3, ..Speculation::default() };
        let told = explanation(&Stats { speculation, ..Stats::default() });
        assert!(told.contains("one by one; nothing was guessed: no guess was likely enough"), "{told}");
        assert!(told.contains("fuzzy 0.3"), "{told}");
    }
}
