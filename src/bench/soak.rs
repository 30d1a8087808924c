//! The suite `soak`: one answer after the other for minutes, and what becomes of the speed as the machine becomes warm.
//! Time is cut into slices, each a case of its own with the temperature, the clock and the power at its end.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Ended;
use super::energy::Sampler;
use super::footprint::Footprint;
use super::outlook::{Known, Outlook, Step};
use super::record::{Case, Run};
use super::report::{Report, base};
use super::speed::plan::{Item, Kind, blocks};
use super::speed::{Model, Player, meter, remark_on, title, trusted};
use super::statistics::percentile;
use super::stream::Stream;
use super::suite::{self, Measurement, Models};
use super::table::Table;
use crate::engine::lab::{Lab, LabError};
use crate::hardware::cores::Cpu;
use crate::hardware::health::Health;
use crate::hardware::meters::Choice;

/// A run has about so many slices, none shorter or longer than these.
const SLICES: u32 = 20;
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// An answer has so many tokens; then the next one begins in an empty cache.
const ANSWER: u32 = 512;
/// From here on it is said that the speed was not kept.
const KEPT: f64 = 0.95;

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    pub minutes: u32,
    pub threads: Option<u32>,
    #[serde(skip)]
    pub power: Choice,
}

/// The suite.
pub struct Soak {
    pub settings: Settings,
}

