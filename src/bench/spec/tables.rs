//! The results as tables.

use clap::ValueEnum;

use super::answers::{Row, over_all};
use super::tasks::Class;
use super::{Results, Way, fuzzy, steps};
use crate::bench::statistics::{Interval, mean};
use crate::bench::table::Table;

pub fn render(results: &Results) -> String {
    let parts = [steps(&results.steps), answers(&results.answers), fuzzy(&results.fuzzy)];
    let mut text = results.subject.title();
    for part in parts.into_iter().flatten() {
        text += &format!("\n{part}");
    }
    text
}

/// A row for each depth, a column for each size.
fn steps(rows: &[steps::Row]) -> Option<String> {
    rows.first()?;
    let mut depths: Vec<u32> = rows.iter().map(|row| row.depth).collect();
    depths.dedup();
    let sizes = steps::SIZES.map(|size| size.to_string());
    let headings = ["depth", "one token"].into_iter().chain(sizes.iter().map(String::as_str));
    let mut table = Table::new(headings);
    for depth in depths {
        let of_depth: Vec<&steps::Row> = rows.iter().filter(|row| row.depth == depth).collect();
        let singles: Vec<f64> = of_depth.iter().flat_map(|row| row.single.iter().copied()).collect();
        let mut cells = vec![depth.to_string(), format!("{:.1} ms", mean(&singles) * 1000.0)];
        cells.extend(of_depth.iter().map(|row| format!("{:.2}", mean(&row.ratios))));
        table.push(cells);
    }
    Some(format!("steps: the time of n tokens at once, as a multiple of one token's\n{}", table.render()))
}

/// A row for each class, with columns for each way.
fn answers(rows: &[Row]) -> Option<String> {
    let mut ways: Vec<Way> = rows.iter().map(|row| row.way).collect();
    ways.sort_unstable_by_key(|way| *way as u8);
    ways.dedup();
    ways.first()?;
    let headings: Vec<String> = ways
        .iter()
        .flat_map(|way| match way {
            Way::Off => vec!["off".to_owned()],
            way => vec![way.to_string(), "accepted".to_owned()],
        })
        .collect();
    let mut table = Table::new(std::iter::once("task").chain(headings.iter().map(String::as_str)));
    for class in Class::value_variants() {
        let mut cells = vec![class.as_str().to_owned()];
        for row in rows.iter().filter(|row| row.class == *class) {
            match row.way {
                Way::Off => cells.push(Interval::of(&row.speeds).told(1)),
                _ if row.gains.is_empty() => cells.extend(["–".to_owned(), String::new()]),
                _ => cells.extend([interval(row.ratio()), format!("{}/{}", row.accepted, row.drafted)]),
            }
        }
        if cells.len() > 1 {
            table.push(cells);
        }
    }
    let has_ratio = |class: &&Class| rows.iter().any(|row| row.class == **class && !row.gains.is_empty());
    let classes = Class::value_variants().iter().filter(has_ratio).count();
    let mut last = vec![format!("geometric mean of {classes}")];
    for way in &ways {
        match way {
            Way::Off => last.push(String::new()),
            way => last.extend([interval(over_all(rows, *way)), String::new()]),
        }
    }
    table.push(last);
    Some(format!(
        "answers: tokens per second without guesses, and with them as a multiple of that (95 % confidence)\n{}",
        table.render()
    ))
}

/// A row for each way and threshold.
fn fuzzy(rows: &[fuzzy::Row]) -> Option<String> {
    rows.first()?;
    let mut table = Table::new(["guesses", "threshold", "right", "tokens per second", "of exact", "accepted"]);
    for row in rows {
        table.push(vec![
            row.way.to_string(),
            row.threshold.to_string(),
            format!("{}/{}", row.right, row.fields),
            format!("{:.1}", mean(&row.speeds)),
            if row.gains.is_empty() { String::new() } else { interval(row.ratio()) },
            format!("{}/{}", row.accepted, row.drafted),
        ]);
    }
    Some(format!("fuzzy: fields of letters that were read rightly\n{}", table.render()))
}

/// `1.46 (1.40–1.52)`.
fn interval(ratio: Interval) -> String {
    match (ratio.low(), ratio.high()) {
        (Some(low), Some(high)) => format!("{:.2} ({low:.2}–{high:.2})", ratio.middle),
        _ => format!("{:.2}", ratio.middle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(class: Class, way: Way, gains: &[f64]) -> Row {
        let speeds = vec![20.0, 22.0];
        let gains = gains.iter().map(|gain| gain.ln()).collect();
        Row { class, way, speeds, gains, drafted: 9, accepted: 7, written: 50, same: 2 }
    }

    #[test]
    fn ways_stand_beside_each_other_with_their_mean_below() {
        let rows = [
            row(Class::Prose, Way::Off, &[1.0, 1.0]),
            row(Class::Prose, Way::Auto, &[1.0, 1.0]),
            row(Class::Edit, Way::Off, &[1.0, 1.0]),
            row(Class::Edit, Way::Auto, &[4.0, 4.0]),
        ];
        let text = answers(&rows).unwrap();
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "task off auto accepted");
        assert_eq!(lines[2], "prose 21.0 ± 12.7 1.00 (1.00–1.00) 7/9");
        assert_eq!(lines[3], "edit 21.0 ± 12.7 4.00 (4.00–4.00) 7/9");
        assert_eq!(lines[4], "geometric mean of 2 2.00 (2.00–2.00)");
        assert_eq!(answers(&[]), None);
    }

    #[test]
    fn where_no_answer_had_a_speed_there_is_no_ratio_and_the_mean_is_of_the_others() {
        let rows = [row(Class::Prose, Way::Auto, &[]), row(Class::Edit, Way::Auto, &[3.0, 3.0])];
        let text = answers(&rows).unwrap();
        assert!(text.lines().any(|line| line.starts_with("prose") && line.contains('–')), "{text}");
        assert!(text.lines().last().unwrap().contains("3.00 (3.00–3.00)"), "{text}");
    }

    #[test]
    fn steps_have_a_row_for_each_depth() {
        let of = |depth, tokens| steps::Row { depth, tokens, single: vec![0.05], ratios: vec![1.5, 2.5] };
        let rows: Vec<steps::Row> =
            [0, 1024].into_iter().flat_map(|depth| steps::SIZES.map(|size| of(depth, size))).collect();
        let text = steps(&rows).unwrap();
        assert!(text.lines().nth(3).unwrap().starts_with("1024     50.0 ms  2.00  2.00"), "{text}");
    }
}
