//! How many threads compute a model the fastest: where the rule of [`cores`] may be wrong, its candidates are tried with
//! the loaded model, for answers and for prompts apart. That takes a few seconds once; what was found is kept for the
//! model's file and these cores.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use super::kv::{KvTypes, Unknown};
use super::llama::{Context, ContextSettings, Decoded, Model, Token};
use super::profile::{Notes, Profile};
use super::protocol::{CancelFlag, LoadSettings};
use crate::hardware::cores::{self, CoreChoice, Crew, Crews};

/// A candidate has to be faster than the rule's choice by this part to be taken: less is chance.
const NOTICEABLE: f64 = 0.05;
/// Tokens of a prompt; as many as there is time for. From 32 on, llama.cpp computes as with long prompts.
const PROMPTS: [usize; 3] = [128, 64, 32];
/// All prompts of a round together should take no longer, ...
const ROUND_OF_PROMPTS: Duration = Duration::from_secs(2);
/// ... nor the tokens of an answer that a candidate computes in a round, of which there are so many at most.
const ANSWER: Duration = Duration::from_millis(250);
const MOST_TOKENS: usize = 8;
const CELLS: u32 = 256;
/// Threads that wait for each other do so awake. If they had less than this part of the processors' time that is theirs,
/// something else was computing, and more threads suffer more from that than fewer: no day to go by.
pub const UNDISTURBED: f64 = 0.75;

/// What may be found out about threads when a model is loaded, and where it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// A file that remembers what was the fastest; `None` remembers nothing.
    pub file: Option<PathBuf>,
    /// They may be tried if nothing is remembered, for a few seconds.
    pub may_try: bool,
}

/// How long candidates are tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Each candidate is tried so often, ...
    pub rounds: usize,
    /// ... unless that takes longer. (The first round is finished.)
    pub most: Duration,
    /// Give up at once where something else is computing.
    pub gives_up: bool,
}

impl Effort {
    /// While a person waits for the model.
    pub const QUICK: Self = Self { rounds: 3, most: Duration::from_secs(4), gives_up: true };
}

/// What a candidate took, in each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Seconds for a token of an answer.
    pub decode: Vec<f64>,
    /// Seconds for a token of a prompt.
    pub prefill: Vec<f64>,
    /// The part of the processors' time that the threads had.
    pub share: Vec<f64>,
}

/// What was tried, and what is the fastest of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The rule's choice first.
    pub tried: Vec<(Crew, Times)>,
    pub crews: Crews,
    /// Something else was computing meanwhile.
    pub is_disturbed: bool,
}

impl Outcome {
    fn of(tried: Vec<(Crew, Times)>) -> Option<Self> {
        let crew = |seconds: fn(&Times) -> &Vec<f64>| {
            let all: Vec<&[f64]> = tried.iter().map(|(_, times)| seconds(times).as_slice()).collect();
            tried.get(fastest(&all)).map(|(crew, _)| *crew)
        };
        let crews = Crews { decode: crew(|times| &times.decode)?, prefill: crew(|times| &times.prefill)? };
        let share = |times: &Times| median(times.share.clone()).unwrap_or(1.0);
        let is_disturbed = tried.iter().any(|(_, times)| share(times) < UNDISTURBED);
        Some(Self { tried, crews, is_disturbed })
    }
}

/// Which of these is the fastest: the first, unless another one takes noticeably less. In a round they take turns, so
/// whatever else the machine does comes to the same for all of them, and their ratios in it vary less than the times.
fn fastest(seconds: &[&[f64]]) -> usize {
    let Some(first) = seconds.first() else { return 0 };
    let ratio = |other: &[f64]| median(other.iter().zip(*first).map(|(other, first)| other / first).collect());
    let ratios = seconds.iter().map(|other| ratio(other)).enumerate().skip(1);
    let best = ratios.filter_map(|(index, ratio)| Some((index, ratio?))).min_by(|(_, a), (_, b)| a.total_cmp(b));
    best.filter(|(_, ratio)| *ratio < 1.0 - NOTICEABLE).map_or(0, |(index, _)| index)
}

/// The middle one; `None` of none.
pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// Which threads would compute this model as things are known, without trying any: as many as were asked for, else what is
/// remembered, else the rule's.
pub fn known(settings: &LoadSettings, backend: &str) -> CoreChoice {
    let cpu = cores::this_machine();
    let notes = Notes { path: &settings.path, file: settings.tuning.file.as_deref(), backend, cpu };
    let remembered = notes.recall().filter(|_| settings.threads.is_none()).and_then(|known| known.crews);
    remembered.map_or_else(|| cpu.choose(settings.threads), |crews| cpu.measured(crews))
}

