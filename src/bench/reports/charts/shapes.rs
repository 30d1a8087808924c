//! Bars and lines of anything: each chart says in words what it shows.

use crate::bench::svg::{Anchor, Axis, Drawing, Panel};

pub const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 200.0;
/// Room for the marks of the axis that goes up.
pub const LEFT: f64 = 52.0;
pub const TOP: f64 = 48.0;
/// Room for the marks of the other axis, and what it is.
const BELOW: f64 = 44.0;
/// Room for the marks alone.
const MARKS: f64 = 28.0;
/// A line of words.
const LINE: f64 = 18.0;
/// A case with its words and its bar.
const ROW: f64 = 40.0;
const BAR: f64 = 10.0;
/// Bars beyond this are left to the table.
const MOST_BARS: usize = 32;
/// Marks nearer than this would run into each other.
const MARKS_APART: f64 = 30.0;

/// A row of a chart of bars.
pub struct Bar {
    pub label: String,
    /// Its value in words.
    pub shown: String,
    pub value: f64,
    pub bounds: Option<(f64, f64)>,
}

/// A chart of bars; none where there is nothing, or more than can be read.
pub fn bars(id: &str, title: &str, colour: &str, rows: &[Bar]) -> Option<Drawing> {
    if rows.is_empty() || rows.len() > MOST_BARS {
        return None;
    }
    let said: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.label, row.shown)).collect();
    let height = ROW * rows.len() as f64;
    let size = (WIDTH, TOP - 14.0 + height + MARKS);
    let mut drawing = Drawing::new(id, size, title, &format!("{}.", said.join("; ")));
    drawing.text((12.0, 24.0), "", Anchor::Start, title);
    let across = Axis::from_zero(most(rows.iter().map(|row| (row.value, row.bounds))));
    let panel =
        Panel { left: 12.0, top: TOP - 14.0, width: WIDTH - 32.0, height, across, up: Axis::with_marks(0.0, 1.0, []) };
    panel.axes(&mut drawing);
    for (number, (row, says)) in rows.iter().zip(&said).enumerate() {
        let top = panel.top + ROW * number as f64;
        drawing.text((panel.left + 4.0, top + 16.0), "small", Anchor::Start, &row.label);
        drawing.text((panel.left + panel.width, top + 16.0), "small", Anchor::End, &row.shown);
        panel.bar(&mut drawing, colour, (top + 22.0, BAR), row.value, says);
        if let Some(bounds) = row.bounds {
            panel.bounds_across(&mut drawing, "bounds", top + 22.0 + BAR / 2.0, bounds);
        }
    }
    Some(drawing)
}

/// What a chart of lines is about.
pub struct Chart<'a> {
    pub id: &'a str,
    pub title: &'a str,
    /// What it is over.
    pub over: &'a str,
    /// A mark of that axis.
    pub along: fn(f64) -> String,
}

/// What belongs together.
pub struct Line {
    pub name: String,
    pub colour: &'static str,
    pub spots: Vec<Spot>,
}

/// A value, where it lies, and what it is in words.
pub struct Spot {
    pub at: f64,
    pub value: f64,
    pub bounds: Option<(f64, f64)>,
    pub shown: String,
}

/// A chart of lines; none where there is nothing.
pub fn lines(chart: &Chart<'_>, all: &[Line]) -> Option<Drawing> {
    let spots = || all.iter().flat_map(|line| &line.spots);
    spots().next()?;
    let name = |line: &Line| if line.name.is_empty() { String::new() } else { format!("{}: ", line.name) };
    let says = |spot: &Spot| format!("{} at {}", spot.shown, (chart.along)(spot.at));
    let told = all.iter().map(|line| {
        let spots: Vec<String> = line.spots.iter().map(says).collect();
        format!("{}{}", name(line), spots.join(", "))
    });
    let told: Vec<String> = told.collect();
    let legend = if all.len() > 1 { LINE * all.len() as f64 + 8.0 } else { 0.0 };
    let size = (WIDTH, TOP + HEIGHT + BELOW + legend);
    let mut drawing = Drawing::new(chart.id, size, chart.title, &format!("{}.", told.join("; ")));
    drawing.text((12.0, 24.0), "", Anchor::Start, chart.title);
    let places = spots().map(|spot| spot.at);
    let (least, greatest) = places.clone().fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
    let width = WIDTH - LEFT - 16.0;
    let marks = apart(places, (greatest - least) * MARKS_APART / width);
    let across = Axis::with_marks(least, greatest, marks.into_iter().map(|at| (at, (chart.along)(at))));
    let up = Axis::from_zero(most(spots().map(|spot| (spot.value, spot.bounds))));
    let panel = Panel { left: LEFT, top: TOP, width, height: HEIGHT, across, up };
    panel.axes(&mut drawing);
    drawing.text((LEFT + width, TOP + HEIGHT + 34.0), "small", Anchor::End, chart.over);
    for (number, line) in all.iter().enumerate() {
        let points: Vec<(f64, f64)> = line.spots.iter().map(|spot| (spot.at, spot.value)).collect();
        panel.line(&mut drawing, line.colour, &points);
        for spot in &line.spots {
            if let Some(bounds) = spot.bounds {
                panel.bounds_up(&mut drawing, line.colour, spot.at, bounds);
            }
            let says = format!("{}{}", name(line), says(spot));
            panel.point(&mut drawing, line.colour, (spot.at, spot.value), &says);
        }
        if all.len() > 1 {
            let y = TOP + HEIGHT + BELOW + LINE * (number as f64 + 0.5);
            drawing.circle((LEFT + 4.0, y - 4.0), line.colour, 4.0, "");
            drawing.text((LEFT + 14.0, y), "small", Anchor::Start, &line.name);
        }
    }
    Some(drawing)
}

/// Those that are not nearer to the one before than this.
fn apart(places: impl Iterator<Item = f64>, least: f64) -> Vec<f64> {
    let mut sorted: Vec<f64> = places.collect();
    sorted.sort_by(f64::total_cmp);
    let mut kept: Vec<f64> = Vec::new();
    for place in sorted {
        if kept.last().is_none_or(|last| place - last >= least && place > *last) {
            kept.push(place);
        }
    }
    kept
}

fn most(values: impl Iterator<Item = (f64, Option<(f64, f64)>)>) -> f64 {
    values.map(|(value, bounds)| bounds.map_or(value, |(_, high)| value.max(high))).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_do_not_run_into_each_other() {
        assert_eq!(apart([0.0, 1.0, 2.0, 4.0, 4.0, 16.0].into_iter(), 1.5), [0.0, 2.0, 4.0, 16.0]);
    }
}