impl Measurement for Soak {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        models.each(report, |lab| self.soak(lab, report))
    }

    fn outlook(&self, _known: &Known<'_>) -> Outlook {
        let whole = Duration::from_secs(u64::from(self.settings.minutes) * 60);
        let (count, length) = slices(whole);
        let test = |number: u32| format!("slice {number} of {count}, {} s", length.as_secs());
        let step = |number| Step { test: test(number), rounds: 1, ..Step::default() };
        Outlook { steps: (1..=count).map(step).collect(), seconds: Some(whole.as_secs_f64()), ..Outlook::default() }
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

impl Soak {
    fn soak(&self, lab: &Lab, report: &Report) -> Result<(), Ended> {
        let base = base(lab.subject());
        let whole = Duration::from_secs(u64::from(self.settings.minutes) * 60);
        let (count, length) = slices(whole);
        let key = |number: u32| format!("{}: slice {number} of {count}", base.model());
        let Some(first) = (1..=count).find(|number| !report.has(&key(*number))) else { return Ok(()) };
        let (sampler, power_source) = meter(&self.settings.power, report);
        let item = item();
        let tokens = Stream::of_all(lab, self.settings.seed).take(item.cells() as usize);
        let mut model = Model::new(lab, tokens, sampler.as_ref(), report)?;
        for number in first..=count {
            let so_far = length * (number - 1);
            let tell = |speed: Option<f64>| {
                let speed = speed.map(|speed| format!(", {speed:.1} tokens per second")).unwrap_or_default();
                let celsius = Health::read().celsius.map(|celsius| format!(", {celsius:.0} °C")).unwrap_or_default();
                report.progress(&format!(
                    "minute {} of {}{speed}{celsius}",
                    so_far.as_secs() / 60,
                    self.settings.minutes
                ));
            };
            let slice = run_for(&mut model, &item, length, &tell)?;
            let mut case = slice.case(&base, sampler.as_ref());
            case.key = key(number);
            case.rest.insert("slice".into(), number.into());
            case.rest.insert("until_seconds".into(), (length * number).as_secs_f64().into());
            case.rest.insert("power_source".into(), power_source.clone().into());
            report.add(case)?;
        }
        remark_on(sampler.as_ref(), report);
        Ok(())
    }
}

/// How many slices there are, and how long each is.
fn slices(whole: Duration) -> (u32, Duration) {
    let length = (whole / SLICES).clamp(SHORTEST, LONGEST);
    let count = (whole.as_secs_f64() / length.as_secs_f64()).round().max(1.0);
    (count as u32, length)
}

/// An answer without a prompt.
fn item() -> Item {
    let mut items = blocks(Kind::Quick, 0, ANSWER, &[0], &Cpu::default()).concat();
    items.remove(0)
}

/// What was written in a while.
#[derive(Clone, Debug, Default)]
struct Slice {
    token_ms: Vec<f64>,
    joules: Option<f64>,
    spent: Duration,
}

/// Writes for so long.
fn run_for(
    player: &mut impl Player,
    item: &Item,
    length: Duration,
    tell: &dyn Fn(Option<f64>),
) -> Result<Slice, LabError> {
    /// Telling takes time, too.
    const TELL: Duration = Duration::from_millis(500);
    let mut slice = Slice::default();
    let from = player.now();
    let (mut last, mut told) = (from, None::<Instant>);
    let mut written = item.written;
    while last - from < length {
        if written >= item.written {
            player.begin(item)?;
            player.compute(1)?;
            (written, last) = (0, player.now());
        }
        player.compute(1)?;
        let now = player.now();
        slice.token_ms.push((now - last).as_secs_f64() * 1000.0);
        written += 1;
        if told.is_none_or(|told| now - told > TELL) {
            tell(slice.token_ms.last().map(|ms| 1000.0 / ms.max(f64::MIN_POSITIVE)));
            told = Some(now);
        }
        last = player.now();
    }
    slice.spent = last - from;
    slice.joules = player.joules(from, last);
    Ok(slice)
}

impl Slice {
    fn case(&self, base: &Case, sampler: Option<&Sampler>) -> Case {
        let seconds = self.token_ms.iter().sum::<f64>() / 1000.0;
        let (health, footprint) = (Health::read(), Footprint::read());
        let mut rest = base.rest.clone();
        let watts = self.joules.map(|joules| joules / self.spent.as_secs_f64().max(f64::MIN_POSITIVE));
        for (name, value) in [("celsius", health.celsius), ("mhz", health.mhz), ("watts", watts)] {
            rest.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        let tokens = self.token_ms.len() as f64;
        let joules = self.joules.map(|joules| joules / tokens.max(1.0));
        let idle_watts = sampler.and_then(|sampler| sampler.idle_watts);
        let idle = idle_watts.map(|watts| watts * self.spent.as_secs_f64() / tokens.max(1.0));
        Case {
            test: "soak".into(),
            n_gen: self.token_ms.len() as u32,
            avg_ts: Some(tokens / seconds.max(f64::MIN_POSITIVE)),
            token_ms_p5: percentile(&self.token_ms, 0.05),
            token_ms_p50: percentile(&self.token_ms, 0.5),
            token_ms_p95: percentile(&self.token_ms, 0.95),
            joules_per_token: joules,
            joules_per_token_net: joules.zip(idle).map(|(gross, idle)| (gross - idle).max(0.0)),
            idle_watts,
            pss_file_bytes: footprint.file_bytes,
            pss_anonymous_bytes: footprint.anonymous_bytes,
            rest,
            ..base.clone()
        }
    }
}

/// All that a run of this suite came to.
pub fn render(run: &Run) -> String {
    let mut text = String::new();
    for cases in run.by_model() {
        text += &title(cases[0]);
        let mut table = Table::new(["until", "tok/s", "token ms p95", "°C", "MHz", "W", "J/token"]);
        for case in &cases {
            let number = |number: Option<f64>, digits: usize| {
                number.map_or_else(|| "–".into(), |number| format!("{number:.digits$}"))
            };
            let of = |name: &str, digits| number(case.number(name), digits);
            let seconds = case.number("until_seconds").unwrap_or_default() as u64;
            table.push(vec![
                format!("{}:{:02}", seconds / 60, seconds % 60),
                number(case.avg_ts, 1),
                number(case.token_ms_p95, 1),
                of("celsius", 0),
                of("mhz", 0),
                of("watts", 2),
                number(case.joules_per_token, 3),
            ]);
        }
        text += &table.render();
        text += &kept(&cases);
        let has_power = cases[0].joules_per_token.is_some();
        text += &cases[0].text("power_source").filter(|_| !has_power).map(|why| format!("{why}\n")).unwrap_or_default();
    }
    text + &trusted(run)
}

/// What was left of the speed at the end, in a sentence.
fn kept(cases: &[&Case]) -> String {
    let speeds: Vec<f64> = cases.iter().filter_map(|case| case.avg_ts).collect();
    let (Some(first), Some(last)) = (speeds.first(), speeds.last()) else { return String::new() };
    let least = speeds.iter().copied().fold(f64::INFINITY, f64::min);
    if speeds.len() < 2 {
        return String::new();
    }
    let (last, least) = (last / first, least / first);
    match least >= KEPT {
        true => format!("it kept its speed: {:.0} % of the first at the end\n", last * 100.0),
        false => format!(
            "it did not keep its speed: {:.0} % of the first at the end, {:.0} % at the worst\n",
            last * 100.0,
            least * 100.0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Line;
    use crate::bench::record::tests::empty;

    /// A machine that becomes slower by a tenth with each second.
    struct Warming {
        start: Instant,
        passed: Duration,
        began: u32,
    }

    impl Player for Warming {
        fn begin(&mut self, _item: &Item) -> Result<(), LabError> {
            self.began += 1;
            self.passed += Duration::from_secs(1);
            Ok(())
        }

        fn compute(&mut self, _tokens: u32) -> Result<(), LabError> {
            self.passed += Duration::from_secs_f64(0.01 * (1.0 + 0.1 * self.passed.as_secs_f64()));
            Ok(())
        }

        fn now(&self) -> Instant {
            self.start + self.passed
        }

        fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
            Some((to - from).as_secs_f64() * 5.0)
        }

        fn major_faults(&self) -> Option<u64> {
            None
        }
    }

    #[test]
    fn what_becomes_slower_is_seen_slice_by_slice_and_beginnings_do_not_count() {
        let mut player = Warming { start: Instant::now(), passed: Duration::ZERO, began: 0 };
        let mut run = empty("soak");
        for number in 0..4_u32 {
            let slice = run_for(&mut player, &item(), Duration::from_secs(10), &|_| {}).unwrap();
            assert!(slice.spent >= Duration::from_secs(10) && slice.spent < Duration::from_secs(12));
            let case = slice.case(&Case { model_filename: "m.gguf".into(), ..Case::default() }, None);
            assert!((case.number("watts").unwrap() - 5.0).abs() < 1e-9);
            run.add(Line::Case(Box::new(Case { key: number.to_string(), ..case })));
        }
        let speeds: Vec<f64> = run.cases.iter().map(|case| case.avg_ts.unwrap()).collect();
        assert!(speeds.windows(2).all(|pair| pair[0] > pair[1]), "{speeds:?}");
        assert!((speeds[0] - 100.0 / 1.5).abs() < 12.0, "{speeds:?}");
        assert!(player.began > 1, "long answers begin anew");
        assert!(render(&run).contains("it did not keep its speed"), "{}", render(&run));
    }

    #[test]
    fn slices_are_about_twenty_of_a_length_that_tells_something() {
        let minutes = |minutes: u64| slices(Duration::from_secs(minutes * 60));
        assert_eq!(minutes(1), (12, Duration::from_secs(5)));
        assert_eq!(minutes(10), (20, Duration::from_secs(30)));
        assert_eq!(minutes(60), (60, Duration::from_secs(60)));
    }
}
