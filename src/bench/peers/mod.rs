//! Other programs measured in the same run as this one: the same model file, the same numbers of tokens and threads, in
//! turn with our own rounds (ours first in one round, theirs in the next), so that what slows the machine down slows
//! both. A peer that fails is left out from then on, and our own figures stay.

pub mod cases;
mod client;
mod llama_bench;
mod ollama;
mod openai;
mod ratio;
mod which;

use std::path::PathBuf;

pub use ratio::{Compared, compare};
pub use which::{Server, Which};

use crate::engine::protocol::CancelFlag;

/// What is measured, as a peer has to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The file of the model.
    pub model: PathBuf,
    /// Its parameters and bytes, by which a server's model is known.
    pub parameters: u64,
    pub bytes: u64,
    pub threads: u32,
    /// Tokens of the prompt that is timed, and tokens that are written.
    pub prompt: u32,
    pub written: u32,
    /// A prompt in tokens of the model, and as text; longer than `prompt`, so that each round has another.
    pub tokens: Vec<i32>,
    pub text: String,
}

/// Tokens that were computed in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    pub tokens: u32,
    pub seconds: f64,
}

impl Timed {
    /// Tokens per second; `None` where nothing was computed or no time is told.
    pub fn speed(self) -> Option<f64> {
        let speed = f64::from(self.tokens) / self.seconds;
        (self.tokens > 0 && speed.is_finite() && speed > 0.0).then_some(speed)
    }
}

/// What a peer did in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Round {
    pub prefill: Option<Timed>,
    pub decode: Option<Timed>,
}

/// Why a peer did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Somebody asked to stop.
    Stopped,
    /// A sentence.
    Failed(String),
}

impl From<String> for Problem {
    fn from(sentence: String) -> Self {
        Problem::Failed(sentence)
    }
}

/// A program that is measured.
pub trait Peer {
    /// Finds out what it is and whether it has the model. What is to be told about it is added to `notes`.
    ///
    /// # Errors
    /// Why it cannot be measured.
    fn begin(&mut self, task: &Task, cancel: &CancelFlag, notes: &mut Vec<String>) -> Result<(), Problem>;

    /// Its version or build, where it tells.
    fn version(&self) -> Option<&str>;

    /// Computes a prompt and writes tokens, each from an empty context.
    ///
    /// # Errors
    /// Why it did not.
    fn round(&mut self, task: &Task, number: u32, cancel: &CancelFlag) -> Result<Round, Problem>;
}

impl Which {
    fn open(&self) -> Result<Box<dyn Peer>, Problem> {
        Ok(match self {
            Which::LlamaBench(path) => Box::new(llama_bench::LlamaBench::new(path)),
            Which::Ollama(server) => Box::new(ollama::Ollama::new(server)?),
            Which::OpenAi(server) => Box::new(openai::OpenAi::new(server)?),
        })
    }
}

/// What a peer came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// What records call it: its kind, with a number where there are several of that.
    pub name: String,
    pub version: Option<String>,
    /// Tokens per second, one for each round that it did, with the number of the round.
    pub prefill: Vec<(u32, f64)>,
    pub decode: Vec<(u32, f64)>,
    /// Tokens that it says it computed: fewer than asked for where it ended by itself.
    pub prompt: u32,
    pub written: u32,
    /// Why it was left out at last.
    pub problem: Option<String>,
}

/// The peers of a run.
pub struct Peers {
    task: Task,
    cancel: CancelFlag,
    all: Vec<(Option<Box<dyn Peer>>, Measured)>,
}

impl Peers {
    /// Finds them. What cannot be measured is told in `notes`, and left out.
    ///
    /// # Errors
    /// If somebody asked to stop.
    pub fn begin(which: &[Which], task: Task, cancel: &CancelFlag, notes: &mut Vec<String>) -> Result<Self, Problem> {
        let mut peers = Self { task, cancel: cancel.clone(), all: Vec::new() };
        for (at, one) in which.iter().enumerate() {
            let mut measured = Measured { name: name(which, at), ..Measured::default() };
            let begun = one.open().and_then(|mut peer| {
                peer.begin(&peers.task, cancel, notes)?;
                Ok(peer)
            });
            let peer = match begun {
                Ok(peer) => {
                    measured.version = peer.version().map(str::to_owned);
                    Some(peer)
                }
                Err(Problem::Stopped) => return Err(Problem::Stopped),
                Err(Problem::Failed(sentence)) => {
                    notes.push(format!("warning: {one} is left out: {sentence}"));
                    measured.problem = Some(sentence);
                    None
                }
            };
            peers.all.push((peer, measured));
        }
        Ok(peers)
    }

    /// Whether they come before our own measurement in this round, counted from 1.
    pub fn are_first_in(round: u32) -> bool {
        round.is_multiple_of(2)
    }