/// Which threads compute this model: as many as were asked for, else what is remembered, else what is tried now, if
/// that may be and the rule is not obviously right, else the rule's. `tell` is told what is being tried.
///
/// # Errors
/// If it was cancelled.
pub(super) fn choose(
    model: &Model,
    settings: &LoadSettings,
    backend: &str,
    tell: &dyn Fn(u32),
    cancel: &[&CancelFlag],
) -> Result<CoreChoice, Unknown> {
    let cpu = cores::this_machine();
    let notes = Notes { path: &settings.path, file: settings.tuning.file.as_deref(), backend, cpu };
    if settings.threads.is_some() {
        return Ok(cpu.choose(settings.threads));
    }
    let known = notes.recall().unwrap_or_default();
    if let Some(crews) = known.crews {
        return Ok(cpu.measured(crews));
    }
    // On a graphics processor it is not these threads that take the time.
    let is_worth_it = backend == "CPU" && !cpu.is_obvious() && settings.tuning.file.is_some();
    if !settings.tuning.may_try || !is_worth_it {
        return Ok(cpu.choose(None));
    }
    match run(model, &cpu.candidates(), Effort::QUICK, tell, cancel) {
        Ok(outcome) if !outcome.is_disturbed => {
            notes.remember(Profile { crews: Some(outcome.crews), ..known });
            Ok(cpu.measured(outcome.crews))
        }
        Ok(_) => Ok(cpu.choose(None)),
        Err(Unknown::Failed(words)) => {
            tracing::warn!(words, "threads could not be tried");
            Ok(cpu.choose(None))
        }
        Err(Unknown::Cancelled) => Err(Unknown::Cancelled),
    }
}

/// Tries the candidates.
///
/// # Errors
/// If it was cancelled, something else is computing, or it cannot be computed.
fn run(
    model: &Model,
    candidates: &[Crew],
    effort: Effort,
    tell: &dyn Fn(u32),
    cancel: &[&CancelFlag],
) -> Result<Outcome, Unknown> {
    let Some(first) = candidates.first() else { return Err(Unknown::Failed("there is nothing to try".into())) };
    let began = Instant::now();
    tell(first.threads);
    let mut trial = Trial::new(model, *first, cancel)?;
    let warmed_up = trial.warm_up()?;
    if effort.gives_up && warmed_up.share < UNDISTURBED {
        return Err(Unknown::Failed("something else is computing".into()));
    }
    let (prompt, answer) = lengths(warmed_up.prefill, warmed_up.decode, candidates.len());
    let mut tried: Vec<(Crew, Times)> = candidates.iter().map(|crew| (*crew, Times::default())).collect();
    for round in 0..effort.rounds {
        if round > 0 && began.elapsed() >= effort.most {
            break;
        }
        for (crew, times) in &mut tried {
            tell(crew.threads);
            trial.set_crew(*crew);
            let took = trial.time(prompt, answer)?;
            times.prefill.push(took.prefill);
            times.decode.push(took.decode);
            times.share.push(took.share);
        }
    }
    tracing::info!(?tried, prompt, answer, seconds = began.elapsed().as_secs_f64(), "tried threads");
    Outcome::of(tried).ok_or_else(|| Unknown::Failed("there is nothing to try".into()))
}

/// A context in which candidates are tried.
struct Trial<'a> {
    context: Context<'a>,
    vocabulary: usize,
    threads: u32,
    cancel: &'a [&'a CancelFlag],
}

