//! What can be set about how a model is computed, and what of that is to be tried on a machine. Pure.

use serde::{Deserialize, Serialize};

use crate::engine::KvTypes;
use crate::hardware::cores::{Cpu, Crew, Crews};

/// Most tokens that are computed at once, the usual number first. Memory is planned for no more.
const BATCHES: [u32; 3] = [512, 256, 128];

/// How a model is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    pub crews: Crews,
    /// Tokens of a prompt at once.
    pub batch: u32,
    /// Number formats of the KV cache.
    pub types: KvTypes,
    /// Tokens are guessed, and several computed at once.
    pub guesses: bool,
    pub flash_attention: bool,
}

impl Setting {
    /// The same but for one thing.
    pub fn with(self, level: Level) -> Self {
        match level {
            Level::Decode(crew) => Self { crews: Crews { decode: crew, ..self.crews }, ..self },
            Level::Prefill(crew) => Self { crews: Crews { prefill: crew, ..self.crews }, ..self },
            Level::Batch(batch) => Self { batch, ..self },
            Level::Cache(types) => Self { types, ..self },
            Level::Guesses(guesses) => Self { guesses, ..self },
            Level::Attention(flash_attention) => Self { flash_attention, ..self },
        }
    }

    /// How one thing is set.
    pub fn level(&self, factor: Factor) -> Level {
        match factor {
            Factor::Decode => Level::Decode(self.crews.decode),
            Factor::Prefill => Level::Prefill(self.crews.prefill),
            Factor::Batch => Level::Batch(self.batch),
            Factor::Cache => Level::Cache(self.types),
            Factor::Guesses => Level::Guesses(self.guesses),
            Factor::Attention => Level::Attention(self.flash_attention),
        }
    }

    /// How these things are set: `tokens at once 256, KV cache q8_0`.
    pub fn words(&self, factors: &[Factor]) -> String {
        let words = factors.iter().map(|factor| format!("{} {}", factor.title(), self.level(*factor).words()));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The same in so few words that a column holds them, threads for answers and for prompts last: `256 at once, q8_0, no
    /// guessing, threads 4/8 on 4-7/0-7`.
    pub fn brief(&self, factors: &[Factor]) -> String {
        let word = |factor: &Factor| match self.level(*factor) {
            Level::Batch(batch) => Some(format!("{batch} at once")),
            Level::Cache(types) => Some(types.to_string()),
            Level::Guesses(guesses) => Some(if guesses { "guessing" } else { "no guessing" }.to_owned()),
            Level::Attention(is_on) => Some(format!("flash attention {}", if is_on { "on" } else { "off" })),
            Level::Decode(_) | Level::Prefill(_) => None,
        };
        let mut words: Vec<String> = factors.iter().filter_map(word).collect();
        let crews = [(Factor::Decode, self.crews.decode), (Factor::Prefill, self.crews.prefill)];
        let named: Vec<Crew> =
            crews.into_iter().filter(|(factor, _)| factors.contains(factor)).map(|it| it.1).collect();
        let all = |word: fn(&Crew) -> String| named.iter().map(word).collect::<Vec<_>>().join("/");
        if !named.is_empty() {
            let cores = all(|crew| if crew.cores.is_empty() { "any".into() } else { crew.cores.to_string() });
            words.push(format!("threads {} on {cores}", all(|crew| crew.threads.to_string())));
        }
        words.join(", ")
    }

    /// How many of these things another one has in the same way.
    pub fn in_common(&self, other: &Self, factors: &[Factor]) -> usize {
        factors.iter().filter(|factor| self.level(**factor) == other.level(**factor)).count()
    }
}

/// One thing, set one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Decode(Crew),
    Prefill(Crew),
    Batch(u32),
    Cache(KvTypes),
    Guesses(bool),
    Attention(bool),
}

impl Level {
    pub fn factor(&self) -> Factor {
        match self {
            Level::Decode(_) => Factor::Decode,
            Level::Prefill(_) => Factor::Prefill,
            Level::Batch(_) => Factor::Batch,
            Level::Cache(_) => Factor::Cache,
            Level::Guesses(_) => Factor::Guesses,
            Level::Attention(_) => Factor::Attention,
        }
    }

    /// `4 on 4-7`, `256`, `q8_0`, `off`.
    pub fn words(&self) -> String {
        match self {
            Level::Decode(crew) | Level::Prefill(crew) if crew.cores.is_empty() => crew.threads.to_string(),
            Level::Decode(crew) | Level::Prefill(crew) => format!("{} on {}", crew.threads, crew.cores),
            Level::Batch(batch) => batch.to_string(),
            Level::Cache(types) => types.to_string(),
            Level::Guesses(is_on) | Level::Attention(is_on) => if *is_on { "on" } else { "off" }.to_owned(),
        }
    }
}

/// What can be set one way or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    Decode,
    Prefill,
    Batch,
    Cache,
    Guesses,
    Attention,
}

