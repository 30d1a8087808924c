//! The results for people: a table, what stands beside it, and whether it is to be trusted.

use super::timing::Row;
use super::{Results, trust};
use crate::bench::statistics::{Interval, mean, percentile};
use crate::bench::table::Table;
use crate::text::mebibytes;

/// What is not measured or cannot be.
const NOTHING: &str = "–";

pub fn render(results: &Results) -> String {
    let mut text = results.subject.title();
    if results.rows.is_empty() {
        return text;
    }
    let (prompt, written) = (format!("pp{} tok/s", results.prompt), format!("tg{} tok/s", results.written));
    let has_energy = results.rows.iter().any(|row| !row.decode_joules.is_empty());
    let mut headings = vec!["depth", &prompt, &written, "token ms p50", "p95", "of memory's speed"];
    headings.extend(if has_energy { &["J/prompt token", "J/token", "net"][..] } else { &[] });
    let mut table = Table::new(headings);
    for row in &results.rows {
        table.push(cells(row, results, has_energy));
    }
    text += &table.render();
    text += &beside(results);
    for doubt in trust::doubts(results) {
        text += &format!("not to be trusted: {doubt}\n");
    }
    text
}

fn cells(row: &Row, results: &Results, has_energy: bool) -> Vec<String> {
    let ms = |share| percentile(&row.token_ms, share).map_or_else(|| NOTHING.into(), |ms| format!("{ms:.1}"));
    let share = row.of_bandwidth.map_or_else(|| NOTHING.into(), |share| format!("{:.0} %", share * 100.0));
    let mut cells =
        vec![row.depth.to_string(), interval(&row.prefill), interval(&row.decode), ms(0.5), ms(0.95), share];
    if has_energy {
        let joules = |joules: Option<f64>| joules.map_or_else(|| NOTHING.into(), |joules| format!("{joules:.3}"));
        let gross = |samples: &[f64]| (!samples.is_empty()).then(|| mean(samples));
        let seconds = mean(&row.token_ms) / 1000.0;
        let net = gross(&row.decode_joules)
            .zip(results.power.idle_watts)
            .map(|(joules, idle)| (joules - idle * seconds).max(0.0));
        cells.extend([joules(gross(&row.prefill_joules)), joules(gross(&row.decode_joules)), joules(net)]);
    }
    cells
}

/// The mean, and how far it may be off with a probability of 95 %.
fn interval(samples: &[f64]) -> String {
    let interval = Interval::of(samples);
    match interval.high() {
        Some(high) => format!("{:.1} ± {:.1}", interval.middle, high - interval.middle),
        None => format!("{:.1}", interval.middle),
    }
}

fn beside(results: &Results) -> String {
    let rounds = results.rows.iter().map(|row| row.decode.len()).min().unwrap_or_default();
    let mut lines = vec![format!("means of {rounds} rounds with their 95 % intervals")];
    let memory = results.bandwidth.map(|speed| format!("memory is read at {:.1} GB/s", speed / 1e9));
    let peak = results.peak_bytes.map(|bytes| format!("{} of memory were taken at most", mebibytes(bytes)));
    lines.extend([memory, peak].into_iter().flatten());
    if let Some(after) = results.after.celsius {
        let before = results.before.celsius.map(|before| format!("{before:.0} to ")).unwrap_or_default();
        lines.push(format!("{before}{after:.0} °C"));
    }
    let power = match results.power.idle_watts {
        Some(watts) => format!("{watts:.2} W while idle, as told by {}", results.power.about),
        None => results.power.about.clone(),
    };
    format!("{}\n{power}\n", lines.join("; "))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::bench::speed::Power;
    use crate::engine::lab::Subject;
    use crate::hardware::health::Health;

    /// A quiet run on a machine that tells its power.
    pub fn results() -> Results {
        let subject = Subject {
            path: "tiny.gguf".into(),
            name: "Tiny".into(),
            architecture: "llama".into(),
            quantization: "Q4_0".into(),
            parameters: 1,
            size: 1,
            trained_context: 2048,
            backend: "CPU".into(),
            threads: 4,
            threads_reason: String::new(),
            library: String::new(),
        };
        let rows = vec![Row {
            depth: 0,
            prefill: vec![100.0, 101.0, 99.0],
            decode: vec![10.0, 10.1, 9.9],
            token_ms: vec![99.0, 100.0, 101.0],
            prefill_joules: vec![0.05],
            decode_joules: vec![0.9],
            of_bandwidth: Some(0.62),
        }];
        let power = Power { about: "the battery".into(), idle_watts: Some(3.0) };
        let before = Health { celsius: Some(48.2), load: Some(0.1), swap_bytes: Some(0), ..Health::default() };
        let after = Health { celsius: Some(61.0), ..before };
        Results {
            prompt: 512,
            written: 128,
            rows,
            bandwidth: Some(17e9),
            peak_bytes: Some(300 << 20),
            before,
            after,
            power,
            ..Results::of(&subject)
        }
    }

    #[test]
    fn a_run_is_a_table_and_what_stands_beside_it() {
        assert_eq!(
            render(&results()),
            "Tiny (llama Q4_0, 4 threads, CPU)\n\
             depth  pp512 tok/s  tg128 tok/s  token ms p50    p95  of memory's speed  J/prompt token  J/token    net\n\
             0      100.0 ± 2.5   10.0 ± 0.2         100.0  100.9               62 %           0.050    0.900  0.600\n\
             means of 3 rounds with their 95 % intervals; memory is read at 17.0 GB/s; 300 MiB of memory were taken at \
             most; 48 to 61 °C\n\
             3.00 W while idle, as told by the battery\n"
        );
    }
}
