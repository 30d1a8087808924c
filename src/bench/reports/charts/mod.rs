//! The charts of a run: how fast each case is, over the depth, over the threads, and what the machine did meanwhile. Each
//! says in words what it shows; all its figures stand in the tables, too.

mod guessing;
mod over_time;
mod shapes;

use super::Labels;
use super::sections::{is_anchor, test_order};
use crate::bench::kv;
use crate::bench::record::{Case, Run};
use crate::bench::svg::{COLOURS, Drawing};
use shapes::{Bar, Chart, Line, Spot};

/// Reading a prompt or writing an answer: one is ten times as fast as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reading,
    Writing,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Reading, Self::Writing];

    fn words(self) -> &'static str {
        match self {
            Self::Reading => "Reading prompts",
            Self::Writing => "Writing answers",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Writing => "writing",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Reading => COLOURS[0],
            Self::Writing => COLOURS[2],
        }
    }

    fn has(self, case: &Case) -> bool {
        match self {
            Self::Reading => case.n_gen == 0 && case.n_prompt > 0,
            Self::Writing => case.n_gen > 0 && case.n_prompt == 0,
        }
    }
}

/// All charts that a run has enough for.
pub fn of(run: &Run) -> Vec<Drawing> {
    let is_timed = |case: &&Case| {
        case.avg_ts.is_some_and(|speed| speed > 0.0) && over_time::until(case).is_none() && !is_anchor(case)
    };
    let timed: Vec<&Case> = run.cases.iter().filter(is_timed).collect();
    let kinds = Kind::ALL.map(|kind| (kind, timed.iter().copied().filter(|case| kind.has(case)).collect::<Vec<_>>()));
    let bars = kinds.iter().filter_map(|(kind, cases)| bars(*kind, cases));
    let depths = kinds.iter().filter_map(|(kind, cases)| over_depth(*kind, cases));
    let threads = kinds.iter().filter_map(|(kind, cases)| over_threads(*kind, cases));
    let own = match run.head.suite.as_str() {
        "kv" => kv::drawings(run),
        "spec" => guessing::of(&run.cases),
        _ => Vec::new(),
    };
    own.into_iter().chain(bars).chain(depths).chain(threads).chain(over_time::of(&run.cases)).collect()
}

fn bars(kind: Kind, cases: &[&Case]) -> Option<Drawing> {
    let mut cases = cases.to_vec();
    cases.sort_by(|one, other| test_order(one, other));
    let labels = Labels::of(&cases);
    let label = |case: &Case| match labels.name(case) {
        name if name.is_empty() => case.test.clone(),
        name => format!("{}, {name}", case.test),
    };
    let bar = |case: &&Case| Bar {
        label: label(case),
        shown: value(case),
        value: case.avg_ts.unwrap_or_default(),
        bounds: case.ci95_low_ts.zip(case.ci95_high_ts),
    };
    let title = format!("{}: tokens per second", kind.words());
    shapes::bars(&format!("bars-{}", kind.id()), &title, kind.colour(), &cases.iter().map(bar).collect::<Vec<_>>())
}

fn over_depth(kind: Kind, cases: &[&Case]) -> Option<Drawing> {
    let labels = Labels::of(cases).without_depth();
    let series = series(cases, labels, |case| (case.n_prompt, case.n_gen), |case| case.n_depth);
    let depth =
        |tokens: f64| if tokens >= 1024.0 { format!("{:.0}k", tokens / 1024.0) } else { format!("{tokens:.0}") };
    let about = About { id: "depth", over: "tokens before", along: depth };
    lines(&about, kind, &series)
}

fn over_threads(kind: Kind, cases: &[&Case]) -> Option<Drawing> {
    let labels = Labels::of(cases).without_threads();
    let series = series(cases, labels, |case| (case.n_prompt, case.n_gen, case.n_depth), |case| case.n_threads);
    let about = About { id: "threads", over: "threads", along: |threads: f64| format!("{threads:.0}") };
    lines(&about, kind, &series)
}

/// What belongs together, and where each of it lies.
struct Series<'a> {
    name: String,
    cases: Vec<(f64, &'a Case)>,
}

