//! A run as tables, by its suite.

use super::record::{Case, Run};
use super::statistics::mean;
use super::table::Table;
use super::{cold, kv, quant, soak, spec, speed};

/// Tables of a run that was read.
pub fn of(run: &Run) -> String {
    let about = format!("{} · {} · tuichat {}\n", run.head.id, run.head.machine.line(), run.head.tuichat);
    let tables = match run.head.suite.as_str() {
        "quick" | "depth" | "threads" | "sbc" => speed::render(run),
        "quant" => quant::render(run),
        "kv" => kv::render(run),
        "spec" => spec::render(run),
        "cold" => cold::render(run),
        "soak" => soak::render(run),
        _ => plain(run),
    };
    about + &tables
}

/// A row for each case, whatever it is.
fn plain(run: &Run) -> String {
    let mut table = Table::new(["case", "tok/s"]);
    for case in &run.cases {
        table.push(vec![case.key.clone(), speed_of(case)]);
    }
    table.render() + &speed::trusted(run)
}

fn speed_of(case: &Case) -> String {
    match (case.avg_ts, &case.samples_ts[..]) {
        (Some(speed), _) => format!("{speed:.1}"),
        (None, []) => "–".into(),
        (None, samples) => format!("{:.1}", mean(samples)),
    }
}
