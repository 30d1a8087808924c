//! What somebody who looks on is shown, as plain data: what was measured, what is being measured and how fast, how the
//! machine feels, and how long it will take. Changed by what the measurement tells; it knows no terminal and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Contender, Event};
use crate::bench::statistics::mean;

/// Moments of a curve that are kept; twice as many are thinned out to half of them.
const MOST_MOMENTS: usize = 600;
/// The current speed is that of so long a time.
const SPEED_OVER: Duration = Duration::from_secs(2);
/// A shorter time says nothing of a speed.
const LEAST_TIME: Duration = Duration::from_millis(300);
/// Nothing is written any more if no token came for so long.
const SILENCE: Duration = Duration::from_secs(5);

/// How a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    ToCome,
    /// Between its repetitions others are timed.
    Begun,
    Running,
    Done,
    /// Others are faster.
    Out,
}

/// A case as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    pub stage: Stage,
    /// Tokens per second, one for each repetition.
    pub samples: Vec<f64>,
    /// How often it is to be timed; 0 if nobody said.
    pub wanted: u32,
    /// How long its repetitions took, together, and how many of them there were.
    took: (Duration, u32),
}

impl Row {
    fn of(contender: Contender) -> Self {
        let stage = match (contender.is_running, contender.is_out) {
            (true, _) => Stage::Running,
            (_, true) => Stage::Out,
            _ if contender.speeds.is_empty() => Stage::ToCome,
            _ => Stage::Begun,
        };
        Self { name: contender.name, stage, samples: contender.speeds, wanted: 0, took: Default::default() }
    }
}

/// Values at moments, in seconds since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    pub moments: Vec<(f64, f64)>,
}

impl Curve {
    fn push(&mut self, at: f64, value: f64) {
        self.moments.push((at, value));
        if self.moments.len() >= 2 * MOST_MOMENTS {
            let mut number = 0;
            self.moments.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
    }

    pub fn last(&self) -> Option<f64> {
        self.moments.last().map(|(_, value)| *value)
    }
}

/// Everything that is shown.
#[derive(Clone, Debug)]
pub struct State {
    /// What is measured with.
    pub suite: String,
    /// The model that is measured.
    pub model: String,
    pub rows: Vec<Row>,
    /// The rows of this model compete, and the fastest is the first.
    are_ranked: bool,
    /// What is being done, in words.
    pub doing: String,
    /// Sentences that stay; the last one is shown.
    pub notes: Vec<String>,
    /// Tokens per second, as they are written.
    pub speed: Curve,
    pub celsius: Curve,
    pub mhz: Curve,
    pub watts: Curve,
    /// Somebody asked to stop.
    pub is_stopping: bool,
    /// Tokens written until a moment, in the last seconds and since writing began.
    counted: VecDeque<(Instant, u64)>,
    /// Where the cases of this model begin.
    first: usize,
    started: Instant,
    now: Instant,
    /// Since when the running cases are being timed.
    running_since: Option<Instant>,
}

impl State {
    pub fn new(suite: &str, now: Instant) -> Self {
        Self {
            suite: suite.to_owned(),
            model: String::new(),
            rows: Vec::new(),
            are_ranked: false,
            doing: String::new(),
            notes: Vec::new(),
            speed: Curve::default(),
            celsius: Curve::default(),
            mhz: Curve::default(),
            watts: Curve::default(),
            is_stopping: false,
            counted: VecDeque::new(),
            first: 0,
            started: now,
            now,
            running_since: None,
        }
    }

