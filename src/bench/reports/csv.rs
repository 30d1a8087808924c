//! A run as CSV: a row for each case, a column for each name that any of them has, and what it was measured on.

use serde_json::{Map, Value};

use super::facts::flatten;
use crate::bench::record::Run;

pub fn render(run: &Run) -> String {
    let rows: Vec<Map<String, Value>> = run.cases.iter().filter_map(flat).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(Map::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let head = &run.head;
    let of_run = [
        ("run", head.id.clone()),
        ("suite", head.suite.clone()),
        ("started", head.started.to_string()),
        ("tuichat", head.tuichat.clone()),
        ("llama_cpp", head.llama_cpp.clone()),
        ("machine", head.machine.line()),
        ("valid", run.end.as_ref().map_or(String::new(), |end| end.valid.to_string())),
    ];
    let mut text = line(of_run.iter().map(|(name, _)| *name).chain(names.iter().copied()));
    for row in &rows {
        let cells: Vec<String> = names.iter().map(|name| row.get(*name).map_or(String::new(), cell)).collect();
        text += &line(of_run.iter().map(|(_, value)| value.as_str()).chain(cells.iter().map(String::as_str)));
    }
    text
}

/// The names of a case, those of objects in it with dots.
fn flat(case: &crate::bench::record::Case) -> Option<Map<String, Value>> {
    let Ok(Value::Object(names)) = serde_json::to_value(case) else { return None };
    let mut flat = Map::new();
    for (name, value) in names {
        if value.is_object() {
            let mut inner = Vec::new();
            flatten(&name, &value, &mut inner);
            flat.extend(inner.into_iter().map(|(name, value)| (name, Value::String(value))));
        } else {
            flat.insert(name, value);
        }
    }
    Some(flat)
}

/// Samples stand in one cell, with spaces between them.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    cells.map(quote).collect::<Vec<_>>().join(",") + "\n"
}

/// What a spreadsheet would take for a formula begins with an apostrophe.
fn quote(cell: &str) -> String {
    let is_formula =
        cell.starts_with(['=', '+', '@', '\t', '\r']) || (cell.starts_with('-') && cell.parse::<f64>().is_err());
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    #[test]
    fn every_case_is_a_row_with_as_many_cells_as_there_are_names() {
        let text = render(&examples::depth());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 4);
        for name in ["run", "machine", "key", "test", "avg_ts", "samples_ts", "token_ms_p50"] {
            assert!(lines[0].split(',').any(|other| other == name), "{name}: {}", lines[0]);
        }
        assert!(
            lines[1].starts_with("2026-11-27-0931-depth,depth,")
                && lines[1].contains("\"Orange Pi 5 Pro, 4 Cortex-A76")
        );
        assert!(lines[2].contains(",tg128,") && lines[2].contains(",60.9 61.4 61.9,"), "{}", lines[2]);
    }

    #[test]
    fn quotes_commas_lines_and_formulas_are_kept_as_text() {
        assert_eq!(quote("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
        assert_eq!(
            [quote("=1+1"), quote("-x"), quote("-1.5"), quote("tg128 @ d16")],
            ["'=1+1", "'-x", "-1.5", "tg128 @ d16"]
        );
    }
}
