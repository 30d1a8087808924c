//! The plain types that the store, the engine and the interface share: what a message is, how an answer is
//! sampled, how it ended and what it cost. No behaviour beyond names and arithmetic.

use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// The name that chat templates and the JSON output use.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "system" => Ok(Role::System),
            "user" => Ok(Role::User),
            "assistant" => Ok(Role::Assistant),
            other => Err(format!("there is no role `{other}`; use system, user or assistant")),
        }
    }
}

/// One message of a conversation: plain text, never markup that a template or a terminal would obey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    #[serde(rename = "content")]
    pub text: String,
    /// The person wants it to stay in the KV cache, whatever leaves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pinned: bool,
}

impl Message {
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), is_pinned: false }
    }
}

/// How the next token is chosen. Zero temperature is greedy decoding: the other fields but the repeat
/// penalty then have no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    pub temperature: f32,
    /// Keep the k most probable tokens; 0 keeps all.
    pub top_k: u32,
    /// Nucleus sampling: keep the smallest set whose probability reaches p; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this fraction as probable as the best one; 0 keeps all.
    pub min_p: f32,
    /// Divide the logits of tokens among the last 64 by this; 1 is off.
    pub repeat_penalty: f32,
    /// `None` draws a fresh seed for each answer; the one used is reported with the answer.
    pub seed: Option<u32>,
}

impl Default for Sampling {
    /// llama.cpp's own defaults (`common_params_sampling`): what its tools' users are used to.
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1.0, seed: None }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The model ended its turn.
    Stop,
    /// `--max-tokens` was reached, or the context is full.
    Length,
    /// One of the stop strings was produced.
    StopString,
    /// The answer repeated itself; see [`Repetition`].
    Loop,
    /// The person stopped it.
    Cancelled,
    /// The engine failed in mid-answer.
    Error,
    /// The program ended (kill, power cut) before the answer did. Found by the store at the next start.
    Interrupted,
}

impl Ended {
    const ALL: [Self; 7] = [
        Ended::Stop,
        Ended::Length,
        Ended::StopString,
        Ended::Loop,
        Ended::Cancelled,
        Ended::Error,
        Ended::Interrupted,
    ];

    /// The word in the JSON output and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Ended::Stop => "stop",
            Ended::Length => "length",
            Ended::StopString => "stop_string",
            Ended::Loop => "loop",
            Ended::Cancelled => "cancelled",
            Ended::Error => "error",
            Ended::Interrupted => "interrupted",
        }
    }
}

impl std::str::FromStr for Ended {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|ended| ended.as_str() == word)
            .ok_or_else(|| format!("`{word}` is no way for an answer to end"))
    }
}

/// What an answer that goes round in circles repeats at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    /// So many tokens come again and again.
    pub period: u32,
    /// How often they came in full.
    pub times: u32,
}

impl std::fmt::Display for Repetition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.period {
            1 => write!(formatter, "the same token {} times", self.times),
            period => write!(formatter, "the same {period} tokens {} times", self.times),
        }
    }
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the whole rendered prompt.
    pub prompt_tokens: u32,
    /// How many of them were already in the KV cache and were not computed again.
    pub cached_prompt_tokens: u32,
    /// How many tokens of its beginning are on disk, for later prompts that begin so.
    pub kept_prompt_tokens: u32,
    /// Tokens the model produced, the one that ended its turn included.
    pub completion_tokens: u32,
    /// Tokens removed from the KV cache to make room.
    pub evicted_tokens: u32,
}

/// Wall-clock times of one answer, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Computing the part of the prompt that was not cached.
    pub prefill_ms: f64,
    /// Part of that: seeing what is important in a cache that is too small, and evicting what is not.
    pub eviction_ms: f64,
    /// From the request's arrival at the engine to the first token.
    pub time_to_first_token_ms: f64,
    /// From the first token to the last.
    pub decode_ms: f64,
}

/// What guessed tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DraftedBy {
    /// What was said before.
    Ngram,
    /// A smaller model.
    Draft,
    Both,
}