impl<'a> Trial<'a> {
    fn new(model: &'a Model, crew: Crew, cancel: &'a [&'a CancelFlag]) -> Result<Self, Unknown> {
        let settings = ContextSettings {
            cells: CELLS,
            crews: Crews::both(crew),
            batch: PROMPTS[0] as u32,
            types: KvTypes::default(),
            sequences: 1,
        };
        let context = Context::new(model, settings).map_err(Unknown::Failed)?;
        Ok(Self { context, vocabulary: model.vocabulary_size().max(1), threads: crew.threads, cancel })
    }

    fn set_crew(&mut self, crew: Crew) {
        self.context.set_crews(Crews::both(crew));
        self.threads = crew.threads;
    }

    /// What a short prompt and a token take, once everything is there.
    fn warm_up(&mut self) -> Result<Took, Unknown> {
        let least = PROMPTS[PROMPTS.len() - 1];
        // The first pass pays for weights that come from the disk.
        self.time(least, 1)?;
        self.time(least, 1)
    }

    fn time(&mut self, prompt: usize, answer: usize) -> Result<Took, Unknown> {
        self.context.clear();
        let watch = ShareWatch::begin(self.threads);
        let prefill = self.decode(prompt, 0)? / prompt as f64;
        // Threads that were not there for the prompt are made for the first token.
        self.decode(1, prompt)?;
        let mut decode = 0.0;
        for token in 1..=answer {
            decode += self.decode(1, prompt + token)?;
        }
        Ok(Took { prefill, decode: decode / answer as f64, share: watch.share() })
    }

    /// Seconds for so many tokens at a position. Which they are makes no difference.
    fn decode(&mut self, tokens: usize, position: usize) -> Result<f64, Unknown> {
        let token = |place: usize| ((position + place) * 7919 % self.vocabulary) as Token;
        let tokens: Vec<Token> = (0..tokens).map(token).collect();
        let began = Instant::now();
        match self.context.decode(&tokens, position as u32, self.cancel) {
            Decoded::Done => Ok(began.elapsed().as_secs_f64()),
            Decoded::Cancelled => Err(Unknown::Cancelled),
            failed => Err(Unknown::Failed(format!("the model does not compute ({failed:?})"))),
        }
    }
}

/// What was seen of a candidate.
struct Took {
    /// Seconds for a token of a prompt.
    prefill: f64,
    /// Seconds for a token of an answer.
    decode: f64,
    /// The part of the processors' time that the threads had.
    share: f64,
}

/// Watches how much of the processors' time threads have that compute without a pause.
pub(super) struct ShareWatch {
    began: Instant,
    had: f64,
    /// Seconds of processors in a second, at most.
    most: f64,
}

impl ShareWatch {
    /// From now on, so many threads.
    pub(super) fn begin(threads: u32) -> Self {
        let most = cores::this_machine().quota.unwrap_or(f64::MAX).min(f64::from(threads));
        Self { began: Instant::now(), had: processor_seconds(), most }
    }