/// Those that have more than one place.
fn series<'a, T: PartialEq>(
    cases: &[&'a Case],
    labels: Labels,
    alike: impl Fn(&Case) -> T,
    place: impl Fn(&Case) -> u32,
) -> Vec<Series<'a>> {
    let has_tests = cases.windows(2).any(|pair| alike(pair[0]) != alike(pair[1]));
    let mut groups: Vec<(T, Series<'a>)> = Vec::new();
    for case in cases {
        let mut name = labels.name(case);
        if has_tests {
            let test = case.test.split(" @ ").next().unwrap_or_default();
            name = if name.is_empty() { test.to_owned() } else { format!("{test}, {name}") };
        }
        let kind = alike(case);
        let at = (f64::from(place(case)), *case);
        match groups.iter_mut().find(|(other, series)| *other == kind && series.name == name) {
            Some((_, series)) => series.cases.push(at),
            None => groups.push((kind, Series { name, cases: vec![at] })),
        }
    }
    let mut all: Vec<Series> = groups.into_iter().map(|(_, series)| series).collect();
    all.iter_mut().for_each(|series| series.cases.sort_by(|one, other| one.0.total_cmp(&other.0)));
    all.retain(|series| series.cases.windows(2).any(|pair| pair[0].0 < pair[1].0));
    all.truncate(COLOURS.len());
    all
}

/// What a chart of lines is over.
struct About {
    id: &'static str,
    over: &'static str,
    /// A mark of the axis.
    along: fn(f64) -> String,
}

fn lines(about: &About, kind: Kind, all: &[Series]) -> Option<Drawing> {
    let spot = |(at, case): &(f64, &Case)| Spot {
        at: *at,
        value: case.avg_ts.unwrap_or_default(),
        bounds: case.ci95_low_ts.zip(case.ci95_high_ts),
        shown: value(case),
    };
    let line = |(series, colour): (&Series, &'static str)| Line {
        name: series.name.clone(),
        colour: if all.len() == 1 { kind.colour() } else { colour },
        spots: series.cases.iter().map(spot).collect(),
    };
    let chart = Chart {
        id: &format!("{}-{}", about.id, kind.id()),
        title: &format!("{}: tokens per second by {}", kind.words(), about.over),
        over: about.over,
        along: about.along,
    };
    shapes::lines(&chart, &all.iter().zip(COLOURS).map(line).collect::<Vec<_>>())
}

/// The mean, and how far it may be off.
fn value(case: &Case) -> String {
    let mean = case.avg_ts.unwrap_or_default();
    match case.ci95_high_ts {
        Some(high) => format!("{mean:.1} ± {:.1}", high - mean),
        None => format!("{mean:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples::{self, case};

    fn titles(run: &Run) -> Vec<String> {
        let titles = of(run).into_iter().map(|drawing| drawing.inline());
        titles.map(|svg| svg.split("</title>").next().unwrap().rsplit('>').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_run_over_depths_has_bars_for_its_cases_and_lines_over_the_depth() {
        let run = examples::depth();
        assert_eq!(
            titles(&run),
            [
                "Reading prompts: tokens per second",
                "Writing answers: tokens per second",
                "Reading prompts: tokens per second by tokens before",
                "Writing answers: tokens per second by tokens before"
            ]
        );
        let line = of(&run)[3].inline();
        assert!(line.contains("61.4 ± 1.2 at 0, 51.1 ± 0.9 at 1k.</desc>"), "{line}");
        assert_eq!((line.matches("<polyline").count(), line.matches("<circle").count()), (1, 2));
    }

    #[test]
    fn numbers_of_threads_have_a_line_for_each_model() {
        let mut run = examples::depth();
        let of = |threads, speed: f64, model: &str| crate::bench::record::Case {
            n_threads: threads,
            model_filename: model.into(),
            ..case("tg128", (0, 128, 0), &[speed, speed + 0.1])
        };
        run.cases = vec![of(1, 10.0, "a.gguf"), of(2, 18.0, "a.gguf"), of(1, 5.0, "b.gguf"), of(2, 9.0, "b.gguf")];
        let drawings = super::of(&run);
        let last = drawings.last().unwrap().inline();
        assert!(last.contains("by threads") && last.matches("<polyline").count() == 2, "{last}");
        assert!(last.contains(">a</text>") && last.contains(">b</text>"));
    }

    #[test]
    fn a_single_case_needs_no_lines_and_hundreds_no_bars() {
        let mut run = examples::depth();
        run.cases.truncate(1);
        assert_eq!(titles(&run), ["Reading prompts: tokens per second"]);
        run.cases = vec![run.cases[0].clone(); 40];
        assert_eq!(titles(&run), Vec::<String>::new());
    }
}
