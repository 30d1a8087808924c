//! `/stats` and `/kv`: what the last answer and this chat cost, and what the KV cache is made of.

use super::App;
use super::words::Words;
use crate::chat::Stats;
use crate::text::{escape_line, mebibytes};

/// What is said where a server keeps the cache.
pub(super) const NOT_TOLD: &str = "a server answers, and servers do not tell what their caches hold";

/// What the answers of this chat cost together, since it was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spent {
    answers: u32,
    /// All of this is known: no server kept a part to itself.
    is_told: bool,
    computed_tokens: u64,
    cached_tokens: u64,
    answer_tokens: u64,
    prefill_ms: f64,
    decode_ms: f64,
    drafted: u64,
    accepted: u64,
}

impl Default for Spent {
    fn default() -> Self {
        Self {
            answers: 0,
            is_told: true,
            computed_tokens: 0,
            cached_tokens: 0,
            answer_tokens: 0,
            prefill_ms: 0.0,
            decode_ms: 0.0,
            drafted: 0,
            accepted: 0,
        }
    }
}

impl Spent {
    pub(super) fn add(&mut self, stats: &Stats) {
        let usage = stats.usage;
        self.is_told &= stats.by_server.is_none_or(|told| told.prompt && told.cached && told.prefill);
        self.answers += 1;
        self.computed_tokens += u64::from(usage.prompt_tokens.saturating_sub(usage.cached_prompt_tokens));
        self.cached_tokens += u64::from(usage.cached_prompt_tokens);
        self.answer_tokens += u64::from(usage.completion_tokens);
        self.prefill_ms += stats.timings.prefill_ms;
        self.decode_ms += stats.timings.decode_ms;
        self.drafted += u64::from(stats.speculation.drafted);
        self.accepted += u64::from(stats.speculation.accepted);
    }
}

impl App {
    pub(super) fn show_stats(&mut self) {
        let Some(last) = self.last_answer else {
            self.notice("there was no answer yet; `/stats` tells what the last one cost");
            return;
        };
        let mut words = Words::titled("Statistics");
        words.say("The last answer");
        let usage = last.usage;
        words.row("prompt", prompt(&last));
        words.row("answer", format!("{} tokens", usage.completion_tokens));
        words.row(
            "first token",
            match usage.completion_tokens {
                0 => "none came".into(),
                _ => format!("after {}", seconds(last.timings.time_to_first_token_ms)),
            },
        );
        if let Some(speed) = last.prefill_tokens_per_second() {
            words.row("reading", format!("{speed:.1} tok/s, {}", seconds(last.timings.prefill_ms)));
        }
        if let Some(speed) = last.decode_tokens_per_second() {
            words.row("writing", format!("{speed:.1} tok/s, {}", seconds(last.timings.decode_ms)));
        }
        if last.speculation.drafted > 0 {
            let speedup =
                last.speculation.speedup().map_or(String::new(), |speedup| format!(", {speedup:.2} times as fast"));
            let (accepted, drafted) = (last.speculation.accepted, last.speculation.drafted);
            words.row("guesses", format!("{accepted} of {drafted} were right{speedup}"));
        }
        if usage.evicted_tokens > 0 {
            words.row("left", format!("{} tokens left the cache during it", usage.evicted_tokens));
        }
        if let Some(faults) = last.major_faults.filter(|faults| *faults > 0) {
            words.row("disk", format!("{faults} pages had to be read from it"));
        }
        let spent = self.spent;
        words.say("");
        words.say("This chat, since it was opened");
        words.row("answers", format!("{}, {} tokens", spent.answers, spent.answer_tokens));
        if spent.is_told {
            let (computed, cached) = (spent.computed_tokens, spent.cached_tokens);
            words.row("prompts", format!("{computed} tokens were computed, {cached} were cached"));
            words.row("time", format!("{} reading, {} writing", seconds(spent.prefill_ms), seconds(spent.decode_ms)));
        } else {
            words.row("prompts", "the server did not tell all of what it computed and had cached");
            words.row("time", format!("{} writing", seconds(spent.decode_ms)));
        }
        if spent.drafted > 0 {
            words.row("guesses", format!("{} of {} were right", spent.accepted, spent.drafted));
        }
        self.say_context(&mut words);
        self.show_words(words);
    }

