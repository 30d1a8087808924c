//! Whether a model is read from the disk again and again while it answers, because memory does not hold it. What the
//! system counts is looked at about once a second.

use std::time::{Duration, Instant};

use super::kv::LEAST_CONTEXT;
use super::protocol::Rereading;
use crate::hardware::memory::Memory;
use crate::hardware::paging::Paging;

/// How long it is counted before it is judged.
const INTERVAL: Duration = Duration::from_secs(1);
/// The model is being read if this part of it comes from the disk for every token, ...
const LEAST_PART: f64 = 0.05;
/// ... or if so many page faults wait for it, where bytes are not counted. Each reads some 100 KiB.
const LEAST_FAULTS: f64 = 32.0;
/// It is not the first time if this part of what is read had been in memory a moment before, ...
const AGAIN_PART: f64 = 0.5;
/// ... or, where that is not counted, if so much of the time is spent waiting for memory.
const STALLED_PART: f64 = 0.2;
/// A shorter context is worth being named if it leaves a conversation.
const USABLE_CONTEXT: u32 = 4 * LEAST_CONTEXT;

/// What was counted while so many tokens were made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub tokens: u32,
    pub seconds: f64,
    /// What came to the counters in that time.
    pub paging: Paging,
}

impl Interval {
    /// Whether so many bytes of weights are read again and again.
    pub fn is_rereading(&self, weights: u64) -> bool {
        let of_a_token = |count: u64| count as f64 / f64::from(self.tokens.max(1));
        let Paging { major_faults, read_bytes, read_again_bytes, stalled } = self.paging;
        let is_read = match read_bytes {
            Some(bytes) => major_faults > 0 && of_a_token(bytes) >= weights as f64 * LEAST_PART,
            None => of_a_token(major_faults) >= LEAST_FAULTS,
        };
        let is_again = match (read_again_bytes, stalled) {
            (Some(again), _) => {
                let read =
                    read_bytes.map_or(weights as f64 * LEAST_PART * f64::from(self.tokens), |bytes| bytes as f64);
                again as f64 >= read * AGAIN_PART
            }
            (None, Some(stalled)) => stalled.as_secs_f64() >= self.seconds * STALLED_PART,
            // Then the whole model must have come from the disk.
            (None, None) => read_bytes.is_some_and(|bytes| bytes >= weights),
        };
        is_read && is_again
    }
}

/// The sizes of what is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Bytes of weights.
    pub weights: u64,
    /// How many of them are used where they are mapped, and count as free memory.
    pub mapped: u64,
    pub cells: u32,
    /// Bytes of a token in the KV cache.
    pub cell: u64,
}

impl Sizes {
    /// Tokens of context with which all would have room, if that is what it takes.
    pub fn fitting_context(&self, memory: Option<Memory>) -> Option<u32> {
        let missing = self.mapped.checked_sub(memory?.available)?.saturating_add(self.mapped / 20);
        let fewer = u32::try_from(missing / self.cell.max(1)).ok()?;
        let fitting = self.cells.checked_sub(fewer)? / 256 * 256;
        (fitting >= USABLE_CONTEXT && fitting < self.cells).then_some(fitting)
    }
}

/// Watches an answer.
pub struct Watch {
    sizes: Sizes,
    /// Reads the counters.
    read: fn() -> Option<Paging>,
    began: Option<Paging>,
    /// When the first token was there, and the counters then.
    first: Option<(Instant, Option<Paging>)>,
    last: Option<(Instant, Option<Paging>, u32)>,
    is_told: bool,
}

impl Watch {
    /// The request has come.
    pub fn begin(sizes: Sizes) -> Self {
        Self::reading(sizes, Paging::read)
    }

    fn reading(sizes: Sizes, read: fn() -> Option<Paging>) -> Self {
        Self { sizes, read, began: read(), first: None, last: None, is_told: false }
    }

    /// So many tokens were made. What is to be told, once.
    pub fn token(&mut self, tokens: u32, now: Instant) -> Option<Rereading> {
        let Some((then, before, tokens_then)) = self.last else {
            let paging = (self.read)();
            self.first = Some((now, paging));
            self.last = Some((now, paging, tokens));
            return None;
        };
        if self.is_told || now - then < INTERVAL {
            return None;
        }
        let paging = (self.read)();
        self.last = Some((now, paging, tokens));
        let interval = interval(tokens - tokens_then, now - then, before?, paging?);
        self.told(&interval)
    }

    /// The answer is over. Page faults of the whole request that waited for the disk, whether the model was read again
    /// and again, and what is to be told of it if it was not yet.
    pub fn end(&mut self, tokens: u32, now: Instant) -> (Option<u64>, bool, Option<Rereading>) {
        let paging = (self.read)();
        let faults = self.began.zip(paging).map(|(began, ended)| ended.major_faults.saturating_sub(began.major_faults));
        let told = match (self.first, paging) {
            (Some((then, Some(before))), Some(paging)) if !self.is_told && tokens > 1 && now - then >= INTERVAL => {
                self.told(&interval(tokens - 1, now - then, before, paging))
            }
            _ => None,
        };
        (faults, self.is_told, told)
    }

