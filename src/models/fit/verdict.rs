//! The word about a model on a machine.

use std::fmt;

use super::{Anatomy, Rates, Speed};
use crate::hardware::memory::Memory;
use crate::models::gguf::TensorType;

/// Tokens of context that a chat should have room for.
const USUAL_CONTEXT: u64 = 8192;
/// With less than this a chat is no chat.
const LEAST_CONTEXT: u64 = 2048;
/// Tokens per second below which reading along is waiting.
const SLOW: f64 = 5.0;
/// Part of the free memory that is left to others.
const LEFT_TO_OTHERS: f64 = 0.1;

/// What a model would run on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Memory for weights and cache: this machine's, or its control group's. `None` where the system does not tell.
    pub memory: Option<Memory>,
    /// Free bytes of the graphics processor that would be used, where there is one.
    pub gpu_bytes: Option<u64>,
    /// Types of which llama.cpp keeps a second copy in another order.
    pub repacks: Vec<TensorType>,
    pub rates: Rates,
}

/// The word about a model on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// With the usual context, and at least as fast as people read.
    RunsWell,
    /// It fits, and how fast it would be is not known.
    Fits,
    /// It fits, and people will wait for it.
    RunsSlowly,
    /// It fits with so many tokens of context only.
    SmallerContext(u64),
    DoesNotFit,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Verdict {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::RunsWell => "runs well",
            Self::Fits => "fits",
            Self::RunsSlowly => "runs slowly",
            Self::SmallerContext(_) => "with smaller context",
            Self::DoesNotFit => "does not fit",
        }
    }
}

impl Machine {
    /// Bytes that a model may take.
    fn room(&self) -> Option<u64> {
        let free = self.memory.map(|memory| (memory.available as f64 * (1.0 - LEFT_TO_OTHERS)) as u64);
        match (free, self.gpu_bytes) {
            // What does not fit the graphics processor is computed beside it.
            (Some(free), Some(gpu)) => Some(free.max(gpu)),
            (free, gpu) => free.or(gpu),
        }
    }
}

impl Anatomy {
    /// Whether it fits, and whether it is fast enough to be pleasant. `measured` is what it was seen to do here, which
    /// is believed rather than a prediction.
    pub fn verdict(&self, machine: &Machine, measured: Option<Speed>) -> Verdict {
        let speed = measured.or_else(|| self.speed(&machine.rates));
        let usual = if self.trained_context == 0 { USUAL_CONTEXT } else { self.trained_context.min(USUAL_CONTEXT) };
        let context = match machine.room() {
            None => usual,
            Some(room) => match self.largest_context(room, machine) {
                Some(context) => context.min(usual),
                None => return Verdict::DoesNotFit,
            },
        };
        match speed {
            _ if context < usual => Verdict::SmallerContext(context),
            None => Verdict::Fits,
            Some(speed) if speed.decode < SLOW => Verdict::RunsSlowly,
            Some(_) => Verdict::RunsWell,
        }
    }

    /// Tokens of context that there is room for, in steps of 256; `None` if that is not enough for a chat.
    fn largest_context(&self, room: u64, machine: &Machine) -> Option<u64> {
        let one_batch = self.needs(512, machine);
        let beside = one_batch.resident().saturating_sub(one_batch.kv);
        let left = room.checked_sub(beside)?;
        let cells = left.checked_div(self.kv_bytes_per_token).unwrap_or(u64::MAX / 2) / 256 * 256;
        let least = if self.trained_context == 0 { LEAST_CONTEXT } else { self.trained_context.min(LEAST_CONTEXT) };
        (cells >= least).then_some(cells)
    }
}