impl DraftedBy {
    /// The word in the JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            DraftedBy::Ngram => "ngram",
            DraftedBy::Draft => "draft",
            DraftedBy::Both => "ngram+draft",
        }
    }

    /// Whether all of it was found in the text: there the ground of a guess tells how likely it is right.
    pub fn is_looked_up(self) -> bool {
        match self {
            DraftedBy::Ngram => true,
            DraftedBy::Draft | DraftedBy::Both => false,
        }
    }
}

/// Why no tokens were guessed, or no more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotDrafted {
    TurnedOff,
    CannotTakeBack,
    NoDraftModel,
    Unlikely,
    Lost,
    /// Tuning found that steps of several tokens save no time here.
    Tuned,
}

impl NotDrafted {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            NotDrafted::TurnedOff => "it is turned off",
            NotDrafted::CannotTakeBack => "this model's memory cannot take tokens back",
            NotDrafted::NoDraftModel => "there is no draft model",
            NotDrafted::Unlikely => "no guess was likely enough to be right to save time",
            NotDrafted::Lost => "it took more time than it saved",
            NotDrafted::Tuned => "it saves no time on this machine, as `tuichat bench --tune` found",
        }
    }
}

/// What came of guessing tokens and computing several at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speculation {
    /// What guessed them; `None` if nothing did.
    pub drafter: Option<DraftedBy>,
    /// Tokens that were guessed and computed.
    pub drafted: u32,
    /// How many of them the answer has.
    pub accepted: u32,
    /// Calls of the model in which there were such tokens.
    pub verified_calls: u32,
    /// What all calls took, and what they would have taken with one token each, as far as is known.
    pub spent_ms: f64,
    pub plain_ms: f64,
    /// How far the answer may be from what the model would have said.
    pub fuzzy: f32,
    /// Why nothing was guessed, or nothing more.
    pub off: Option<NotDrafted>,
}

impl Speculation {
    /// How many times as fast as without; `None` if nothing was guessed.
    pub fn speedup(&self) -> Option<f64> {
        (self.drafted > 0 && self.spent_ms > 0.0).then(|| self.plain_ms / self.spent_ms)
    }

    fn followed_by(self, next: Self) -> Self {
        let drafter = match (self.drafter, next.drafter) {
            (Some(one), Some(other)) if one != other => Some(DraftedBy::Both),
            (one, other) => other.or(one),
        };
        Self {
            drafter,
            drafted: self.drafted.saturating_add(next.drafted),
            accepted: self.accepted.saturating_add(next.accepted),
            verified_calls: self.verified_calls.saturating_add(next.verified_calls),
            spent_ms: self.spent_ms + next.spent_ms,
            plain_ms: self.plain_ms + next.plain_ms,
            fuzzy: self.fuzzy.max(next.fuzzy),
            off: next.off,
        }
    }
}

/// What one answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    pub usage: Usage,
    pub timings: Timings,
    /// Calls of the model after prefill, one token each unless drafts were verified.
    pub decode_calls: u32,
    pub speculation: Speculation,
    /// KV cells in use when the answer ended.
    pub cells_used: u32,
    /// Page faults that waited for the disk, from the request's arrival to the last token; `None` where the system does
    /// not tell.
    pub major_faults: Option<u64>,
    /// The model was read from the disk for every token, so that its speed is the disk's.
    pub is_reread: bool,
    /// A server answered: of its cache, its guesses and its memory nothing is known, and of the rest what this says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_server: Option<ServerTold>,
}

/// What a server told of an answer; what it did not is unknown, whatever the numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerTold {
    /// How many tokens the prompt has.
    pub prompt: bool,
    /// How many of them were cached.
    pub cached: bool,
    /// How long the others took.
    pub prefill: bool,
}

impl ServerTold {
    /// What is known of an answer in two parts.
    fn with(self, next: Self) -> Self {
        Self {
            prompt: self.prompt && next.prompt,
            cached: self.cached && next.cached,
            prefill: self.prefill && next.prefill,
        }
    }
}

