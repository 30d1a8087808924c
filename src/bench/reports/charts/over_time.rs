//! What became of the machine while it computed for minutes: speed, temperature, clock and power over the time, below each
//! other, so that what happens at the same time stands at the same place.

use super::shapes::{LEFT, TOP, WIDTH};
use crate::bench::record::Case;
use crate::bench::reports::sections::model;
use crate::bench::svg::{Anchor, Axis, Drawing, Panel};

const HEIGHT: f64 = 92.0;
/// A panel with the words above it.
const STEP: f64 = HEIGHT + 36.0;
/// Room for the marks of the time.
const BELOW: f64 = 40.0;

/// A measure over the time.
struct Track {
    name: &'static str,
    colour: &'static str,
    /// Seconds and values.
    points: Vec<(f64, f64)>,
    from_zero: bool,
    digits: usize,
}

/// A chart for each model that has slices of time.
pub fn of(cases: &[Case]) -> Vec<Drawing> {
    let mut models: Vec<String> = Vec::new();
    for case in cases.iter().filter(|case| until(case).is_some()) {
        if !models.contains(&model(case)) {
            models.push(model(case));
        }
    }
    let of_model = |(number, name): (usize, &String)| {
        let cases: Vec<&Case> = cases.iter().filter(|case| model(case) == *name).collect();
        let name = if models.len() > 1 { format!(", {name}") } else { String::new() };
        chart(number, &name, &tracks(&cases))
    };
    models.iter().enumerate().filter_map(of_model).collect()
}

/// When a slice ended, in seconds since the beginning.
pub fn until(case: &Case) -> Option<f64> {
    case.number("until_seconds")
}

fn tracks(cases: &[&Case]) -> Vec<Track> {
    let points = |of: &dyn Fn(&Case) -> Option<f64>| -> Vec<(f64, f64)> {
        cases.iter().filter_map(|case| Some((until(case)?, of(case)?))).collect()
    };
    let number = |name: &'static str| points(&move |case: &Case| case.number(name));
    let track = |name, colour, points, from_zero, digits| Track { name, colour, points, from_zero, digits };
    let all = [
        track("tokens per second", "e", points(&|case| case.avg_ts), true, 1),
        track("°C", "c", number("celsius"), false, 0),
        track("MHz", "b", number("mhz"), false, 0),
        track("W", "d", number("watts"), true, 2),
    ];
    all.into_iter().filter(|track| track.points.len() > 1).collect()
}

fn chart(number: usize, name: &str, tracks: &[Track]) -> Option<Drawing> {
    let end = tracks.iter().flat_map(|track| &track.points).map(|(at, _)| *at).fold(0.0, f64::max);
    if tracks.is_empty() || end <= 0.0 {
        return None;
    }
    let title = format!("Over the time{name}");
    let told: Vec<String> = tracks.iter().map(told).collect();
    let height = TOP + STEP * tracks.len() as f64 + BELOW - 20.0;
    let mut drawing =
        Drawing::new(&format!("time-{number}"), (WIDTH, height), &title, &format!("{}.", told.join("; ")));
    drawing.text((12.0, 24.0), "", Anchor::Start, &title);
    let minutes = end >= 120.0;
    let (scale, unit) = if minutes { (60.0, "minutes") } else { (1.0, "seconds") };
    for (place, track) in tracks.iter().enumerate() {
        let is_last = place + 1 == tracks.len();
        let top = TOP + STEP * place as f64;
        let values = track.points.iter().map(|(_, value)| *value);
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let up = if track.from_zero { Axis::from_zero(high) } else { Axis::around(low, high) };
        let across = Axis::from_zero(end / scale);
        let across = if is_last { across } else { across.without_marks() };
        let panel = Panel { left: LEFT, top, width: WIDTH - LEFT - 16.0, height: HEIGHT, across, up };
        panel.axes(&mut drawing);
        drawing.text((LEFT, top - 6.0), "small", Anchor::Start, track.name);
        let points: Vec<(f64, f64)> = track.points.iter().map(|(at, value)| (at / scale, *value)).collect();
        panel.line(&mut drawing, track.colour, &points);
        if is_last {
            drawing.text((LEFT + panel.width, top + HEIGHT + 32.0), "small", Anchor::End, unit);
        }
    }
    Some(drawing)
}

/// `°C: 48 at first, 61 at the end, 62 at most`.
fn told(track: &Track) -> String {
    let digits = track.digits;
    let value = |point: Option<&(f64, f64)>| point.map_or(0.0, |(_, value)| *value);
    let values = track.points.iter().map(|(_, value)| *value);
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    format!(
        "{}: {:.digits$} at first, {:.digits$} at the end, between {least:.digits$} and {most:.digits$}",
        track.name,
        value(track.points.first()),
        value(track.points.last()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(number: u32, speed: f64, celsius: Option<f64>) -> Case {
        let mut rest = serde_json::Map::new();
        rest.insert("until_seconds".into(), json!(f64::from(number) * 30.0));
        rest.extend(celsius.map(|celsius| ("celsius".to_owned(), json!(celsius))));
        Case { test: "soak".into(), avg_ts: Some(speed), rest, ..Case::default() }
    }

    #[test]
    fn what_is_known_over_the_time_is_drawn_and_told() {
        let cases: Vec<Case> =
            (1..=6).map(|number| slice(number, 20.0 - f64::from(number), Some(40.0 + f64::from(number)))).collect();
        let drawings = of(&cases);
        assert_eq!(drawings.len(), 1);
        let svg = drawings[0].inline();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("°C: 41 at first, 46 at the end, between 41 and 46.</desc>"), "{svg}");
        assert!(svg.contains(">minutes</text>") && !svg.contains(">MHz</text>"));
    }

    #[test]
    fn cases_without_a_time_have_no_such_chart() {
        assert!(of(&[Case::default()]).is_empty());
        assert!(of(&[slice(1, 10.0, None)]).is_empty());
    }
}