impl Factor {
    pub const ALL: [Self; 6] = [Self::Decode, Self::Prefill, Self::Batch, Self::Cache, Self::Guesses, Self::Attention];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Factor::Decode => "threads for answers",
            Factor::Prefill => "threads for prompts",
            Factor::Batch => "tokens at once",
            Factor::Cache => "KV cache",
            Factor::Guesses => "guessing tokens",
            Factor::Attention => "flash attention",
        }
    }

    /// For programs.
    pub fn key(self) -> &'static str {
        match self {
            Factor::Decode => "decode_threads",
            Factor::Prefill => "prefill_threads",
            Factor::Batch => "batch",
            Factor::Cache => "kv",
            Factor::Guesses => "spec",
            Factor::Attention => "flash_attention",
        }
    }

    /// Flash attention is what shows which tokens are attended to, so a chat needs it: that is only told.
    pub fn is_only_told(self) -> bool {
        self == Factor::Attention
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Prompt,
    /// Tokens behind the prompt.
    Answer,
    /// Both.
    Turn,
}

/// Something to be timed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub setting: Setting,
    pub part: Part,
}

/// What settings are compared by: a prompt, and an answer behind it of which a part repeats what was said before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    pub prompt: u32,
    pub answer: u32,
}

/// The part of an answer that repeats what was said, where guesses are right.
pub const REPEATED: f64 = 0.25;
/// Tokens of a step of which all but the first were guessed.
pub const GUESSED: usize = 8;

impl Workload {
    /// Seconds of an answer, if one token takes so long, and a step with guesses so long where there are guesses.
    pub fn answer_seconds(&self, token: f64, step: Option<f64>) -> f64 {
        let repeated = step.map_or(token, |step| step / GUESSED as f64);
        f64::from(self.answer) * ((1.0 - REPEATED) * token + REPEATED * repeated)
    }

    pub fn tokens(&self, part: Part) -> f64 {
        f64::from(match part {
            Part::Prompt => self.prompt,
            Part::Answer => self.answer,
            Part::Turn => self.prompt + self.answer,
        })
    }
}

/// What there is to try: the usual setting, and for each factor its levels, the usual one first.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    pub usual: Setting,
    pub factors: Vec<Vec<Level>>,
    /// What somebody has set, so that there is nothing to try about it.
    pub set: Vec<Level>,
}

/// What a machine, a model and a person leave open.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    pub cpu: &'a Cpu,
    /// Threads, formats and guessing as somebody has set them.
    pub threads: Option<u32>,
    pub types: Option<KvTypes>,
    pub guesses: Option<bool>,
    /// The model's cache can give tokens back.
    pub may_guess: bool,
    /// llama.cpp computes this model without flash attention, too.
    pub may_go_without_attention: bool,
    /// The formats of the cache that the model bears, beside the usual one.
    pub borne: &'a [KvTypes],
    /// Tokens of the prompt that is timed: more at once cannot be told apart.
    pub prompt: u32,
    /// A graphics processor computes.
    pub is_on_gpu: bool,
}

impl Space {
    pub fn of(given: &Given<'_>) -> Self {
        let crews = crews(given);
        let types: Vec<KvTypes> = match given.types {
            Some(types) => vec![types],
            None => [KvTypes::default()].into_iter().chain(given.borne.iter().copied()).collect(),
        };
        let guesses: &[bool] = match (given.may_guess, given.guesses) {
            (false, _) => &[false],
            (true, None) => &[true, false],
            (true, Some(true)) => &[true],
            (true, Some(false)) => &[false],
        };
        let batches = BATCHES.into_iter().enumerate().filter(|(place, batch)| *place == 0 || *batch < given.prompt);
        let usual = Setting {
            crews: Crews::both(crews[0]),
            batch: BATCHES[0],
            types: types[0],
            guesses: guesses[0],
            flash_attention: true,
        };
        let has_choice = given.may_go_without_attention && !types[0].v.is_lossy();
        let attention = if has_choice { &[true, false][..] } else { &[true] };
        let factors: [Vec<Level>; 6] = [
            crews.iter().copied().map(Level::Decode).collect(),
            crews.iter().copied().map(Level::Prefill).collect(),
            batches.map(|(_, batch)| Level::Batch(batch)).collect(),
            types.iter().copied().map(Level::Cache).collect(),
            guesses.iter().copied().map(Level::Guesses).collect(),
            attention.iter().copied().map(Level::Attention).collect(),
        ];
        let set = [
            given.threads.map(|_| Level::Decode(usual.crews.decode)),
            given.types.map(Level::Cache),
            given.guesses.map(Level::Guesses),
        ];
        Self {
            usual,
            factors: factors.into_iter().filter(|levels| levels.len() > 1).collect(),
            set: set.into_iter().flatten().collect(),
        }
    }

    /// The ways to set one thing, the usual one first.
    pub fn levels(&self, factor: Factor) -> Vec<Level> {
        let levels = self.factors.iter().find(|levels| levels[0].factor() == factor);
        levels.cloned().unwrap_or_else(|| vec![self.usual.level(factor)])
    }

    /// What can be set one way or another, but for what is only told.
    pub fn open(&self) -> Vec<Factor> {
        let factors = self.factors.iter().map(|levels| levels[0].factor());
        factors.filter(|factor| !factor.is_only_told()).collect()
    }