    /// What the context is: the cache's, or that of a server.
    fn say_context(&self, words: &mut Words) {
        let (held, model) = (self.held, self.model.as_ref());
        if let Some(kv) = model.and_then(|model| model.kv.as_ref()) {
            words.row("context", format!("{} of {} cells, {} tokens left it", held.used, kv.cells, held.evicted));
        }
        if let Some(server) = model.and_then(|model| model.server.as_ref()) {
            let place = if server.server.is_on_this_machine() { "on this machine" } else { "another machine" };
            words.row("server", escape_line(&format!("{} ({place})", server.server.address())));
            words.row("program", escape_line(server.program.as_deref().unwrap_or("it does not say what it is")));
            words.row("context", server.context.map_or("unknown".into(), |tokens| format!("{tokens} tokens")));
        }
    }

    /// What the KV cache is made of, and why.
    pub(super) fn show_kv(&mut self) {
        let Some(model) = &self.model else {
            self.notice("no model is loaded, so there is no KV cache yet; F4 chooses a model");
            return;
        };
        let Some(kv) = &model.kv else {
            self.notice(NOT_TOLD);
            return;
        };
        let types = match kv.type_k == kv.type_v {
            true => kv.type_k.clone(),
            false => format!("{} for keys, {} for values", kv.type_k, kv.type_v),
        };
        let leaves = match kv.policy.as_str() {
            "off" => "nothing leaves it; what does not fit is refused",
            "window" => "the oldest sentences leave it, but for the beginning",
            _ => "the sentences that matter least leave it",
        };
        let mut words = Words::titled("The KV cache");
        words.row("type", types);
        words.row("size", format!("{} for {} tokens", mebibytes(kv.bytes), kv.cells));
        words.row(
            "in use",
            format!("{} tokens; {} left it, {} are pinned", self.held.used, self.held.evicted, self.held.pinned),
        );
        words.row("when full", leaves);
        for (index, clause) in kv.reason.split("; ").filter(|clause| !clause.is_empty()).enumerate() {
            words.row(if index == 0 { "why" } else { "" }, escape_line(clause));
        }
        words.say("");
        words.say(
            "`/context` (F3) shows what it holds; `--kv`, `--kv-mem` and `--kv-evict` change it at the next start",
        );
        self.show_words(words);
    }
}

/// How long a prompt was, as far as that is known.
fn prompt(last: &Stats) -> String {
    let usage = last.usage;
    match last.by_server {
        Some(told) if !told.prompt => "the server does not tell".into(),
        Some(told) if !told.cached => format!("{} tokens; how many were cached is unknown", usage.prompt_tokens),
        _ => format!("{} tokens, {} of them cached", usage.prompt_tokens, usage.cached_prompt_tokens),
    }
}

fn seconds(milliseconds: f64) -> String {
    format!("{:.1} s", milliseconds / 1000.0)
}

#[cfg(test)]
mod tests {
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;

    #[test]
    fn the_numbers_of_the_last_answer_and_of_the_chat_are_told() {
        let mut tester = Tester::ready();
        tester.send("/stats");
        assert!(tester.app.notices()[0].contains("no answer yet"));
        for _ in 0..2 {
            tester.send("Hi");
            tester.token("Hello", 1);
            tester.finish(Ended::Stop);
        }
        tester.send("/stats");
        let words = tester.words();
        assert!(words.contains("prompt 10 tokens, 0 of them cached\nanswer 5 tokens"), "{words}");
        assert!(words.contains("answers 2, 10 tokens\nprompts 20 tokens were computed"), "{words}");
        tester.command(crate::ui::msg::Command::ClosePopup);
        tester.send("/new");
        tester.send("/stats");
        assert!(tester.app.notices()[0].contains("no answer yet"), "another chat");
    }

    #[test]
    fn the_kv_cache_tells_what_it_is_made_of_and_why() {
        let mut tester = Tester::ready();
        tester.send("/kv");
        let words = tester.words();
        assert!(words.contains("type f16\nsize 1 MiB for 4096 tokens"), "{words}");
        assert!(words.contains("why 4096 tokens take 1 MiB in f16"), "{words}");
        let mut tester = Tester::loading();
        tester.send("/kv");
        assert!(tester.app.notices()[0].contains("no model is loaded"));
    }
}
