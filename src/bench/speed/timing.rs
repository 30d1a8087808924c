//! Timing: items in rounds, forwards and backwards in turn, so that what slows the machine down slows them all. A first
//! round is not counted. What is timed, the clock and the meter are behind a trait, so that a script can be timed by the
//! same code as a model.

use std::time::{Duration, Instant};

use super::plan::Item;
use crate::engine::lab::LabError;

/// Fewer rounds would say nothing of the spread.
pub const LEAST_ROUNDS: u32 = 3;

/// Something that computes tokens.
pub trait Player {
    /// Makes the cache hold what stands before the item, and has those compute that are to.
    ///
    /// # Errors
    /// If it was stopped, or the model fails.
    fn begin(&mut self, item: &Item) -> Result<(), LabError>;

    /// Computes so many tokens behind what is in the cache, at once.
    ///
    /// # Errors
    /// If it was stopped, or the model fails.
    fn compute(&mut self, tokens: u32) -> Result<(), LabError>;

    fn now(&self) -> Instant;

    /// What was drawn between two moments, where a meter tells.
    fn joules(&self, from: Instant, to: Instant) -> Option<f64>;

    /// Pages that had to be read from the disk so far, where the system tells.
    fn major_faults(&self) -> Option<u64>;

    /// Hears what came of an item that was timed: the last of these samples. One that warms up does not count.
    fn timed(&self, _item: &Item, _samples: &Samples, _counts: bool) {}

    /// Lets other programs have their turn: before the items of a round (`is_before`) or behind them, as they choose.
    ///
    /// # Errors
    /// If it was stopped.
    fn others(&mut self, _round: u32, _is_before: bool) -> Result<(), LabError> {
        Ok(())
    }
}

/// What was timed of an item, a sample for each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Tokens per second of the prompt, and of the answer.
    pub prefill: Vec<f64>,
    pub decode: Vec<f64>,
    /// Milliseconds of each token that was written, of all rounds.
    pub token_ms: Vec<f64>,
    /// Milliseconds of the whole prompt: then there is a first token.
    pub ttft_ms: Vec<f64>,
    /// Joules of each token of prompts, and of each that was written, where power is told.
    pub prefill_joules: Vec<f64>,
    pub decode_joules: Vec<f64>,
    /// The mean power while the same was computed.
    pub prefill_watts: Vec<f64>,
    pub decode_watts: Vec<f64>,
    pub major_faults: Option<u64>,
}

/// How often items are timed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounds {
    pub wanted: u32,
    /// Fewer, but three at least, where they would take longer than this.
    pub within: Option<Duration>,
}

/// Times items that are compared. `tell` is told the item and the round before it is timed, 0 while warming up, and how
/// many there are.
///
/// # Errors
/// If it was stopped, or the model fails.
pub fn time(
    player: &mut impl Player,
    items: &[Item],
    rounds: Rounds,
    tell: &dyn Fn(&Item, &Samples, u32, u32),
) -> Result<Vec<Samples>, LabError> {
    let mut samples = vec![Samples::default(); items.len()];
    let mut count = rounds.wanted;
    let started = player.now();
    let mut round = 0;
    while round <= count {
        let mut order: Vec<usize> = (0..items.len()).collect();
        // Warming up goes forwards, too: ABBA begins with the first round that counts.
        if round > 0 && round % 2 == 0 {
            order.reverse();
        }
        player.others(round, true)?;
        for place in order {
            tell(&items[place], &samples[place], round, count);
            let timed = time_once(player, &items[place])?;
            let mut warm_up = Samples::default();
            let samples = if round > 0 { &mut samples[place] } else { &mut warm_up };
            samples.add(&items[place], timed);
            player.timed(&items[place], samples, round > 0);
        }
        player.others(round, false)?;
        if round == 0
            && let Some(within) = rounds.within
        {
            let fit = within.as_secs_f64() / (player.now() - started).as_secs_f64().max(1e-3);
            count = (fit as u32).clamp(LEAST_ROUNDS.min(count), count);
        }
        round += 1;
    }
    Ok(samples)
}

/// From when to when something was computed.
#[derive(Clone, Copy)]
struct Span {
    from: Instant,
    to: Instant,
}

#[derive(Default)]
struct Timed {
    prefill: Option<Span>,
    decode: Option<Span>,
    each_ms: Vec<f64>,
    prefill_joules: Option<f64>,
    decode_joules: Option<f64>,
    major_faults: Option<u64>,
}

fn time_once(player: &mut impl Player, item: &Item) -> Result<Timed, LabError> {
    let mut timed = Timed::default();
    let faults = player.major_faults();
    if item.prompt > 0 {
        player.begin(item)?;
        let from = player.now();
        player.compute(item.prompt)?;
        timed.prefill = Some(Span { from, to: player.now() });
    }
    if item.written > 0 {
        if !item.answers || item.prompt == 0 {
            player.begin(item)?;
            // It finds other caches of the processor, and is not counted.
            player.compute(1)?;
        }
        let from = player.now();
        let mut last = from;
        for _ in 0..item.written {
            player.compute(1)?;
            let now = player.now();
            timed.each_ms.push((now - last).as_secs_f64() * 1000.0);
            last = now;
        }
        timed.decode = Some(Span { from, to: last });
    }
    timed.major_faults = player.major_faults().zip(faults).map(|(now, then)| now.saturating_sub(then));
    // The meter may have to be waited for, so it is asked when all is done.
    let joules = |span: Option<Span>| span.and_then(|span| player.joules(span.from, span.to));
    (timed.prefill_joules, timed.decode_joules) = (joules(timed.prefill), joules(timed.decode));
    Ok(timed)
}