    /// What was told.
    pub fn update(&mut self, event: Event, now: Instant) {
        match event {
            Event::Model(title) => self.turn_to(title),
            Event::Expected { cases, repetitions } => {
                for name in cases {
                    let place = self.place(&name);
                    self.rows[place].wanted = repetitions;
                }
            }
            Event::Began { cases } => {
                self.leave();
                for case in cases {
                    let place = self.place(&case);
                    self.rows[place].stage = Stage::Running;
                }
                self.running_since = Some(now);
                self.counted.clear();
            }
            Event::Timed { speeds, counts } => self.timed(speeds, counts, now),
            Event::Contenders(contenders) => self.rank(contenders),
            // What competes is shown as long as it does.
            Event::Finished { .. } if self.are_ranked => {}
            Event::Finished { case, mean } => {
                let place = self.place(&case);
                let row = &mut self.rows[place];
                row.stage = Stage::Done;
                if row.samples.is_empty() {
                    row.samples.extend(mean);
                }
            }
            Event::Doing(words) => self.doing = words,
            Event::Noted(sentence) => self.notes.push(sentence),
        }
    }

    /// Another model is measured from now on. What the one before it came to stays, under its name.
    fn turn_to(&mut self, title: String) {
        self.leave();
        let before = self.model.split(" (").next().unwrap_or_default().to_owned();
        if !before.is_empty() {
            self.rows[self.first..].iter_mut().for_each(|row| row.name = format!("{}, {before}", row.name));
            self.first = self.rows.len();
        }
        self.model = title;
        self.are_ranked = false;
    }

    /// The cases that were running came to these speeds; while warming up none of them `counts`.
    fn timed(&mut self, speeds: Vec<(String, f64)>, counts: bool, now: Instant) {
        let took = self.running_since.take().map(|since| now.saturating_duration_since(since));
        let each = took.and_then(|took| took.checked_div(speeds.len() as u32));
        for (case, speed) in speeds {
            let place = self.place(&case);
            let row = &mut self.rows[place];
            // A case that nobody began is timed for another purpose.
            if row.stage != Stage::Running {
                continue;
            }
            if let Some(each) = each {
                row.took = (row.took.0 + each, row.took.1 + 1);
            }
            if counts {
                row.samples.push(speed);
            }
            row.stage = Stage::Begun;
        }
    }

    /// Time passed; so many tokens were written since the start.
    pub fn pass(&mut self, now: Instant, tokens: u64) {
        self.now = now;
        match self.counted.back() {
            // What was before the first token is no time of writing; a slow machine takes seconds for each.
            Some((_, last)) if *last == tokens => {
                if self.counted.len() == 1
                    || now.saturating_duration_since(self.counted[self.counted.len() - 1].0) > SILENCE
                {
                    self.counted = VecDeque::from([(now, tokens)]);
                }
                return;
            }
            _ => self.counted.push_back((now, tokens)),
        }
        while self.counted.len() > 2 && now.saturating_duration_since(self.counted[1].0) >= SPEED_OVER {
            self.counted.pop_front();
        }
        if let Some(speed) = self.current_speed() {
            let at = self.seconds(now);
            self.speed.push(at, speed);
        }
    }

    /// How the machine feels.
    pub fn feel(&mut self, now: Instant, celsius: Option<f64>, mhz: Option<f64>, watts: Option<f64>) {
        let at = self.seconds(now);
        for (curve, value) in [(&mut self.celsius, celsius), (&mut self.mhz, mhz), (&mut self.watts, watts)] {
            if let Some(value) = value {
                curve.push(at, value);
            }
        }
    }