    /// Lets each do its round; one that fails is left out from now on, which is told in `notes`. Round 0 is not counted.
    ///
    /// # Errors
    /// If somebody asked to stop.
    pub fn round(&mut self, number: u32, notes: &mut Vec<String>) -> Result<(), Problem> {
        for (peer, measured) in &mut self.all {
            let Some(running) = peer else { continue };
            match running.round(&self.task, number, &self.cancel) {
                Ok(_) if number == 0 => {}
                Ok(round) => measured.add(number, round),
                Err(Problem::Stopped) => return Err(Problem::Stopped),
                Err(Problem::Failed(sentence)) => {
                    notes.push(format!("warning: {} is left out from here on: {sentence}", measured.name));
                    measured.problem = Some(sentence);
                    *peer = None;
                }
            }
        }
        Ok(())
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.all.iter().all(|(peer, _)| peer.is_none())
    }

    /// What is being measured, for who looks on.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.all.iter().map(|(_, measured)| measured.name.as_str()).collect();
        names.join(", ")
    }

    pub fn measured(&self) -> impl Iterator<Item = &Measured> {
        self.all.iter().map(|(_, measured)| measured)
    }
}

/// `ollama`, or `openai 2` where it is the second of several.
fn name(which: &[Which], at: usize) -> String {
    let kind = which[at].runtime();
    let same = |others: &[Which]| others.iter().filter(|other| other.runtime() == kind).count();
    if same(which) == 1 { kind.to_owned() } else { format!("{kind} {}", same(&which[..=at])) }
}

impl Measured {
    fn add(&mut self, number: u32, round: Round) {
        if let Some((timed, speed)) = round.prefill.and_then(|timed| Some((timed, timed.speed()?))) {
            self.prefill.push((number, speed));
            self.prompt = timed.tokens;
        }
        if let Some((timed, speed)) = round.decode.and_then(|timed| Some((timed, timed.speed()?))) {
            self.decode.push((number, speed));
            self.written = timed.tokens;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what it is told to, round by round, of which the first is not counted.
    struct Scripted(Vec<Result<f64, Problem>>);

    impl Peer for Scripted {
        fn begin(&mut self, _: &Task, _: &CancelFlag, _: &mut Vec<String>) -> Result<(), Problem> {
            Ok(())
        }

        fn version(&self) -> Option<&str> {
            None
        }

        fn round(&mut self, task: &Task, _: u32, _: &CancelFlag) -> Result<Round, Problem> {
            let seconds = self.0.remove(0)?;
            let timed = |tokens| Some(Timed { tokens, seconds });
            Ok(Round { prefill: timed(task.prompt), decode: timed(task.written) })
        }
    }

    fn peers(scripts: Vec<Vec<Result<f64, Problem>>>) -> Peers {
        let task = Task {
            model: "x".into(),
            parameters: 1,
            bytes: 1,
            threads: 1,
            prompt: 100,
            written: 10,
            tokens: Vec::new(),
            text: String::new(),
        };
        let one = |script| (Some(Box::new(Scripted(script)) as Box<dyn Peer>), Measured::default());
        Peers { task, cancel: CancelFlag::default(), all: scripts.into_iter().map(one).collect() }
    }

    #[test]
    fn one_that_fails_keeps_what_it_did_and_the_others_go_on() {
        let failed = Err(Problem::Failed("it is out of breath".into()));
        let mut peers = peers(vec![vec![Ok(9.0), Ok(1.0), failed], vec![Ok(9.0), Ok(2.0), Ok(4.0), Ok(5.0)]]);
        let mut notes = Vec::new();
        (0..4).for_each(|round| peers.round(round, &mut notes).unwrap());
        let measured: Vec<&Measured> = peers.measured().collect();
        assert_eq!(measured[0].prefill, [(1, 100.0)]);
        assert_eq!(measured[1].decode, [(1, 5.0), (2, 2.5), (3, 2.0)]);
        assert_eq!((measured[1].prompt, measured[1].written), (100, 10));
        assert_eq!(measured[0].problem.as_deref(), Some("it is out of breath"));
        assert!(notes.len() == 1 && notes[0].contains("it is out of breath"), "{notes:?}");
        assert!(!peers.is_empty());
    }

    #[test]
    fn whoever_stops_stops_all() {
        let mut peers = peers(vec![vec![Err(Problem::Stopped)]]);
        assert_eq!(peers.round(0, &mut Vec::new()), Err(Problem::Stopped));
    }

    #[test]
    fn they_take_turns_with_us() {
        let first: Vec<bool> = (1..5).map(Peers::are_first_in).collect();
        assert_eq!(first, [false, true, false, true]);
    }

    #[test]
    fn several_of_a_kind_have_numbers() {
        let which: Vec<Which> = ["openai=a", "ollama=b", "openai=c"].iter().map(|text| text.parse().unwrap()).collect();
        let names: Vec<String> = (0..3).map(|at| name(&which, at)).collect();
        assert_eq!(names, ["openai 1", "ollama", "openai 2"]);
    }
}