impl Stats {
    /// What an answer cost in both its parts, of which `next` went on with the first: everything is added up but for
    /// the time to the first token, which is the first part's, and the cells, which are the last's.
    pub fn followed_by(self, next: Self) -> Self {
        let (first, second) = (self.usage, next.usage);
        Self {
            usage: Usage {
                prompt_tokens: first.prompt_tokens.saturating_add(second.prompt_tokens),
                cached_prompt_tokens: first.cached_prompt_tokens.saturating_add(second.cached_prompt_tokens),
                kept_prompt_tokens: first.kept_prompt_tokens.max(second.kept_prompt_tokens),
                completion_tokens: first.completion_tokens.saturating_add(second.completion_tokens),
                evicted_tokens: first.evicted_tokens.saturating_add(second.evicted_tokens),
            },
            timings: Timings {
                prefill_ms: self.timings.prefill_ms + next.timings.prefill_ms,
                eviction_ms: self.timings.eviction_ms + next.timings.eviction_ms,
                time_to_first_token_ms: self.timings.time_to_first_token_ms,
                decode_ms: self.timings.decode_ms + next.timings.decode_ms,
            },
            decode_calls: self.decode_calls.saturating_add(next.decode_calls),
            speculation: self.speculation.followed_by(next.speculation),
            cells_used: if next.cells_used > 0 { next.cells_used } else { self.cells_used },
            major_faults: match (self.major_faults, next.major_faults) {
                (Some(one), Some(other)) => Some(one.saturating_add(other)),
                (one, other) => one.or(other),
            },
            is_reread: self.is_reread || next.is_reread,
            by_server: match (self.by_server, next.by_server) {
                (Some(one), Some(other)) => Some(one.with(other)),
                (one, other) => other.or(one),
            },
        }
    }

    /// Prefill speed in tokens per second over the tokens that were computed; `None` if nothing was.
    pub fn prefill_tokens_per_second(&self) -> Option<f64> {
        let computed = self.usage.prompt_tokens.saturating_sub(self.usage.cached_prompt_tokens);
        per_second(computed, self.timings.prefill_ms)
    }

    /// Decode speed in tokens per second, without the first token, which prefill produced.
    pub fn decode_tokens_per_second(&self) -> Option<f64> {
        per_second(self.usage.completion_tokens.saturating_sub(1), self.timings.decode_ms)
    }
}

fn per_second(tokens: u32, milliseconds: f64) -> Option<f64> {
    (tokens > 0 && milliseconds > 0.0).then(|| f64::from(tokens) * 1000.0 / milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_speed_leaves_the_first_token_out() {
        let stats = Stats {
            usage: Usage { completion_tokens: 11, ..Usage::default() },
            timings: Timings { decode_ms: 1000.0, ..Timings::default() },
            ..Stats::default()
        };
        assert_eq!(stats.decode_tokens_per_second(), Some(10.0));
    }

    #[test]
    fn an_answer_in_two_parts_cost_both_and_began_with_the_first() {
        let part = |prompt_tokens, completion_tokens, time_to_first_token_ms, cells_used| Stats {
            usage: Usage { prompt_tokens, completion_tokens, ..Usage::default() },
            timings: Timings { time_to_first_token_ms, decode_ms: 500.0, ..Timings::default() },
            decode_calls: completion_tokens - 1,
            speculation: Speculation { drafted: 4, spent_ms: 2.0, plain_ms: 3.0, ..Speculation::default() },
            cells_used,
            major_faults: Some(2),
            ..Stats::default()
        };
        let both = part(10, 20, 30.0, 29).followed_by(part(30, 5, 2.0, 34));
        assert_eq!((both.usage.prompt_tokens, both.usage.completion_tokens, both.decode_calls), (40, 25, 23));
        assert_eq!((both.timings.time_to_first_token_ms, both.timings.decode_ms), (30.0, 1000.0));
        assert_eq!((both.cells_used, both.speculation.drafted, both.speculation.speedup()), (34, 8, Some(1.5)));
        assert_eq!(both.major_faults, Some(4));
        assert_eq!(both.followed_by(Stats::default()), both);
    }

    #[test]
    fn speeds_are_unknown_where_nothing_was_computed() {
        assert_eq!(Stats::default().decode_tokens_per_second(), None);
        assert_eq!(Stats::default().prefill_tokens_per_second(), None);
    }

    #[test]
    fn every_way_to_end_reads_back_from_its_word() {
        for ended in Ended::ALL {
            assert_eq!(ended.as_str().parse(), Ok(ended));
        }
    }
}