    /// Tokens per second that are written; `None` while none are.
    pub fn current_speed(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (*self.counted.front()?, *self.counted.back()?);
        let time = to.saturating_duration_since(from);
        (time >= LEAST_TIME && after > before).then(|| (after - before) as f64 / time.as_secs_f64())
    }

    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.started)
    }

    /// How much of what is known to come is done. Every case is computed once more to warm up.
    pub fn share(&self) -> Option<f64> {
        let (done, all) = self.rows.iter().filter(|row| row.wanted > 0).fold((0, 0), |(done, all), row| {
            let is_done = row.stage == Stage::Done || row.samples.len() as u32 >= row.wanted;
            let computed = if is_done { row.wanted + 1 } else { row.took.1 };
            (done + computed.min(row.wanted + 1), all + row.wanted + 1)
        });
        (all > 0).then(|| f64::from(done) / f64::from(all))
    }

    /// Whether a row is the one that is computed. A prompt is timed together with its answer, of which nothing is written yet
    /// while it is read.
    pub fn is_at(&self, row: &Row) -> bool {
        let mut running = self.rows.iter().filter(|row| row.stage == Stage::Running);
        let (first, second) = (running.next(), running.next());
        let is_writing = self.counted.len() > 1;
        row.stage == Stage::Running && second.is_none_or(|_| first.is_some_and(|it| it.name == row.name) != is_writing)
    }

    /// How long what is known to come will take, by how long that took which was timed.
    pub fn time_left(&self) -> Option<Duration> {
        let all = self.rows.iter().fold((Duration::ZERO, 0), |all, row| (all.0 + row.took.0, all.1 + row.took.1));
        let mean = |(time, count): (Duration, u32)| time.checked_div(count);
        let usual = mean(all)?;
        let left = |row: &Row| {
            let left = row.wanted.saturating_sub(row.samples.len() as u32);
            if row.stage == Stage::Done { Duration::ZERO } else { mean(row.took).unwrap_or(usual) * left }
        };
        let left = self.rows.iter().map(left).sum::<Duration>();
        let gone = self.running_since.map_or(Duration::ZERO, |since| self.now.saturating_duration_since(since));
        Some(left.saturating_sub(gone))
    }

    /// Where the rows begin that compete, the fastest first, if there are such.
    pub fn ranked_from(&self) -> Option<usize> {
        self.are_ranked.then_some(self.first)
    }

    /// The fastest first; behind them those of which nothing is known yet, and last those that have lost.
    fn rank(&mut self, contenders: Vec<Contender>) {
        let mut rows: Vec<Row> = contenders.into_iter().map(Row::of).collect();
        let place = |row: &Row| match row.stage {
            Stage::Out => 2,
            _ => u8::from(row.samples.is_empty()),
        };
        let speed = |row: &Row| mean(&row.samples);
        rows.sort_by(|one, other| place(one).cmp(&place(other)).then(speed(other).total_cmp(&speed(one))));
        self.rows.truncate(self.first);
        self.rows.extend(rows);
        self.are_ranked = true;
    }

    /// A case that nobody announced comes behind those that somebody did.
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.rows[self.first..].iter().position(|row| row.name == name) {
            return self.first + place;
        }
        let row = Row {
            name: name.to_owned(),
            stage: Stage::ToCome,
            samples: Vec::new(),
            wanted: 0,
            took: Default::default(),
        };
        self.rows.push(row);
        self.rows.len() - 1
    }

    fn leave(&mut self) {
        for row in &mut self.rows {
            if row.stage == Stage::Running {
                row.stage = Stage::Begun;
            }
        }
        self.running_since = None;
    }

    fn seconds(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.started).as_secs_f64()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A state, and a clock that goes on by seconds.
    pub struct Told {
        pub state: State,
        now: Instant,
        tokens: u64,
    }

    impl Told {
        pub fn new(suite: &str) -> Self {
            let now = Instant::now();
            Self { state: State::new(suite, now), now, tokens: 0 }
        }

        pub fn tell(&mut self, event: Event) {
            self.state.update(event, self.now);
        }

        /// Computes tokens at this speed, seen five times a second.
        pub fn compute(&mut self, seconds: u32, speed: u64) {
            for _ in 0..seconds * 5 {
                self.now += Duration::from_millis(200);
                self.tokens += speed / 5;
                self.state.pass(self.now, self.tokens);
            }
        }

        /// A prompt that is read for a second, and an answer of three.
        pub fn item(&mut self, cases: [&str; 2], speeds: [u64; 2]) {
            self.tell(Event::Began { cases: cases.map(str::to_owned).to_vec() });
            self.compute(1, 0);
            self.compute(3, speeds[1]);
            let speeds = cases.iter().zip(speeds).map(|(case, speed)| ((*case).to_owned(), speed as f64)).collect();
            self.tell(Event::Timed { speeds, counts: true });
        }

        /// Those that compete, with their speeds and whether they have lost; one without a speed is being timed.
        pub fn rank(&mut self, contenders: &[(&str, &[f64], bool)]) {
            let of = |(name, speeds, is_out): &(&str, &[f64], bool)| Contender {
                name: (*name).to_owned(),
                speeds: speeds.to_vec(),
                is_running: speeds.is_empty(),
                is_out: *is_out,
            };
            self.tell(Event::Contenders(contenders.iter().map(of).collect()));
        }

        pub fn compute_one(&mut self) {
            self.now += Duration::from_millis(200);
            self.tokens += 1;
            self.state.pass(self.now, self.tokens);
        }

        pub fn feel(&mut self, celsius: f64, watts: f64) {
            self.state.feel(self.now, Some(celsius), Some(1800.0), Some(watts));
        }

        pub fn expect(&mut self, cases: &[&str], repetitions: u32) {
            let cases = cases.iter().map(|case| (*case).to_owned()).collect();
            self.tell(Event::Expected { cases, repetitions });
        }

        pub fn begin(&mut self, case: &str) {
            self.tell(Event::Began { cases: vec![case.into()] });
        }

        /// A repetition that takes so long at this speed.
        pub fn time(&mut self, case: &str, seconds: u32, speed: u64) {
            self.begin(case);
            self.compute(seconds, speed);
            self.tell(Event::Timed { speeds: vec![(case.into(), speed as f64)], counts: true });
        }
    }

    #[test]
    fn a_case_comes_runs_waits_for_the_others_and_is_done() {
        let mut told = Told::new("quick");
        told.expect(&["pp512", "tg128"], 2);
        let stages = |told: &Told| told.state.rows.iter().map(|row| row.stage).collect::<Vec<_>>();
        assert_eq!((stages(&told), told.state.share()), (vec![Stage::ToCome; 2], Some(0.0)));
        told.begin("pp512");
        assert_eq!(stages(&told), [Stage::Running, Stage::ToCome]);
        told.time("pp512", 1, 500);
        told.time("tg128", 2, 60);
        assert_eq!((stages(&told), told.state.share()), (vec![Stage::Begun; 2], Some(2.0 / 6.0)));
        told.tell(Event::Finished { case: "pp512".into(), mean: Some(500.0) });
        assert_eq!((stages(&told), told.state.share()), (vec![Stage::Done, Stage::Begun], Some(4.0 / 6.0)));
        assert_eq!(told.state.rows[0].samples, [500.0]);
    }

    #[test]
    fn warming_up_takes_time_and_is_no_sample() {
        let mut told = Told::new("quick");
        told.expect(&["tg128"], 3);
        told.begin("tg128");
        told.compute(4, 50);
        told.tell(Event::Timed { speeds: vec![("tg128".into(), 50.0)], counts: false });
        assert_eq!((told.state.rows[0].samples.len(), told.state.time_left()), (0, Some(Duration::from_secs(12))));
        assert_eq!(told.state.share(), Some(0.25), "but it is part of the work");
    }

    #[test]
    fn what_is_left_takes_as_long_as_it_took_and_less_while_it_runs() {
        let mut told = Told::new("quick");
        told.expect(&["pp512", "tg128"], 3);
        assert_eq!(told.state.time_left(), None);
        told.time("pp512", 1, 500);
        told.time("tg128", 3, 60);
        assert_eq!(told.state.time_left(), Some(Duration::from_secs(2 + 6)));
        told.begin("pp512");
        told.compute(1, 500);
        assert_eq!(
            (told.state.time_left(), told.state.elapsed()),
            (Some(Duration::from_secs(7)), Duration::from_secs(5))
        );
    }

    #[test]
    fn the_current_speed_is_that_of_the_running_case() {
        let mut told = Told::new("quick");
        assert_eq!(told.state.current_speed(), None);
        told.time("tg128", 2, 60);
        told.begin("tg128 @ d1024");
        told.compute(3, 0);
        assert_eq!(told.state.current_speed(), None, "it reads");
        told.compute(1, 50);
        assert!((told.state.current_speed().unwrap() - 50.0).abs() < 1e-9);
        assert!(told.state.speed.moments.len() > 5 && told.state.speed.last() == told.state.current_speed());
    }

    #[test]
    fn a_machine_that_takes_seconds_for_a_token_has_a_speed() {
        let mut told = Told::new("quick");
        told.begin("tg128");
        for _ in 0..4 {
            told.compute(3, 0);
            told.compute_one();
        }
        let speed = told.state.current_speed().unwrap();
        assert!((0.25..0.4).contains(&speed), "{speed}");
        told.compute(10, 0);
        assert_eq!(told.state.current_speed(), None);
    }

    #[test]
    fn cases_that_are_timed_together_share_the_time() {
        let mut told = Told::new("quick");
        told.expect(&["pp512", "tg128"], 2);
        told.tell(Event::Began { cases: vec!["pp512".into(), "tg128".into()] });
        told.compute(4, 50);
        told.tell(Event::Timed { speeds: vec![("pp512".into(), 500.0), ("tg128".into(), 50.0)], counts: true });
        assert_eq!((told.state.time_left(), told.state.share()), (Some(Duration::from_secs(4)), Some(2.0 / 6.0)));
    }

    #[test]
    fn a_prompt_is_read_before_its_answer_is_written() {
        let mut told = Told::new("quick");
        told.expect(&["pp512", "tg128"], 2);
        let at = |told: &Told| told.state.rows.iter().map(|row| told.state.is_at(row)).collect::<Vec<_>>();
        told.tell(Event::Began { cases: vec!["pp512".into(), "tg128".into()] });
        told.compute(2, 0);
        assert_eq!(at(&told), [true, false]);
        told.compute(1, 50);
        assert_eq!(at(&told), [false, true]);
        told.begin("tg128");
        assert_eq!(at(&told), [false, true], "alone");
    }

    #[test]
    fn another_models_cases_come_behind_those_of_the_first() {
        let mut told = Told::new("quick");
        for model in ["One (llama)", "Two (llama)"] {
            told.tell(Event::Model(model.into()));
            told.expect(&["tg128"], 1);
            told.time("tg128", 1, 50);
        }
        let names: Vec<&str> = told.state.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!((names, told.state.share()), (vec!["tg128, One", "tg128"], Some(1.0)));
    }

    #[test]
    fn those_that_compete_stand_in_the_order_of_their_speeds_and_losers_last() {
        let mut told = Told::new("tune");
        told.tell(Event::Model("One (llama)".into()));
        told.rank(&[
            ("512", &[50.0, 52.0], false),
            ("256", &[], false),
            ("128", &[60.0], false),
            ("64", &[70.0], true),
        ]);
        let shown = |told: &Told| {
            let rows = told.state.rows.iter().map(|row| (row.name.clone(), row.stage));
            rows.collect::<Vec<_>>()
        };
        let expected = [("128", Stage::Begun), ("512", Stage::Begun), ("256", Stage::Running), ("64", Stage::Out)];
        assert_eq!(shown(&told), expected.map(|(name, stage)| (name.to_owned(), stage)));
        told.tell(Event::Finished { case: "tokens at once: 128".into(), mean: None });
        told.rank(&[("on", &[9.0], false)]);
        assert_eq!((shown(&told).len(), told.state.ranked_from()), (1, Some(0)), "others take their place");
        told.tell(Event::Model("Two (llama)".into()));
        told.rank(&[("on", &[3.0], false)]);
        assert_eq!((told.state.rows.len(), told.state.ranked_from()), (2, Some(1)));
    }

    #[test]
    fn cases_that_nobody_announced_are_shown_when_they_are_done() {
        let mut told = Told::new("kv");
        told.tell(Event::Finished { case: "speed".into(), mean: None });
        assert_eq!((told.state.rows[0].stage, told.state.share(), told.state.time_left()), (Stage::Done, None, None));
    }

    #[test]
    fn a_long_run_keeps_its_curves_short() {
        let mut told = Told::new("soak");
        for _ in 0..5000 {
            told.feel(50.0, 5.0);
        }
        assert!(told.state.celsius.moments.len() < 2 * MOST_MOMENTS);
    }
}