    fn told(&mut self, interval: &Interval) -> Option<Rereading> {
        if !interval.is_rereading(self.sizes.weights) {
            return None;
        }
        self.is_told = true;
        tracing::warn!(?interval, "the model is read from the disk again and again");
        let bytes = interval.paging.read_bytes.or(interval.paging.read_again_bytes).unwrap_or(0);
        Some(Rereading {
            bytes_per_token: bytes / u64::from(interval.tokens.max(1)),
            fitting_context: self.sizes.fitting_context(Memory::read()),
        })
    }
}

fn interval(tokens: u32, time: Duration, before: Paging, now: Paging) -> Interval {
    let came = |before: Option<u64>, now: Option<u64>| Some(now?.saturating_sub(before?));
    let paging = Paging {
        major_faults: now.major_faults.saturating_sub(before.major_faults),
        read_bytes: came(before.read_bytes, now.read_bytes),
        read_again_bytes: came(before.read_again_bytes, now.read_again_bytes),
        stalled: now.stalled.zip(before.stalled).map(|(now, before)| now.saturating_sub(before)),
    };
    Interval { tokens, seconds: time.as_secs_f64(), paging }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: u64 = 100_000_000;

    fn is_rereading(tokens: u32, paging: Paging) -> bool {
        Interval { tokens, seconds: 2.0, paging }.is_rereading(WEIGHTS)
    }

    fn counted(major_faults: u64, read: u64, again: u64) -> Paging {
        Paging { major_faults, read_bytes: Some(read), read_again_bytes: Some(again), stalled: None }
    }

    #[test]
    fn a_model_that_is_read_for_every_token_has_no_room() {
        // SmolLM2 135M in a control group of 140 MB: few page faults, and each reads much.
        assert!(is_rereading(3, counted(12, 280_000_000, 250_000_000)));
        assert!(!is_rereading(30, counted(0, 0, 0)));
    }

    #[test]
    fn what_comes_from_the_disk_for_the_first_time_is_no_want_of_memory() {
        assert!(!is_rereading(3, counted(400, 90_000_000, 1_000_000)));
    }

    #[test]
    fn little_that_is_read_or_what_others_read_is_not_worth_a_word() {
        assert!(!is_rereading(30, counted(5, 2_000_000, 2_000_000)));
        assert!(!is_rereading(30, counted(0, 0, 900_000_000)));
    }

    #[test]
    fn where_little_is_counted_what_there_is_decides() {
        let stalled = |milliseconds| Some(Duration::from_millis(milliseconds));
        let faults = |major_faults, stalled| Paging { major_faults, stalled, ..Paging::default() };
        assert!(is_rereading(2, faults(500, stalled(900))));
        assert!(!is_rereading(2, faults(500, stalled(100))));
        assert!(!is_rereading(30, faults(500, stalled(900))));
        let bytes = |read| Paging { read_bytes: Some(read), ..faults(50, None) };
        assert!(is_rereading(5, bytes(WEIGHTS)) && !is_rereading(5, bytes(WEIGHTS - 1)));
    }

    #[test]
    fn a_shorter_context_is_named_where_it_would_do() {
        let sizes = Sizes { weights: WEIGHTS, mapped: WEIGHTS, cells: 16_384, cell: 10_000 };
        let fitting = |available| sizes.fitting_context(Some(Memory { total: 1 << 30, available }));
        assert_eq!(fitting(70_000_000), Some(12_800));
        assert_eq!(fitting(0), Some(5_632));
        assert_eq!(fitting(WEIGHTS * 2), None, "there is room");
        let small = Sizes { cells: 4096, ..sizes };
        assert_eq!(small.fitting_context(Some(Memory { total: 1 << 30, available: 0 })), None);
        assert_eq!(sizes.fitting_context(None), None);
    }

    #[test]
    fn it_is_told_once_and_a_second_after_the_first_token_at_the_earliest() {
        thread_local! {
            static READ: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
        }
        fn growing() -> Option<Paging> {
            READ.with(|read| read.set(read.get() + 500_000_000));
            let bytes = READ.with(std::cell::Cell::get);
            Some(counted(bytes >> 20, bytes, bytes))
        }
        let began = Instant::now();
        let at = |seconds: f64| began + Duration::from_secs_f64(seconds);
        let sizes = Sizes { weights: WEIGHTS, mapped: WEIGHTS, cells: 512, cell: 1 };
        let mut watch = Watch::reading(sizes, growing);
        let told: Vec<bool> = [(1, 9.0), (2, 9.5), (3, 10.5), (4, 12.0)]
            .map(|(tokens, seconds)| watch.token(tokens, at(seconds)).is_some())
            .to_vec();
        assert_eq!(told, [false, false, true, false]);
        assert!(matches!(watch.end(4, at(13.0)), (Some(faults), true, None) if faults > 0));

        let mut short = Watch::reading(sizes, growing);
        assert_eq!(short.token(1, at(0.0)), None);
        assert!(matches!(short.end(2, at(0.5)), (Some(_), false, None)));
        let mut slow = Watch::reading(sizes, growing);
        assert_eq!(slow.token(1, at(0.0)), None);
        assert!(matches!(slow.end(2, at(3.0)), (Some(_), true, Some(_))), "an answer of two slow tokens");
    }
}
