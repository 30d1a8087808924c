//! The status line: the state at the left, the model and its costs at the right; what matters least goes first when
//! there is no room.

use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::chat::Ended;
use crate::engine::protocol::Trial;
use crate::ui::app::{Activity, App, Held};
use crate::ui::transcript::{End, Entry};

use super::{duration, fitted, line, picker};

pub fn draw(app: &App, area: Rect, frame: &mut Frame) {
    line(frame, area, &words(app, usize::from(area.width)), app.theme().status);
}

const NAME_WIDTH: usize = 40;
const SHORT_NAME_WIDTH: usize = 20;
const GAUGE_WIDTH: usize = 8;

fn words(app: &App, width: usize) -> String {
    let ascii = app.theme().ascii;
    let separator = if ascii { " | " } else { " · " };
    let fuzzy = if app.is_fuzzy() { ", fuzzy" } else { "" };
    let private = if app.is_private() { ", private" } else { "" };
    let state = format!(" {}{fuzzy}{private}", state(app));
    let name = |width| Some(fitted(name(app), width, ascii)).filter(|name| !name.is_empty());
    let (device, speed, gauge) = (device(app), speed(app), gauge(app));
    let (context, short) = (context(app), short_context(app));
    // What has left the context and what is pinned is worth more than the device.
    let told = if context == short { context.clone() } else { joined(&gauge, &context) };
    // From everything to the least. What is being written costs something, and that matters more than the rest.
    let choices = match cost(app) {
        Some(Costs { whole, wait }) => vec![
            [name(NAME_WIDTH), Some(whole.clone()), joined(&gauge, &short), None],
            [name(SHORT_NAME_WIDTH), Some(whole.clone()), joined(&gauge, &short), None],
            [None, Some(whole.clone()), joined(&gauge, &short), None],
            [None, Some(whole.clone()), short.clone(), None],
            [None, Some(whole), None, None],
            [None, wait, None, short.clone()],
            [None, None, None, short],
        ],
        None => {
            let drafts = joined(&speed, &app.drafts().map(|drafts| format!("({drafts})")));
            let with_drafts = drafts.map(|drafts| {
                [
                    [name(NAME_WIDTH), device.clone(), Some(drafts.clone()), joined(&gauge, &context)],
                    [name(SHORT_NAME_WIDTH), None, Some(drafts), told.clone()],
                ]
            });
            let without = [
                [name(NAME_WIDTH), device.clone(), speed.clone(), joined(&gauge, &context)],
                [name(SHORT_NAME_WIDTH), device.clone(), speed.clone(), joined(&gauge, &context)],
                [name(SHORT_NAME_WIDTH), device, speed.clone(), context.clone()],
                [name(SHORT_NAME_WIDTH), None, speed.clone(), told],
                [name(SHORT_NAME_WIDTH), None, speed.clone(), context.clone()],
                [None, None, speed.clone(), context.clone()],
                [None, None, speed, short.clone()],
                [None, None, None, short],
            ];
            with_drafts.into_iter().flatten().chain(without).collect()
        }
    };
    for parts in choices {
        let right = parts.into_iter().flatten().collect::<Vec<_>>().join(separator) + " ";
        if state.width() + 1 + right.width() <= width {
            let gap = width - state.width() - right.width();
            return format!("{state}{}{right}", " ".repeat(gap));
        }
    }
    fitted(&state, width, ascii)
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
        Activity::Prefilling { total: 0, .. } => "prefilling".into(),
        Activity::Prefilling { done, total } => {
            format!("prefilling {} %", u64::from(*done) * 100 / u64::from(*total))
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
    let device = &app.model()?.device;
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
    Some(format!("{used}/{} {what}", app.model()?.kv.cells))
}

/// How full the context is, as a bar that begins with what is pinned.
fn gauge(app: &App) -> Option<String> {
    let Held { used, pinned, .. } = app.held();
    let cells = u64::from(app.model()?.kv.cells.max(1));
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
