//! Machines that are made up, with a clock of their own.

use super::search::Search;
use super::setting::{Given, Part, Setting, Space, Trial, Workload};
use crate::engine::{KvType, KvTypes};
use crate::hardware::cores::{Core, Cpu, Crew};

const Q8: KvTypes = KvTypes { k: KvType::Q8, v: KvType::Q8 };
pub const WORKLOAD: Workload = Workload { prompt: 512, answer: 128 };

fn cpu(capacities: &[u32]) -> Cpu {
    let core = |(number, capacity): (usize, &u32)| Core {
        number,
        capacity: *capacity,
        siblings: [number].into_iter().collect(),
        kind: None,
        is_allowed: true,
    };
    Cpu { cores: capacities.iter().enumerate().map(core).collect(), pins: true, ..Cpu::default() }
}

/// So many cores, all alike.
pub fn plain(cores: usize) -> Cpu {
    cpu(&vec![1024; cores])
}

/// Four slow ones, then four fast ones.
pub fn big_little() -> Cpu {
    cpu(&[414, 414, 414, 414, 1024, 1024, 1024, 1024])
}

/// Nothing is set, and everything can be tried.
pub fn given(cpu: &Cpu) -> Given<'_> {
    Given {
        cpu,
        threads: None,
        types: None,
        guesses: None,
        may_guess: true,
        may_go_without_attention: true,
        borne: &[Q8],
        prompt: WORKLOAD.prompt,
        is_on_gpu: false,
    }
}

/// What timings are off by, as a standard deviation, or what would be one if they were never too short.
#[derive(Clone, Copy)]
pub enum Noise {
    BothWays(f64),
    Slower(f64),
}

/// How long things take.
pub struct Machine<'a> {
    pub cpu: &'a Cpu,
    pub noise: Noise,
    /// How often something takes 15 to 45 % more.
    pub hiccups: f64,
    /// So many times slower with each timing.
    pub drift: f64,
    /// Other batches take 5 % more.
    pub best_batch: u32,
    /// How many times as fast 8 bits are.
    pub eight_bits: f64,
    pub steps_pay: bool,
    /// How many times as fast it is without flash attention.
    pub without_attention: f64,
    pub little_helps_prompts: bool,
    /// What is not usual makes whole turns slower, though its parts are faster.
    pub does_not_add_up: bool,
    /// With a rounded cache prompts are computed the faster the fewer tokens at once.
    pub small_batches_suit_rounding: bool,
    pub random: fastrand::Rng,
    pub clock: f64,
    pub timings: i32,
}

impl<'a> Machine<'a> {
    pub fn quiet(cpu: &'a Cpu) -> Self {
        Self {
            cpu,
            noise: Noise::BothWays(0.0),
            hiccups: 0.0,
            drift: 1.0,
            best_batch: 512,
            eight_bits: 0.9,
            steps_pay: true,
            without_attention: 0.8,
            little_helps_prompts: false,
            does_not_add_up: false,
            small_batches_suit_rounding: false,
            random: fastrand::Rng::with_seed(1),
            clock: 0.0,
            timings: 0,
        }
    }

    /// What it takes without noise and drift.
    pub fn exact(&self, trial: &Trial) -> f64 {
        let setting = &trial.setting;
        let attention = if setting.flash_attention { 1.0 } else { self.without_attention };
        let common = attention * if setting.types == Q8 { self.eight_bits } else { 1.0 };
        let batch = match setting.batch {
            128 if self.small_batches_suit_rounding && setting.types == Q8 => 0.8,
            batch if batch == self.best_batch => 1.0,
            _ => 1.05,
        };
        let prompt = f64::from(WORKLOAD.prompt) * 0.01 * batch / self.power(&setting.crews.prefill, true) / common;
        let token = 0.1 / self.power(&setting.crews.decode, false) / common;
        let step = setting.guesses.then_some(token * if self.steps_pay { 4.0 } else { 8.5 });
        let answer = WORKLOAD.answer_seconds(token, step);
        match trial.part {
            Part::Prompt => prompt,
            Part::Answer => answer,
            Part::Turn if self.does_not_add_up && setting.batch != 512 => 1.1 * (prompt + answer),
            Part::Turn => prompt + answer,
        }
    }

    /// How much of it computes. Threads wait for the slowest of them.
    fn power(&self, crew: &Crew, is_prompt: bool) -> f64 {
        let cores: Vec<usize> = match crew.cores.is_empty() {
            true => (0..self.cpu.cores.len()).collect(),
            false => crew.cores.numbers().collect(),
        };
        let slowest = cores.iter().map(|core| self.cpu.cores[*core].capacity).min().unwrap_or(1024);
        let slowest = if is_prompt && self.little_helps_prompts { slowest.max(800) } else { slowest };
        f64::from(crew.threads) * f64::from(slowest) / 1024.0
    }

    pub fn time(&mut self, trial: &Trial) -> f64 {
        let exact = self.exact(trial);
        // The sum of twelve is nearly normal.
        let normal: f64 = (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0;
        let noise = match self.noise {
            Noise::BothWays(deviation) => (1.0 + deviation * normal).max(0.1),
            Noise::Slower(deviation) => (deviation * normal.abs()).exp(),
        };
        let hiccup = if self.random.f64() < self.hiccups { 1.15 + 0.3 * self.random.f64() } else { 1.0 };
        let seconds = exact * noise * hiccup * self.drift.powi(self.timings);
        self.timings += 1;
        self.clock += seconds;
        seconds
    }
}

/// Searches on such a machine to the end.
pub fn search(machine: &mut Machine<'_>, space: Space) -> Search {
    let mut search = Search::new(space);
    while let Some(trial) = search.next() {
        search.took(machine.time(&trial));
    }
    search
}

/// The setting that a rule would take.
pub fn usual(cpu: &Cpu) -> Setting {
    Space::of(&given(cpu)).usual
}
