//! The needles as an SVG chart: exact answers over the memory of the cache, a line for each policy, beside each other
//! for known and unknown questions. Readable on light and dark backgrounds.

use super::needles::{Knowledge, Setup, Tally};
use super::policy::{Budget, Policy};
use super::{Needles, Results, tables};
use crate::bench::svg::{Anchor, Axis, Drawing, Panel};

const WIDTH: f64 = 860.0;
const PANEL_WIDTH: f64 = 330.0;
const PANEL_HEIGHT: f64 = 220.0;
const ROW_HEIGHT: f64 = PANEL_HEIGHT + 64.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 64.0;
/// Between the beginnings of two panels.
const STEP: f64 = PANEL_WIDTH + 60.0;
const LEGEND_HEIGHT: f64 = 44.0;
/// The smallest part of the whole cache's bytes that is drawn, as a power of two.
const LEAST_POWER: f64 = -5.0;

/// A chart of all models in which needles were looked for.
pub fn render(results: &[Results]) -> String {
    let height = TOP + ROW_HEIGHT * results.len() as f64 + LEGEND_HEIGHT;
    let title = "Exact answers, as a share of the whole cache's, over the bytes of the cache";
    let charts = results.iter().enumerate().flat_map(|(row, results)| {
        [Knowledge::Known, Knowledge::Unknown].into_iter().enumerate().map(move |(column, question)| {
            let top = TOP + ROW_HEIGHT * row as f64;
            Chart { results, question, panel: panel(LEFT + STEP * column as f64, top) }
        })
    });
    let charts: Vec<Chart> = charts.collect();
    let told: Vec<String> = charts.iter().map(Chart::title).collect();
    let mut drawing = Drawing::new("needles", (WIDTH, height), title, &format!("{}.", told.join("; ")));
    drawing.text((LEFT, 28.0), "", Anchor::Start, title);
    charts.iter().for_each(|chart| chart.draw(&mut drawing));
    legend(results, height - LEGEND_HEIGHT / 2.0, &mut drawing);
    drawing.document()
}

/// The same as charts of their own, for a page: one for each model, and for known and unknown questions.
pub fn drawings(results: &[Results]) -> Vec<Drawing> {
    let sought = results.iter().filter(|results| !results.needles.rows().is_empty());
    let charts = sought.enumerate().flat_map(|(number, results)| {
        [Knowledge::Known, Knowledge::Unknown]
            .map(|question| (number, Chart { results, question, panel: panel(LEFT, TOP) }))
    });
    let charts = charts.filter(|(_, chart)| chart.needles().full(chart.question).is_some());
    let draw = |(number, chart): (usize, Chart)| {
        let id = format!("needles-{number}-{}", if chart.question == Knowledge::Known { "known" } else { "unknown" });
        let height = TOP + ROW_HEIGHT - 16.0 + LEGEND_HEIGHT;
        let title = format!("Exact answers over the bytes of the cache, {}", chart.title());
        let mut drawing = Drawing::new(&id, (LEFT + PANEL_WIDTH + 50.0, height), &title, &format!("{}.", chart.told()));
        drawing.text((12.0, 24.0), "", Anchor::Start, "Exact answers over the bytes of the cache");
        chart.draw(&mut drawing);
        legend(std::slice::from_ref(chart.results), height - LEGEND_HEIGHT / 2.0, &mut drawing);
        drawing
    };
    charts.map(draw).collect()
}

/// Over the bytes, as powers of two of the whole cache's, and up to all of its answers.
fn panel(left: f64, top: f64) -> Panel {
    let parts = [("100 %", 0.0), ("50 %", -1.0), ("25 %", -2.0), ("12.5 %", -3.0), ("6.25 %", -4.0)];
    let across = Axis::with_marks(LEAST_POWER, 0.0, parts.map(|(mark, power)| (power, mark.to_owned())));
    let up = Axis::with_marks(
        0.0,
        1.0,
        [0, 25, 50, 75, 100].map(|percent| (f64::from(percent) / 100.0, format!("{percent} %"))),
    );
    Panel { left, top, width: PANEL_WIDTH, height: PANEL_HEIGHT, across, up }
}

/// What came of a setup, and where that is in a panel.
struct Point {
    /// Bytes, as a part of the whole cache's.
    part: f64,
    /// Exact answers, as a share of the whole cache's.
    share: f64,
    tally: Tally,
}

impl Point {
    fn place(&self) -> (f64, f64) {
        (self.part.max(f64::MIN_POSITIVE).log2(), self.share)
    }
}

struct Chart<'a> {
    results: &'a Results,
    question: Knowledge,
    panel: Panel,
}