impl Samples {
    fn add(&mut self, item: &Item, timed: Timed) {
        let seconds = |span: Span| (span.to - span.from).as_secs_f64();
        let per_second = |tokens: u32, span: Span| f64::from(tokens) / seconds(span).max(f64::MIN_POSITIVE);
        if let Some(span) = timed.prefill {
            self.prefill.push(per_second(item.prompt, span));
            self.ttft_ms.push(seconds(span) * 1000.0);
        }
        self.decode.extend(timed.decode.map(|span| per_second(item.written, span)));
        self.token_ms.extend(timed.each_ms);
        self.prefill_joules.extend(timed.prefill_joules.map(|joules| joules / f64::from(item.prompt)));
        self.decode_joules.extend(timed.decode_joules.map(|joules| joules / f64::from(item.written)));
        let watts = |joules: Option<f64>, span: Option<Span>| {
            joules.zip(span).map(|(joules, span)| joules / seconds(span).max(f64::MIN_POSITIVE))
        };
        self.prefill_watts.extend(watts(timed.prefill_joules, timed.prefill));
        self.decode_watts.extend(watts(timed.decode_joules, timed.decode));
        self.major_faults = match (self.major_faults, timed.major_faults) {
            (Some(before), Some(more)) => Some(before + more),
            (before, more) => before.or(more),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::bench::speed::plan::{Kind, blocks};
    use crate::bench::speed::scripted::Scripted;
    use crate::bench::statistics::{mean, percentile};
    use crate::hardware::cores::Cpu;

    fn item(prompt: u32, written: u32, answers: bool) -> Item {
        Item { answers, ..blocks(Kind::Quick, prompt, written, &[0], &Cpu::default())[0][0].clone() }
    }

    fn close(one: f64, other: f64, part: f64) {
        assert!((one / other - 1.0).abs() <= part, "{one}, not {other}");
    }

    #[test]
    fn known_delays_come_out_as_speeds_and_percentiles() {
        // One token in twenty takes four times as long.
        let each: Vec<f64> = (0..20).map(|token| if token == 7 { 0.200 } else { 0.050 }).collect();
        let mut player = Scripted::new(0.004, each);
        let rounds = Rounds { wanted: 5, within: None };
        let samples = time(&mut player, &[item(512, 100, true)], rounds, &|_, _, _, _| {}).unwrap();
        let samples = &samples[0];
        assert_eq!((samples.prefill.len(), samples.decode.len(), samples.token_ms.len()), (5, 5, 500));
        close(mean(&samples.prefill), 250.0, 0.01);
        close(mean(&samples.decode), 100.0 / (95.0 * 0.05 + 5.0 * 0.2), 0.01);
        close(mean(&samples.ttft_ms), 2048.0, 0.01);
        close(percentile(&samples.token_ms, 0.5).unwrap(), 50.0, 0.02);
        close(percentile(&samples.token_ms, 0.98).unwrap(), 200.0, 0.02);
        assert_eq!(samples.major_faults, Some(5 * 101));
    }

    #[test]
    fn energy_is_that_of_the_timed_spans_to_the_joule() {
        let mut player = Scripted::new(0.01, vec![0.25]);
        let rounds = Rounds { wanted: 1, within: None };
        let samples = time(&mut player, &[item(100, 8, true)], rounds, &|_, _, _, _| {}).unwrap();
        // Warming up: 0.73 s to begin, 1 s of prompt, 2 s of answer. Then the same, timed.
        let begun = 3.73 + 0.73;
        let exact = |one: f64, other: f64| assert!((one - other).abs() < 1e-6, "{one}, not {other}");
        exact(samples[0].prefill_joules[0] * 100.0, Scripted::area(begun, begun + 1.0));
        exact(samples[0].decode_joules[0] * 8.0, Scripted::area(begun + 1.0, begun + 3.0));
    }

    #[test]
    fn an_answer_that_stands_alone_leaves_its_first_token_out() {
        let mut player = Scripted::new(0.01, vec![0.1, 0.1, 0.1, 5.0]);
        player.written = 2;
        let rounds = Rounds { wanted: 1, within: None };
        let samples = time(&mut player, &[item(0, 3, false)], rounds, &|_, _, _, _| {}).unwrap();
        close(samples[0].decode[0], 10.0, 1e-6);
        assert!(samples[0].prefill.is_empty() && samples[0].ttft_ms.is_empty());
    }

    #[test]
    fn what_is_compared_is_timed_forwards_and_backwards_in_turn() {
        let mut player = Scripted::new(0.01, vec![0.1]);
        let items = ["a", "b"].map(|name| Item { name: name.into(), ..item(4, 0, false) });
        let told = RefCell::new(Vec::new());
        let tell = |_: &Item, _: &Samples, round, of| told.borrow_mut().push((round, of));
        time(&mut player, &items, Rounds { wanted: 4, within: None }, &tell).unwrap();
        assert_eq!(player.began.concat(), "ab".to_owned() + "abba" + "abba");
        assert_eq!(player.turns[..4], [(0, true), (0, false), (1, true), (1, false)]);
        assert_eq!(player.turns.len(), 10, "others may come before and behind each round");
        let told = told.into_inner();
        assert_eq!((told[0], told[told.len() - 1]), ((0, 4), (4, 4)));
    }

    #[test]
    fn there_are_fewer_rounds_where_there_is_no_time_but_three() {
        let rounds_in = |seconds: u64| {
            let mut player = Scripted::new(1.0, vec![0.1]);
            let rounds = Rounds { wanted: 9, within: Some(Duration::from_secs(seconds)) };
            time(&mut player, &[item(10, 0, false)], rounds, &|_, _, _, _| {}).unwrap()[0].prefill.len()
        };
        assert_eq!([1, 60, 1000].map(rounds_in), [3, 5, 9]);
    }
}
