//! Decides how many drafted tokens are computed with the next one, and keeps the books of an answer.
//!
//! With `a(i)` the chance of the i-th drafted token and `t(n)` the time of a step of n tokens, a draft of k tokens gives
//! `E(k) = 1 + Σ a(1)…a(j)` tokens in `t(k+1)`. The k with the most tokens per time is taken, and only if that is 5 %
//! more than one token in `t(1)`. Estimates can be wrong, so there are books: what drafts have lost in an answer may
//! not pass 1 % of its time, and what a draft may lose beyond what was gained is bounded too. An answer that ended with
//! a loss makes the next ones wait longer before drafts are tried.

use super::chances::Chances;
use super::cost::Costs;
use super::{Draft, Ground, Run};

/// Tokens of a step, of which the best is looked for. A few, so that each is measured often.
const ROWS: [usize; 11] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
/// A draft must be expected to be so much faster than none.
const LEAST_GAIN: f64 = 1.05;
/// Part of an answer's time that drafts may lose.
const MOST_LOSS: f64 = 0.01;
/// What a draft may be expected to lose where it is wrong, in single tokens' times, before anything was gained.
const RISK: f64 = 1.25;
/// What may be lost beyond that part, in single tokens' times: less is noise, and an answer has hardly begun.
const GRACE: f64 = 1.0;
/// Tokens to wait after a loss, doubled each time up to the most.
const FIRST_WAIT: u32 = 16;
const MOST_WAIT: u32 = 1024;
/// A guess that would have been right meanwhile counts for so many tokens more.
const RIGHT_GUESS: u32 = 3;

/// What was drafted in an answer, and what came of it. Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Book {
    pub calls: u32,
    /// Calls in which a draft was verified.
    pub verified_calls: u32,
    pub drafted: u32,
    pub accepted: u32,
    /// Time of plain steps.
    plain: f64,
    /// Time of steps with drafts, and what plain ones would have taken for the tokens that came of them.
    speculative: f64,
    worth: f64,
}

impl Book {
    /// What drafts have lost; negative for a gain.
    fn loss(&self) -> f64 {
        self.speculative - self.worth
    }

    /// Time of all steps.
    pub fn spent(&self) -> f64 {
        self.plain + self.speculative
    }

    /// Time that plain steps would have taken.
    pub fn plain_equivalent(&self) -> f64 {
        self.plain + self.worth
    }
}

/// Decides and learns.
#[derive(Debug)]
pub struct Controller {
    pub costs: Costs,
    chances: Chances,
    book: Book,
    /// Tokens until drafts are tried again.
    wait: u32,
    /// How long the next loss makes them wait.
    next_wait: u32,
    /// The answer lost more than it may at some time.
    has_lost: bool,
}

impl Controller {
    pub fn new(on_gpu: bool) -> Self {
        Self {
            costs: Costs::new(on_gpu),
            chances: Chances::default(),
            book: Book::default(),
            wait: 0,
            next_wait: FIRST_WAIT,
            has_lost: false,
        }
    }

