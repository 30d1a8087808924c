//! What a run would find, do and tell, in words.

use super::{Planned, Preview};
use crate::bench::outlook::{Step, lasting};
use crate::bench::table::Table;
use crate::text::{escape_line, file_size};

/// The width of the names at the beginning of lines.
const NAMES: usize = 14;

pub fn render(preview: &Preview) -> String {
    let machine = &preview.machine;
    let mut text = escape_line(&machine.line()) + "\n";
    let mut fact = |name: &str, parts: Vec<String>| {
        let told = if parts.is_empty() { "not told".to_owned() } else { parts.join("; ") };
        text += &format!("{name:<NAMES$}{}\n", escape_line(&told));
    };
    let kernel = machine.kernel.as_ref().map(|kernel| format!("kernel {kernel}"));
    let governor = machine.governor.as_ref().map(|governor| format!("governor {governor}"));
    let system = [machine.os.clone(), kernel, Some(machine.arch.clone()), governor];
    fact("system", system.into_iter().flatten().collect());
    fact("cores", machine.cores.iter().map(class).collect());
    fact("power", power(preview));
    let health = &preview.health;
    let celsius = health.celsius.map(|celsius| format!("{celsius:.0} °C"));
    let clock = health.mhz.map(|mhz| format!("{mhz:.0} MHz"));
    fact("temperature", celsius.into_iter().collect());
    fact("clock", clock.into_iter().collect());
    fact("throttling", throttling(preview));
    let load = health.load.map(|load| format!("{load:.2}"));
    fact("load", load.into_iter().collect());
    let swap = health.swap_bytes.map(|bytes| format!("{} in use", file_size(bytes)));
    fact("swap", swap.into_iter().collect());
    for model in &preview.models {
        text.push('\n');
        text += &planned(model);
    }
    text.push('\n');
    text += &lasts(preview);
    if preview.doubts.is_empty() {
        text += "nothing speaks against measuring now\n";
    }
    for doubt in &preview.doubts {
        text += &format!("would not be trusted: {}\n", escape_line(doubt));
    }
    text
}

fn class(class: &crate::bench::machine::CoreClass) -> String {
    let capacity =
        if class.capacity < 1.0 { format!(", {:.0} % as fast", class.capacity * 100.0) } else { String::new() };
    let clock = class.max_mhz.map(|mhz| format!(" at up to {:.2} GHz", mhz / 1e3)).unwrap_or_default();
    format!("{}{clock}{capacity}", class.words())
}

fn power(preview: &Preview) -> Vec<String> {
    let power = &preview.power;
    let percent = power.charge_percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    let runs_on =
        power.on_battery.map(|is_on| if is_on { format!("on its battery{percent}") } else { "on the mains".into() });
    let watts = match (power.is_measured, power.watts) {
        (true, Some(watts)) => format!("{watts:.2} W now, as told by {}", power.source),
        (true, None) => format!("told by {}", power.source),
        (false, _) => power.source.strip_prefix("power is ").unwrap_or(&power.source).to_owned(),
    };
    std::iter::once(watts).chain(runs_on).collect()
}

fn throttling(preview: &Preview) -> Vec<String> {
    if preview.throttling_told_by.is_empty() {
        return vec!["nothing tells whether the machine holds itself back".into()];
    }
    vec![format!("told by {}", preview.throttling_told_by.join(" and "))]
}

fn planned(model: &Planned) -> String {
    let mask = model.cpu_mask.as_ref().map(|mask| format!(" on cores {mask}")).unwrap_or_default();
    let threads = if model.n_threads == 1 { "1 thread".to_owned() } else { format!("{} threads", model.n_threads) };
    let about =
        format!("{} ({}, {}): {}", model.model_name, model.model_type, file_size(model.model_size), model.verdict);
    let cores = format!("{threads}{mask}; {}", model.cores_reason);
    let steps = &model.outlook.steps;
    let table = if steps.is_empty() { "its cases are found as it goes\n".to_owned() } else { table(steps) };
    let note = model.outlook.note.iter().map(|note| format!("{note}\n")).collect::<String>();
    format!("{}\n{}\n{table}{note}", escape_line(&about), escape_line(&cores))
}

fn table(steps: &[Step]) -> String {
    let has = |of: fn(&Step) -> bool| steps.iter().any(of);
    let (has_tokens, has_depth) = (has(|step| step.n_prompt + step.n_gen > 0), has(|step| step.n_depth > 0));
    let has_cores =
        steps.windows(2).any(|pair| (&pair[0].n_threads, &pair[0].cores) != (&pair[1].n_threads, &pair[1].cores));
    let mut headings = vec!["test"];
    headings.extend(has_cores.then_some(["threads", "cores"]).into_iter().flatten());
    headings.extend(has_tokens.then_some("tokens"));
    headings.extend(has_depth.then_some("behind"));
    headings.push("rounds");
    let mut table = Table::new(headings);
    let number = |number: u32| if number == 0 { "–".to_owned() } else { number.to_string() };
    for step in steps {
        let mut row = vec![step.test.clone()];
        if has_cores {
            row.push(number(step.n_threads.unwrap_or_default()));
            row.push(step.cores.clone().unwrap_or_else(|| "–".into()));
        }
        row.extend(has_tokens.then(|| number(step.n_prompt + step.n_gen)));
        row.extend(has_depth.then(|| step.n_depth.to_string()));
        row.push(step.rounds.to_string());
        table.push(row);
    }
    table.render()
}

fn lasts(preview: &Preview) -> String {
    let cases: usize = preview.models.iter().map(|model| model.outlook.steps.len()).sum();
    let cases = match cases {
        0 => String::new(),
        1 => ", 1 case".into(),
        cases => format!(", {cases} cases"),
    };
    let time = match preview.seconds {
        Some(seconds) => format!("about {}, loading and cooling down apart", lasting(seconds)),
        None => "how long it takes is not known beforehand".into(),
    };
    format!("suite {}{cases}: {time}\n", preview.suite)
}