impl Chart<'_> {
    fn needles(&self) -> &Needles {
        &self.results.needles
    }

    fn title(&self) -> String {
        let name = match self.question {
            Knowledge::Known => "question known",
            Knowledge::Unknown => "question unknown",
        };
        let full = self.needles().full(self.question);
        let full = full.map_or(String::new(), |full| format!(" (whole cache: {} of {})", full.exact, full.asked));
        format!("{}: {name}{full}", self.results.subject.name)
    }

    /// What it shows, in words.
    fn told(&self) -> String {
        let lines = Policy::ALL.into_iter().flat_map(|policy| [(policy, false), (policy, true)]);
        let line = |(policy, recall): (Policy, bool)| {
            let spot = |Point { part, tally, .. }: Point| {
                format!("{} of {} with {:.0} % of the bytes", tally.exact, tally.asked, part * 100.0)
            };
            let spots: Vec<String> = self.points(policy, recall).into_iter().map(spot).collect();
            let recall = if recall { " with recall" } else { "" };
            (!spots.is_empty()).then(|| format!("{policy}{recall}: {}", spots.join(", ")))
        };
        lines.filter_map(line).collect::<Vec<_>>().join("; ")
    }

    fn draw(&self, drawing: &mut Drawing) {
        drawing.text((self.panel.left, self.panel.top - 10.0), "", Anchor::Start, &self.title());
        self.panel.axes(drawing);
        for policy in Policy::ALL {
            for recall in [false, true] {
                self.draw_line(policy, recall, drawing);
            }
        }
    }

    fn draw_line(&self, policy: Policy, recall: bool, drawing: &mut Drawing) {
        let points = self.points(policy, recall);
        let class = class_of(policy);
        let path: Vec<(f64, f64)> = points.iter().map(Point::place).collect();
        let dashed = if recall { format!("{class} dashed") } else { class.to_owned() };
        self.panel.line(drawing, &dashed, &path);
        for point in points {
            let Tally { exact, asked, .. } = point.tally;
            self.panel.point(drawing, class, point.place(), &format!("{policy}: {exact} of {asked}"));
        }
    }

    fn points(&self, policy: Policy, recall: bool) -> Vec<Point> {
        let needles = self.needles();
        let Some(full) = needles.full(self.question).filter(|full| full.exact > 0) else { return Vec::new() };
        let full_rate = f64::from(full.exact) / f64::from(full.asked.max(1));
        let rows = needles.rows().into_iter().filter(|(other, _)| *other == policy);
        let point = |budget: Budget| {
            let setup = Setup { policy, budget, question: self.question, recall };
            let tally = needles.get(setup)?;
            let share = f64::from(tally.exact) / f64::from(tally.asked.max(1)) / full_rate;
            Some(Point { part: tables::bytes_share(needles, setup)?, share, tally })
        };
        rows.filter_map(|(_, budget)| point(budget)).collect()
    }
}

fn legend(results: &[Results], y: f64, drawing: &mut Drawing) {
    let mut x = LEFT;
    let is_drawn =
        |policy: &Policy| results.iter().any(|results| results.needles.rows().iter().any(|(other, _)| other == policy));
    for policy in Policy::ALL.iter().filter(|policy| is_drawn(policy)) {
        drawing.circle((x, y - 4.0), class_of(*policy), 4.0, "");
        drawing.text((x + 9.0, y), "", Anchor::Start, policy.as_str());
        x += 40.0 + 8.0 * policy.as_str().len() as f64;
    }
    let has_recall = results.iter().any(|results| results.needles.has_recall());
    if has_recall {
        drawing.text((LEFT - 4.0, y + 16.0), "small", Anchor::Start, "dashed: with recall");
    }
}

fn class_of(policy: Policy) -> &'static str {
    match policy {
        Policy::Full => "a",
        Policy::Q8 => "b",
        Policy::Q4 => "c",
        Policy::Window => "d",
        Policy::Score => "e",
        Policy::ScoreQ8 => "f",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lab::Subject;

    fn results(name: &str) -> Results {
        let subject = Subject {
            path: "model.gguf".into(),
            name: name.into(),
            architecture: "llama".into(),
            quantization: "Q4_0".into(),
            parameters: 1,
            size: 1,
            trained_context: 8192,
            backend: "CPU".into(),
            threads: 2,
            threads_reason: "2 of 2 cores".into(),
            library: "1".into(),
        };
        let mut results = Results::of(&subject);
        let mut add = |policy, budget: &str, exact, bytes| {
            let budget = budget.parse().unwrap();
            let setup = Setup { policy, budget, question: Knowledge::Known, recall: false };
            results.needles.add(setup, exact, 8, bytes);
        };
        add(Policy::Full, "100", 8, 1000);
        add(Policy::Score, "50", 6, 500);
        add(Policy::Score, "25", 4, 250);
        results
    }

    #[test]
    fn a_point_is_where_its_bytes_and_its_exact_answers_are() {
        let results = results("a");
        let chart = Chart { results: &results, question: Knowledge::Known, panel: panel(0.0, 0.0) };
        let points = chart.points(Policy::Score, false);
        let places: Vec<(f64, f64)> = points.iter().map(|point| (point.part, point.share)).collect();
        assert_eq!(places, [(0.5, 0.75), (0.25, 0.5)]);
        let [half, quarter] = [0, 1].map(|number| chart.panel.at(points[number].place()));
        assert!(half.0 > quarter.0 && half.1 < quarter.1);
        assert!(chart.points(Policy::Score, true).is_empty());
    }

    #[test]
    fn a_page_has_a_chart_for_each_model_that_says_what_it_shows() {
        let nothing = Results::of(&results("none").subject);
        let drawings = drawings(&[results("one"), nothing]);
        assert_eq!(drawings.len(), 1, "unknown questions were not asked");
        let chart = drawings[0].inline();
        assert!(
            chart.contains("score: 6 of 8 with 50 % of the bytes, 4 of 8 with 25 % of the bytes.</desc>"),
            "{chart}"
        );
        assert!(chart.contains("needles-0-known-t") && chart.contains(">score<"), "{chart}");
    }

    #[test]
    fn a_chart_names_its_models_and_policies_and_its_counts() {
        let chart = render(&[results("one <model>"), results("other")]);
        for part in ["one &lt;model&gt;: question known (whole cache: 8 of 8)", "other:", ">score<", "score: 4 of 8"] {
            assert!(chart.contains(part), "{part}: {chart}");
        }
        assert!(!chart.contains("q4_0") && chart.matches("<polyline").count() == 2);
    }
}