    /// An answer begins.
    pub fn begin(&mut self) {
        if self.book.loss() < 0.0 {
            self.next_wait = FIRST_WAIT;
            self.wait = 0;
        }
        self.chances.begin();
        self.book = Book::default();
        self.has_lost = false;
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Whether drafts were given up in this answer, at least for a while.
    pub fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// How many tokens of this draft, at most `most`, are to be computed with the next one while so many cells are in
    /// use. Who insists has drafts whether they pay or not.
    pub fn decide(&mut self, draft: &Draft, most: usize, cells: usize, insists: bool) -> usize {
        let most = most.min(draft.tokens.len()).min(self.costs.most(cells) - 1);
        let allowance = if insists { f64::INFINITY } else { self.allowance(cells) };
        let lengths = ROWS.iter().map(|rows| rows - 1).filter(|length| *length < most).chain([most]);
        let estimates = lengths.filter(|length| *length > 0).map(|length| self.estimate(draft.ground, length, cells));
        estimates
            .filter(|estimate| insists || (estimate.gain >= LEAST_GAIN && estimate.risk <= allowance))
            .max_by(|one, other| one.gain.total_cmp(&other.gain))
            .map_or(0, |best| best.length)
    }

    /// What a draft may be expected to lose now, in single tokens' times.
    fn allowance(&mut self, cells: usize) -> f64 {
        let Some(plain) = self.costs.plain(cells).filter(|_| self.wait == 0) else { return -1.0 };
        let left = MOST_LOSS * self.book.spent() + GRACE * plain - self.book.loss();
        if left < 0.0 {
            self.has_lost = true;
            self.wait = self.next_wait;
            self.next_wait = (self.next_wait * 2).min(MOST_WAIT);
            return -1.0;
        }
        RISK - GRACE + left / plain
    }

    fn estimate(&self, ground: Ground, length: usize, cells: usize) -> Estimate {
        let ratio = self.costs.ratio(length + 1, cells);
        let worst = self.costs.worst_ratio(length + 1, cells);
        let mut reached = 1.0;
        let (mut tokens, mut risk) = (0.0, 0.0);
        for right in 0..=length {
            tokens += reached;
            let chance = if right < length { self.chances.of(ground.behind(right)) } else { 0.0 };
            risk += reached * (1.0 - chance) * (worst - (right + 1) as f64).max(0.0);
            reached *= chance;
        }
        Estimate { length, gain: tokens / ratio, risk }
    }

    /// A token was chosen where this one was guessed.
    pub fn chosen(&mut self, ground: Ground, is_right: bool) {
        self.chances.push(ground, is_right);
        if is_right {
            self.wait = self.wait.saturating_sub(RIGHT_GUESS);
        }
    }

    /// A plain step took so many seconds, and more with all that was tried before it.
    pub fn plain_step(&mut self, cells: usize, seconds: f64, whole: f64, is_typical: bool) {
        self.book.calls += 1;
        self.book.plain += seconds;
        self.book.speculative += whole - seconds;
        self.wait = self.wait.saturating_sub(1);
        if is_typical {
            self.costs.measured(1, cells, seconds);
        }
    }

    /// A step with a draft took so many seconds, and more with the drafting.
    pub fn drafted_step(&mut self, drafted: usize, cells: usize, seconds: f64, whole: f64) {
        self.book.calls += 1;
        self.book.verified_calls += 1;
        self.book.drafted += drafted as u32;
        self.book.speculative += whole;
        self.costs.measured(drafted + 1, cells, seconds);
    }

    /// A run has ended. Of a draft came the tokens that were chosen, and the one behind them.
    pub fn settle(&mut self, run: &Run, cells: usize) {
        if run.computed() > 0 {
            self.book.accepted += run.chosen() as u32;
            self.book.worth += (run.chosen() + 1) as f64 * self.costs.plain(cells).unwrap_or(0.0);
        }
    }
}

/// What is expected of a draft.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    length: usize,
    /// Tokens per time, as a multiple of plain decoding's.
    gain: f64,
    /// What is lost where it is wrong, times how probable that is, in single tokens' times.
    risk: f64,
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use crate::chat::DraftedBy;

    const GROUND: Ground = Ground { matched: 40, kind: Kind::Agreed };

    /// Of a machine that takes 0.0625 s for a token, which no guess was made for yet.
    fn controller() -> Controller {
        let mut controller = Controller::new(false);
        (0..3).for_each(|_| controller.costs.measured(1, 0, 0.0625));
        controller
    }

    /// One whose guesses have all been right.
    fn lucky() -> Controller {
        let mut controller = controller();
        (0..200).for_each(|_| controller.chosen(GROUND, true));
        controller
    }

    fn draft() -> Draft {
        Draft { by: Some(DraftedBy::Ngram), tokens: vec![7; 40], ground: GROUND, ..Draft::default() }
    }

