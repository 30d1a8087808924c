//! The needles as an SVG chart: exact answers over the memory of the cache, a line for each policy, beside each other
//! for known and unknown questions. Readable on light and dark backgrounds.

use std::fmt::Write;

use super::needles::{Knowledge, Setup, Tally};
use super::policy::{Budget, Policy};
use super::{Needles, Results, tables};

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

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.small{font-size:11px;fill:#57606a}.ground{fill:#fff}\
.grid{stroke:#d0d7de}.axis{stroke:#57606a}.line{fill:none;stroke-width:2}.dashed{stroke-dasharray:5 4}\
.a{stroke:#57606a;fill:#57606a}.b{stroke:#0969da;fill:#0969da}.c{stroke:#bc4c00;fill:#bc4c00}\
.d{stroke:#8250df;fill:#8250df}.e{stroke:#1a7f37;fill:#1a7f37}.f{stroke:#bf3989;fill:#bf3989}.line{fill:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.ground{fill:#0d1117}.grid{stroke:#30363d}\
.axis{stroke:#9198a1}.a{stroke:#9198a1;fill:#9198a1}.b{stroke:#58a6ff;fill:#58a6ff}.c{stroke:#f0883e;fill:#f0883e}\
.d{stroke:#bc8cff;fill:#bc8cff}.e{stroke:#3fb950;fill:#3fb950}.f{stroke:#f778ba;fill:#f778ba}.line{fill:none}}";

/// A chart of all models in which needles were looked for.
pub fn render(results: &[Results]) -> String {
    let height = TOP + ROW_HEIGHT * results.len() as f64 + LEGEND_HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Exact answers over the memory of the KV cache\"><style>{STYLE}</style>\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\
         <text x=\"{LEFT}\" y=\"28\">Exact answers, as a share of the whole cache's, over the bytes of the cache</text>"
    );
    for (row, results) in results.iter().enumerate() {
        let top = TOP + ROW_HEIGHT * row as f64;
        for (column, question) in [Knowledge::Known, Knowledge::Unknown].into_iter().enumerate() {
            let panel = Panel { left: LEFT + STEP * column as f64, top, needles: &results.needles, question };
            panel.draw(&results.subject.name, &mut svg);
        }
    }
    legend(results, height - LEGEND_HEIGHT / 2.0, &mut svg);
    svg + "</svg>\n"
}

/// What came of a setup, and where that is in a panel.
struct Point {
    /// Bytes, as a part of the whole cache's.
    part: f64,
    /// Exact answers, as a share of the whole cache's.
    share: f64,
    tally: Tally,
}

struct Panel<'a> {
    left: f64,
    top: f64,
    needles: &'a Needles,
    question: Knowledge,
}

impl Panel<'_> {
    fn draw(&self, model: &str, svg: &mut String) {
        let (left, right, bottom) = (self.left, self.left + PANEL_WIDTH, self.top + PANEL_HEIGHT);
        let name = match self.question {
            Knowledge::Known => "question known",
            Knowledge::Unknown => "question unknown",
        };
        let full = self
            .needles
            .full(self.question)
            .map_or(String::new(), |full| format!(" (whole cache: {} of {})", full.exact, full.asked));
        // Writing to a `String` cannot fail.
        let _ = write!(svg, "<text x=\"{left}\" y=\"{}\">{}: {name}{full}</text>", self.top - 10.0, escape(model));
        for percent in [0, 25, 50, 75, 100] {
            let y = self.y(f64::from(percent) / 100.0);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent} %</text>",
                left - 6.0,
                y + 4.0
            );
        }
        for (label, part) in [("100 %", 1.0), ("50 %", 0.5), ("25 %", 0.25), ("12.5 %", 0.125), ("6.25 %", 0.0625)] {
            let x = self.x(part);
            let y = bottom + 16.0;
            let _ = write!(svg, "<text class=\"small\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>");
        }
        let _ = write!(svg, "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>");
        for policy in Policy::ALL {
            for recall in [false, true] {
                self.draw_line(policy, recall, svg);
            }
        }
    }

    fn draw_line(&self, policy: Policy, recall: bool, svg: &mut String) {
        let points = self.points(policy, recall);
        let class = class_of(policy);
        let path: Vec<String> =
            points.iter().map(|point| format!("{:.1},{:.1}", self.x(point.part), self.y(point.share))).collect();
        if path.len() > 1 {
            let dashed = if recall { " dashed" } else { "" };
            let _ = write!(svg, "<polyline class=\"{class} line{dashed}\" points=\"{}\"/>", path.join(" "));
        }
        for Point { part, share, tally: Tally { exact, asked, .. } } in points {
            let (x, y) = (self.x(part), self.y(share));
            let _ = write!(
                svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{policy}: {exact} of {asked}</title></circle>"
            );
        }
    }

    fn points(&self, policy: Policy, recall: bool) -> Vec<Point> {
        let Some(full) = self.needles.full(self.question).filter(|full| full.exact > 0) else { return Vec::new() };
        let full_rate = f64::from(full.exact) / f64::from(full.asked.max(1));
        let rows = self.needles.rows().into_iter().filter(|(other, _)| *other == policy);
        let point = |budget: Budget| {
            let setup = Setup { policy, budget, question: self.question, recall };
            let tally = self.needles.get(setup)?;
            let share = f64::from(tally.exact) / f64::from(tally.asked.max(1)) / full_rate;
            Some(Point { part: tables::bytes_share(self.needles, setup)?, share, tally })
        };
        rows.filter_map(|(_, budget)| point(budget)).collect()
    }

    fn x(&self, part: f64) -> f64 {
        let power = part.max(f64::MIN_POSITIVE).log2().clamp(LEAST_POWER, 0.0);
        self.left + PANEL_WIDTH * (1.0 - power / LEAST_POWER) - 8.0
    }

    /// More than the whole cache's exact answers are drawn as all of them.
    fn y(&self, share: f64) -> f64 {
        self.top + PANEL_HEIGHT * (1.0 - share.clamp(0.0, 1.0))
    }
}

fn legend(results: &[Results], y: f64, svg: &mut String) {
    let mut x = LEFT;
    let is_drawn =
        |policy: &Policy| results.iter().any(|results| results.needles.rows().iter().any(|(other, _)| other == policy));
    for policy in Policy::ALL.iter().filter(|policy| is_drawn(policy)) {
        let class = class_of(*policy);
        let _ = write!(
            svg,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{}\" r=\"4\"/><text x=\"{}\" y=\"{y}\">{policy}</text>",
            y - 4.0,
            x + 9.0
        );
        x += 40.0 + 8.0 * policy.as_str().len() as f64;
    }
    let _ = write!(svg, "<text class=\"small\" x=\"{x}\" y=\"{y}\">dashed: with recall</text>");
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
        let panel = Panel { left: 0.0, top: 0.0, needles: &results.needles, question: Knowledge::Known };
        let points = panel.points(Policy::Score, false);
        let places: Vec<(f64, f64)> = points.iter().map(|point| (point.part, point.share)).collect();
        assert_eq!(places, [(0.5, 0.75), (0.25, 0.5)]);
        assert!(panel.x(0.5) > panel.x(0.25) && panel.y(0.75) < panel.y(0.5));
        assert!(panel.points(Policy::Score, true).is_empty());
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