    /// The part of the time that could be theirs, until now.
    pub(super) fn share(&self) -> f64 {
        (processor_seconds() - self.had) / (self.began.elapsed().as_secs_f64() * self.most)
    }
}

/// The time that processors have spent on this program, in seconds.
pub fn processor_seconds() -> f64 {
    ProcessTime::now().as_duration().as_secs_f64()
}

/// The tokens of a prompt and of an answer, if a token of each takes so many seconds.
fn lengths(prefill: f64, decode: f64, candidates: usize) -> (usize, usize) {
    let takes = |tokens: usize| prefill * tokens as f64 * candidates as f64;
    let shortest = PROMPTS[PROMPTS.len() - 1];
    let prompt = PROMPTS.into_iter().find(|tokens| takes(*tokens) <= ROUND_OF_PROMPTS.as_secs_f64());
    let answer = (ANSWER.as_secs_f64() / decode.max(f64::MIN_POSITIVE)) as usize;
    (prompt.unwrap_or(shortest), answer.clamp(1, MOST_TOKENS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::llama::Placement;

    fn times(seconds: &[f64]) -> Vec<f64> {
        seconds.to_vec()
    }

    #[test]
    fn the_rule_stands_unless_another_choice_is_noticeably_faster() {
        assert_eq!(fastest(&[&[1.0, 1.0, 1.0], &[0.97, 0.98, 0.96]]), 0);
        assert_eq!(fastest(&[&[1.0, 1.0, 1.0], &[0.9, 0.8, 0.9], &[0.7, 0.8, 0.7]]), 2);
        assert_eq!(fastest(&[&[1.0], &[2.0], &[3.0]]), 0);
        assert_eq!(fastest(&[&[1.0]]), 0);
        assert_eq!(fastest(&[]), 0);
        assert_eq!(fastest(&[&[], &[]]), 0);
    }

    #[test]
    fn a_round_in_which_the_machine_was_busy_does_not_decide() {
        // All are slow in the second round, and one of them is disturbed alone in the third.
        assert_eq!(fastest(&[&[1.0, 5.0, 1.0], &[0.8, 4.0, 3.0]]), 1);
        assert_eq!(fastest(&[&[1.0, 5.0, 1.0], &[1.1, 5.5, 0.2]]), 0);
    }

    #[test]
    fn answers_and_prompts_each_get_their_own_threads() {
        let (few, many) = (Crew::anywhere(4), Crew::anywhere(8));
        let tried = vec![
            (few, Times { decode: times(&[1.0, 1.0]), prefill: times(&[1.0, 1.0]), share: times(&[1.0, 0.9]) }),
            (many, Times { decode: times(&[1.2, 1.3]), prefill: times(&[0.6, 0.6]), share: times(&[0.9, 0.9]) }),
        ];
        let outcome = Outcome::of(tried.clone()).unwrap();
        assert_eq!(outcome.crews, Crews { decode: few, prefill: many });
        assert!(!outcome.is_disturbed);
        let mut busy = tried;
        busy[1].1.share = times(&[0.9, 0.5, 0.5]);
        assert!(Outcome::of(busy).unwrap().is_disturbed);
        assert_eq!(Outcome::of(Vec::new()), None);
    }

    #[test]
    fn slow_machines_are_tried_with_less() {
        assert_eq!(lengths(0.001, 0.01, 4), (128, 8));
        assert_eq!(lengths(0.006, 0.1, 4), (64, 2));
        assert_eq!(lengths(0.1, 2.0, 4), (32, 1));
        assert_eq!(lengths(0.0, 0.0, 4), (128, 8));
    }

    /// A model of random weights in a folder of its own.
    fn tiny() -> (tempfile::TempDir, PathBuf, Model) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        crate::tiny_gguf::TinyModel::default().write(&path).unwrap();
        let model = Model::load(&path, &Placement::default(), |_| true).unwrap();
        (folder, path, model)
    }

    #[test]
    fn every_candidate_is_tried_as_often_and_told() {
        let (_folder, _path, model) = tiny();
        let told = std::cell::RefCell::new(Vec::new());
        let candidates = [Crew::anywhere(2), Crew::anywhere(1)];
        let effort = Effort { rounds: 2, most: Duration::from_secs(600), gives_up: false };
        let outcome = run(&model, &candidates, effort, &|threads| told.borrow_mut().push(threads), &[]).unwrap();
        assert_eq!(told.into_inner(), [2, 2, 1, 2, 1]);
        for (_, times) in &outcome.tried {
            assert!(times.decode.len() == 2 && times.prefill.iter().all(|seconds| *seconds > 0.0), "{times:?}");
        }
        assert!(candidates.contains(&outcome.crews.decode) && candidates.contains(&outcome.crews.prefill));
        assert!(run(&model, &[], effort, &|_| {}, &[]).is_err());
    }

    #[test]
    fn trying_can_be_cancelled() {
        let (_folder, _path, model) = tiny();
        let flag = CancelFlag::default();
        flag.cancel();
        let tried = run(&model, &[Crew::anywhere(1)], Effort::QUICK, &|_| {}, &[&flag]);
        assert_eq!(tried, Err(Unknown::Cancelled));
    }

    fn settings(path: PathBuf) -> LoadSettings {
        LoadSettings { path, ..LoadSettings::default() }
    }

    #[test]
    fn a_choice_that_is_obvious_or_may_not_be_tried_is_the_rules() {
        let (folder, path, model) = tiny();
        let settings = LoadSettings {
            tuning: Tuning { file: Some(folder.path().join("threads.json")), may_try: false },
            ..settings(path)
        };
        let cpu = cores::this_machine();
        let choose = |settings: &LoadSettings| choose(&model, settings, "CPU", &|_| {}, &[]).unwrap();
        assert_eq!(choose(&settings), cpu.choose(None));
        assert_eq!(choose(&LoadSettings { threads: Some(3), ..settings.clone() }).crews.decode.threads, 3);
        let notes = Notes { path: &settings.path, file: settings.tuning.file.as_deref(), backend: "CPU", cpu };
        notes.remember(Profile::of(Crews::anywhere(1)));
        assert_eq!(choose(&settings).crews, Crews::anywhere(1));
        assert!(choose(&settings).reason.starts_with("1 thread: the fastest"), "{}", choose(&settings).reason);
        if cpu.is_obvious() {
            let may_try = Tuning { file: Some(folder.path().join("other.json")), may_try: true };
            assert_eq!(choose(&LoadSettings { tuning: may_try, ..settings.clone() }), cpu.choose(None));
            assert!(!folder.path().join("other.json").exists());
        }
    }
}