    #[track_caller]
    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
    }

    #[test]
    fn the_books_hold_every_step_and_what_came_of_it() {
        let mut controller = controller();
        (0..2).for_each(|_| controller.plain_step(0, 0.0625, 0.125, true));
        (0..2).for_each(|_| controller.drafted_step(3, 0, 0.25, 0.5));
        let mut run = Run::new(draft(), 3);
        assert!(run.follow(7) && run.follow(7));
        (0..2).for_each(|_| controller.settle(&run, 0));
        controller.settle(&Run::new(draft(), 0), 0);
        let book = controller.book();
        assert_eq!((book.calls, book.verified_calls, book.drafted, book.accepted), (4, 2, 6, 4));
        assert_eq!((book.plain, book.speculative, book.worth), (0.125, 1.125, 0.375));
        assert_eq!((book.loss(), book.spent(), book.plain_equivalent()), (0.75, 1.25, 0.5));
        assert_eq!(controller.costs.known(0), [(4, 4.0)]);
    }

    #[test]
    fn an_answer_that_won_ends_the_wait_and_no_other_does() {
        let wait_after = |worth| {
            let book = Book { speculative: 1.0, worth, ..Book::default() };
            let mut controller = Controller { book, wait: 5, next_wait: 64, has_lost: true, ..controller() };
            controller.begin();
            assert_eq!((*controller.book(), controller.has_lost()), (Book::default(), false));
            (controller.wait, controller.next_wait)
        };
        assert_eq!(wait_after(1.5), (0, FIRST_WAIT));
        assert_eq!(wait_after(1.0), (5, 64));
        assert_eq!(wait_after(0.5), (5, 64));
    }

    #[test]
    fn what_may_be_lost_grows_with_the_answer_and_with_what_was_gained() {
        let of = |plain, speculative, worth| {
            let book = Book { plain, speculative, worth, ..Book::default() };
            let mut controller = Controller { book, ..controller() };
            let allowance = controller.allowance(0);
            assert_eq!((controller.wait, controller.next_wait, controller.has_lost()), (0, FIRST_WAIT, false));
            allowance
        };
        close(of(0.0, 0.0, 0.0), RISK);
        close(of(6.25, 0.0, 0.0), RISK + 1.0);
        close(of(0.0, 0.125, 0.25), RISK + 2.0 + 0.02);
        assert_eq!(Controller::new(false).allowance(0), -1.0, "nothing is known yet");
    }

    #[test]
    fn drafts_that_lost_too_much_wait_longer_each_time() {
        let book = Book { speculative: 1.0, ..Book::default() };
        let mut controller = Controller { book, ..controller() };
        assert_eq!(controller.allowance(0), -1.0);
        assert_eq!((controller.wait, controller.next_wait, controller.has_lost()), (FIRST_WAIT, 2 * FIRST_WAIT, true));
        assert_eq!(controller.allowance(0), -1.0);
        assert_eq!((controller.wait, controller.next_wait), (FIRST_WAIT, 2 * FIRST_WAIT), "it waits");
        controller.chosen(GROUND, true);
        controller.chosen(GROUND, false);
        controller.plain_step(0, 0.0625, 0.0625, true);
        assert_eq!(controller.wait, FIRST_WAIT - RIGHT_GUESS - 1);
        for _ in 0..20 {
            controller.wait = 0;
            controller.allowance(0);
        }
        assert_eq!(controller.wait, MOST_WAIT);
    }

    #[test]
    fn what_is_expected_of_a_draft_is_what_each_of_its_tokens_may_bring() {
        let mut controller = lucky();
        controller.chosen(GROUND, false);
        controller.costs.measured(3, 0, 0.25);
        let [first, second] = [0, 1].map(|right| controller.chances.of(GROUND.behind(right)));
        let estimate = controller.estimate(GROUND, 2, 0);
        close(estimate.gain, (1.0 + first + first * second) / 4.0);
        close(estimate.risk, (1.0 - first) * 3.0 + first * (1.0 - second) * 2.0 + first * second);
    }

    #[test]
    fn a_draft_is_as_long_as_pays_most() {
        let mut controller = lucky();
        assert_eq!(controller.decide(&draft(), 40, 0, false), 3, "more was not measured yet");
        assert_eq!(controller.decide(&draft(), 2, 0, false), 2, "more is not asked for");
        assert_eq!(controller.decide(&draft(), 0, 0, true), 0);
        controller.costs.measured(2, 0, 0.0625);
        (3..9).for_each(|rows| controller.costs.measured(rows, 0, 0.625));
        assert_eq!(controller.decide(&draft(), 40, 0, false), 1, "three at once take ten times as long as one");
    }

    #[test]
    fn who_does_not_insist_has_no_draft_while_drafts_wait() {
        let mut controller = Controller { wait: 9, ..lucky() };
        assert_eq!(controller.decide(&draft(), 3, 0, false), 0);
        assert_eq!(controller.decide(&draft(), 3, 0, true), 3);
    }
}
