//! The status line: the state at the left, the items that the person wants at the right, usually the model and its costs;
//! what matters least goes first when there is no room.

use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::chat::Ended;
use crate::config::StatusItem;
use crate::engine::protocol::Trial;
use crate::text::escape_line;
use crate::ui::app::{Activity, App, Held};
use crate::ui::transcript::{End, Entry};

use super::{duration, fitted, line, picker};

pub fn draw(app: &App, area: Rect, frame: &mut Frame) {
    line(frame, area, &words(app, usize::from(area.width)), app.theme().status);
}

const NAME_WIDTH: usize = 40;
const SHORT_NAME_WIDTH: usize = 20;
const GAUGE_WIDTH: usize = 8;
const HOST_WIDTH: usize = 30;

/// How much is told of each item that the person wants.
#[derive(Clone, Copy)]
struct Extent {
    /// Columns of the model's name; none leave it out.
    name: usize,
    device: bool,
    speed: bool,
    drafts: bool,
    cost: HowMuch,
    context: Context,
    /// That the machine is hot, or runs on a battery.
    warnings: bool,
    /// What nobody misses.
    extras: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HowMuch {
    Nothing,
    Little,
    All,
}

/// What is told of the context.
#[derive(Clone, Copy)]
enum Context {
    Nothing,
    Short,
    /// With what has left it and what is pinned.
    Words,
    /// With the gauge, where something has left it or is pinned: that is worth more than the device.
    Told,
    Gauge,
    GaugeAndShort,
}

const ALL: Extent = Extent {
    name: NAME_WIDTH,
    device: true,
    speed: true,
    drafts: true,
    cost: HowMuch::Nothing,
    context: Context::Gauge,
    warnings: true,
    extras: true,
};
const WITHOUT_DRAFTS: Extent = Extent { drafts: false, ..ALL };
const WITHOUT_EXTRAS: Extent = Extent { drafts: false, extras: false, name: SHORT_NAME_WIDTH, ..ALL };
/// From everything to the least. The first two are for answers of which tokens were guessed.
const USUAL: [Extent; 11] = [
    ALL,
    Extent { device: false, drafts: true, context: Context::Told, ..WITHOUT_EXTRAS },
    WITHOUT_DRAFTS,
    Extent { name: SHORT_NAME_WIDTH, ..WITHOUT_DRAFTS },
    Extent { context: Context::Words, ..WITHOUT_EXTRAS },
    Extent { device: false, context: Context::Told, ..WITHOUT_EXTRAS },
    Extent { device: false, context: Context::Words, ..WITHOUT_EXTRAS },
    Extent { name: 0, device: false, context: Context::Words, ..WITHOUT_EXTRAS },
    Extent { name: 0, device: false, context: Context::Short, ..WITHOUT_EXTRAS },
    Extent { name: 0, device: false, context: Context::Short, warnings: false, ..WITHOUT_EXTRAS },
    Extent { name: 0, device: false, speed: false, context: Context::Short, warnings: false, ..WITHOUT_EXTRAS },
];

const COST: Extent = Extent {
    device: false,
    speed: false,
    drafts: false,
    extras: false,
    cost: HowMuch::All,
    context: Context::GaugeAndShort,
    ..ALL
};
const ONLY_COST: Extent = Extent { name: 0, warnings: false, ..COST };
/// What is being written costs something, and that matters more than the rest.
const WHILE_WRITING: [Extent; 7] = [
    COST,
    Extent { name: SHORT_NAME_WIDTH, ..COST },
    ONLY_COST,
    Extent { context: Context::Short, ..ONLY_COST },
    Extent { context: Context::Nothing, ..ONLY_COST },
    Extent { cost: HowMuch::Little, context: Context::Short, ..ONLY_COST },
    Extent { cost: HowMuch::Nothing, context: Context::Short, ..ONLY_COST },
];

fn words(app: &App, width: usize) -> String {
    let ascii = app.theme().ascii;
    let fuzzy = if app.is_fuzzy() { ", fuzzy" } else { "" };
    let private = if app.is_private() { ", private" } else { "" };
    // Whatever else the person wants to see there: text that leaves the machine is always told.
    let elsewhere = app.model().and_then(|model| model.sends_to());
    let elsewhere = elsewhere.map(|host| format!(", goes to {}", fitted(&escape_line(host), HOST_WIDTH, ascii)));
    let state = format!(" {}{}{fuzzy}{private}", state(app), elsewhere.unwrap_or_default());
    let cost = cost(app).filter(|_| app.status_line().has(StatusItem::Cost));
    let extents = match (&cost, app.drafts()) {
        (Some(_), _) => &WHILE_WRITING[..],
        (None, Some(_)) => &USUAL[..],
        (None, None) => &USUAL[2..],
    };
    for extent in extents {
        let right = right(app, cost.as_ref(), *extent) + " ";
        if state.width() + 1 + right.width() <= width {
            let gap = width - state.width() - right.width();
            return format!("{state}{}{right}", " ".repeat(gap));
        }
    }
    fitted(&state, width, ascii)
}

/// The items in the person's order.
fn right(app: &App, cost: Option<&Costs>, extent: Extent) -> String {
    let separator = if app.theme().ascii { " | " } else { " · " };
    let mut words = String::new();
    let mut before = None;
    for item in &app.status_line().0 {
        let Some(part) = part(app, *item, cost, extent) else { continue };
        match (item, before) {
            (StatusItem::Speculation, Some(StatusItem::Speed)) => words.push_str(&format!(" ({part})")),
            (_, None) => words = part,
            _ => words.push_str(&format!("{separator}{part}")),
        }
        before = Some(*item);
    }
    words
}

fn part(app: &App, item: StatusItem, cost: Option<&Costs>, extent: Extent) -> Option<String> {
    let ascii = app.theme().ascii;
    let is_told = match item {
        StatusItem::Model => extent.name > 0,
        StatusItem::Device => extent.device,
        StatusItem::Speed => extent.speed,
        StatusItem::Speculation => extent.drafts,
        StatusItem::Cost => extent.cost != HowMuch::Nothing,
        StatusItem::Context => true,
        StatusItem::FirstToken | StatusItem::Temperature => extent.extras,
        StatusItem::Throttling | StatusItem::Battery => extent.warnings,
        StatusItem::None => false,
    };
    if !is_told {
        return None;
    }
    match item {
        StatusItem::Model => Some(fitted(name(app), extent.name, ascii)).filter(|name| !name.is_empty()),
        StatusItem::Device => device(app),
        StatusItem::Speed => speed(app),
        StatusItem::FirstToken => first_token(app),
        StatusItem::Speculation => app.drafts(),
        StatusItem::Cost if extent.cost == HowMuch::Little => cost?.wait.clone(),
        StatusItem::Cost => Some(cost?.whole.clone()),
        StatusItem::Context => context_as(app, extent.context),
        StatusItem::Temperature => app.celsius().map(|degrees| {
            let unit = if ascii { "C" } else { "°C" };
            format!("{degrees:.0} {unit}")
        }),
        StatusItem::Throttling => app.is_throttled().then(|| "throttled".into()),
        StatusItem::Battery => app.battery().map(|percent| match percent {
            Some(percent) => format!("battery {percent} %"),
            None => "on battery".into(),
        }),
        StatusItem::None => None,
    }
}

/// How long the first token of the last answer took.
fn first_token(app: &App) -> Option<String> {
    let stats = app.last_answer().filter(|stats| stats.usage.completion_tokens > 0)?;
    Some(format!("first token {}", duration(stats.timings.time_to_first_token_ms)))
}

fn context_as(app: &App, how: Context) -> Option<String> {
    let (context, short) = (context(app), short_context(app));
    match how {
        Context::Nothing => None,
        Context::Short => short,
        Context::Words => context,
        Context::Told if context == short => context,
        Context::Told | Context::Gauge => joined(&gauge(app), &context).or(context),
        Context::GaugeAndShort => joined(&gauge(app), &short).or(short),
    }
}

/// The model's name, or that of the one that is being downloaded while there is none.
fn name(app: &App) -> &str {
    match app.download() {
        Some(download) if app.awaits_model() => &download.name,
        _ => app.model_name(),
    }
}

/// What the program does, and how far a download is that goes on beside it.
fn state(app: &App) -> String {
    let progress = app.download().map(|download| picker::short_progress(download.progress.as_ref()));
    match progress {
        Some(progress) if app.awaits_model() => progress,
        Some(progress) => format!("{}, {progress}", doing(app)),
        None => doing(app),
    }
}

/// What the program does, in a few words.
pub fn doing(app: &App) -> String {
    match app.activity() {
        _ if app.running().is_some() => "running a command".into(),
        Activity::NoModel(_) => "no model".into(),
        Activity::Loading(_) if app.is_starting() => "starting".into(),
        Activity::Loading(part) => format!("loading {:.0} %", part * 100.0),
        Activity::Trying(Trial::Kv(types)) => format!("trying {types} on this model, once"),
        Activity::Trying(Trial::Threads(1)) => "trying 1 thread on this model, once".into(),
        Activity::Trying(Trial::Threads(threads)) => format!("trying {threads} threads on this model, once"),
        Activity::Idle if app.progress_ahead().is_some() => "reading ahead".into(),
        Activity::Idle if was_stopped(app) => "stopped".into(),
        Activity::Idle => "idle".into(),
        Activity::Prefilling { .. } if !app.tells_cache() => "waiting".into(),
        Activity::Prefilling { total: 0, .. } => "prefilling".into(),
        Activity::Prefilling { done, total } => {
            let left = app.reads_for().filter(|left| left.as_millis() >= 500);
            let left = left.map_or(String::new(), |left| format!(", {} left", duration(left.as_secs_f64() * 1000.0)));
            format!("prefilling {} %{left}", u64::from(*done) * 100 / u64::from(*total))
        }
        Activity::Selecting { done, total } => {
            format!("looking through the text {} %", u64::from(*done) * 100 / u64::from(*total).max(1))
        }
        Activity::Answering(_) => "answering".into(),
        Activity::Stopping => "stopping".into(),
    }
}

fn was_stopped(app: &App) -> bool {
    matches!(
        app.transcript().entries().last(),
        Some(Entry::Answer(answer)) if answer.end == Some(End::Ended(Ended::Cancelled))
    )
}

fn device(app: &App) -> Option<String> {
    let device = app.model()?.device.as_ref()?;
    let threads = if device.threads == 1 { "1 thread".into() } else { format!("{} threads", device.threads) };
    Some(fitted(&format!("{} {threads}", device.backend), 30, app.theme().ascii))
}

fn speed(app: &App) -> Option<String> {
    if let Some(download) = app.download().filter(|_| app.awaits_model()) {
        return download.progress.as_ref().and_then(picker::pace);
    }
    app.tokens_per_second().map(|speed| format!("{speed:.1} tok/s"))
}

/// What is in the context, and what has left it.
fn context(app: &App) -> Option<String> {
    let Held { evicted, pinned, .. } = app.held();
    let mut words = short_context(app)?;
    for (tokens, what) in [(evicted, "evicted"), (pinned, "pinned")] {
        if tokens > 0 {
            words.push_str(&format!(", {tokens} {what}"));
        }
    }
    Some(words)
}

/// What is in the context. Once text has left it, that is no longer the conversation's tokens.
fn short_context(app: &App) -> Option<String> {
    let Held { used, evicted, .. } = app.held();
    let what = if evicted > 0 { "cells" } else { "tokens" };
    let model = app.model()?;
    let used = if used == 0 && !app.tells_cache() { "?".to_owned() } else { used.to_string() };
    Some(format!("{used}/{} {what}", model.cells().map_or("?".to_owned(), |cells| cells.to_string())))
}

/// How full the context is, as a bar that begins with what is pinned.
fn gauge(app: &App) -> Option<String> {
    let Held { used, pinned, .. } = app.held();
    let is_known = used > 0 || app.tells_cache();
    let cells = u64::from(app.model()?.cells().filter(|_| is_known)?.max(1));
    let columns =
        |tokens: u32| ((u64::from(tokens) * GAUGE_WIDTH as u64 + cells / 2) / cells).min(GAUGE_WIDTH as u64) as usize;
    let full = columns(used);
    let kept = columns(pinned).max(usize::from(pinned > 0)).min(full);
    let (pinned, done, left) = if app.theme().ascii { ("*", "#", "-") } else { ("▓", "█", "░") };
    Some(pinned.repeat(kept) + &done.repeat(full - kept) + &left.repeat(GAUGE_WIDTH - full))
}

fn joined(first: &Option<String>, second: &Option<String>) -> Option<String> {
    Some(format!("{} {}", first.as_ref()?, second.as_ref()?))
}

/// What the message that is being written costs, in words.
struct Costs {
    whole: String,
    /// Only how long it takes.
    wait: Option<String>,
}

fn cost(app: &App) -> Option<Costs> {
    let cost = app.cost().filter(|_| *app.activity() == Activity::Idle && app.has_draft())?;
    let in_cache = cost.prompt_tokens.saturating_sub(cost.evicted_tokens);
    if in_cache >= cost.cells && !app.evicts() {
        let whole = format!("{} tokens are more than the context holds", cost.prompt_tokens);
        return Some(Costs { whole, wait: Some("too long".into()) });
    }
    let wait = cost.first_token_ms.map(|wait| format!("first token in about {}", duration(wait)));
    let leaving = in_cache.saturating_sub(cost.cells);
    let parts = [
        Some(format!("{} tokens, {} cached", cost.prompt_tokens, cost.cached_tokens)),
        (cost.evicted_tokens > 0).then(|| format!("{} evicted", cost.evicted_tokens)),
        (leaving > 0).then(|| format!("{leaving} or more will leave")),
        wait.clone(),
    ];
    let whole = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Some(Costs { whole, wait })
}