    /// Every setting there is, without what is only told; the usual one first.
    pub fn all(&self) -> Vec<Setting> {
        combinations(self.usual, &self.open().into_iter().map(|factor| self.levels(factor)).collect::<Vec<_>>())
    }
}

/// All that can be made of a setting with one of each of these levels; where the first of each is in it already, it comes
/// first.
pub fn combinations(of: Setting, factors: &[Vec<Level>]) -> Vec<Setting> {
    factors.iter().fold(vec![of], |all, levels| {
        levels.iter().flat_map(|level| all.iter().map(|setting| setting.with(*level))).collect()
    })
}

/// The threads to try, the rule's first. Where threads are held to kinds of cores, as many that may run anywhere.
fn crews(given: &Given<'_>) -> Vec<Crew> {
    let cpu = given.cpu;
    if given.threads.is_some() || given.is_on_gpu {
        return vec![cpu.choose(given.threads).crews.decode];
    }
    let mut crews = cpu.candidates();
    let first = crews[0];
    if cpu.pinning(&first).is_some_and(|cores| cores.len() < cpu.allowed().len()) {
        crews.push(Crew::anywhere(first.threads));
    }
    crews
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tune::synthetic::{big_little, given, plain};
    use crate::engine::KvType;

    fn words(space: &Space) -> Vec<String> {
        let of = |levels: &Vec<Level>| {
            let levels_words: Vec<String> = levels.iter().map(Level::words).collect();
            format!("{}: {}", levels[0].factor().key(), levels_words.join(", "))
        };
        space.factors.iter().map(of).collect()
    }

    #[test]
    fn what_is_tried_is_what_machine_model_and_person_leave_open() {
        let two = plain(2);
        assert_eq!(
            words(&Space::of(&given(&two))),
            [
                "decode_threads: 2 on 0-1, 1 on 0-1",
                "prefill_threads: 2 on 0-1, 1 on 0-1",
                "batch: 512, 256, 128",
                "kv: f16, q8_0",
                "spec: on, off",
                "flash_attention: on, off",
            ]
        );
        let set = Given {
            threads: Some(2),
            types: Some(KvTypes::both(KvType::Q8)),
            guesses: Some(false),
            prompt: 256,
            ..given(&two)
        };
        let space = Space::of(&set);
        assert_eq!(words(&space), ["batch: 512, 128"]);
        assert_eq!(space.set.len(), 3);
        assert!(!space.usual.guesses && space.usual.types == KvTypes::both(KvType::Q8));
        let recurrent = Given { may_guess: false, borne: &[], ..given(&two) };
        assert!(
            words(&Space::of(&recurrent)).iter().all(|words| !words.starts_with("spec") && !words.starts_with("kv"))
        );
        let on_gpu = Given { is_on_gpu: true, ..given(&two) };
        assert!(words(&Space::of(&on_gpu)).iter().all(|words| !words.contains("threads")));
    }

    #[test]
    fn kinds_of_cores_are_tried_apart_together_and_without_being_held() {
        let board = big_little();
        let levels = &words(&Space::of(&given(&board)))[0];
        assert_eq!(levels, "decode_threads: 4 on 4-7, 8 on 0-7, 2 on 4-7, 3 on 4-7, 4");
    }

    #[test]
    fn a_sweep_has_every_combination_once() {
        let two = plain(2);
        let all = Space::of(&given(&two)).all();
        assert_eq!(all.len(), 2 * 2 * 3 * 2 * 2);
        assert!(
            all.iter().all(|setting| setting.flash_attention && all.iter().filter(|it| *it == setting).count() == 1)
        );
        assert_eq!(all[0], Space::of(&given(&two)).usual);
    }

    #[test]
    fn guesses_make_a_part_of_an_answer_faster() {
        let workload = Workload { prompt: 512, answer: 100 };
        assert_eq!(workload.answer_seconds(0.1, None), 10.0);
        assert!((workload.answer_seconds(0.1, Some(0.4)) - 8.75).abs() < 1e-9);
        assert_eq!([Part::Prompt, Part::Answer, Part::Turn].map(|part| workload.tokens(part)), [512.0, 100.0, 612.0]);
    }

    #[test]
    fn a_setting_says_how_things_are_set_and_what_it_has_in_common_with_another() {
        let two = plain(2);
        let usual = Space::of(&given(&two)).usual;
        let other = usual.with(Level::Batch(128)).with(Level::Guesses(false));
        assert_eq!(other.words(&[Factor::Batch, Factor::Guesses]), "tokens at once 128, guessing tokens off");
        assert_eq!(usual.in_common(&other, &Factor::ALL), 4);
        assert_eq!(other.brief(&[Factor::Prefill, Factor::Batch]), "128 at once, threads 2 on 0-1");
        assert_eq!(
            other.brief(&Space::of(&given(&two)).open()),
            "128 at once, f16, no guessing, threads 2/2 on 0-1/0-1"
        );
        assert!(Factor::ALL.into_iter().all(|factor| usual.level(factor).factor() == factor));
    }
}
