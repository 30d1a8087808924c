//! A run as tables, by its suite.

use super::record::{Run, Status};
use super::{cold, fit, kv, quant, reports, soak, spec, speed, tune};
use crate::text::escape_line;

/// Tables of a run that was read.
pub fn of(run: &Run) -> String {
    let head = &run.head;
    let version = if head.tuichat.is_empty() { head.llama_cpp.clone() } else { format!("tuichat {}", head.tuichat) };
    let about = escape_line(&format!("{} · {} · {version}", head.id, head.machine.line())) + "\n";
    let tables = match run.head.suite.as_str() {
        "quick" | "depth" | "threads" | "sbc" => speed::render(run),
        "quant" => quant::render(run),
        "kv" => kv::render(run),
        "spec" => spec::render(run),
        "cold" => cold::render(run),
        "soak" => soak::render(run),
        "fit" => fit::render(run),
        "tune" => tune::render(run),
        _ => reports::plain(run),
    };
    about + &tables + &partly(run)
}

/// What there is to say of a run that somebody stopped, or that failed.
fn partly(run: &Run) -> String {
    if run.end.as_ref().is_none_or(|end| end.status == Status::Whole) {
        return String::new();
    }
    let (sentence, id) = (reports::verdict(run).sentence, escape_line(&run.head.id));
    format!("{sentence}; `tuichat bench --continue {id}` goes on with it\n")
}
