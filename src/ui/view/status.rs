//! The status line: the state at the left, the model and its costs at the right; what matters least goes first when
//! there is no room.

use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::chat::Ended;
use crate::ui::app::{Activity, App};
use crate::ui::transcript::{End, Entry};

use super::{fitted, line};

pub fn draw(app: &App, area: Rect, frame: &mut Frame) {
    line(frame, area, &words(app, usize::from(area.width)), app.theme().status);
}

fn words(app: &App, width: usize) -> String {
    let separator = if app.theme().ascii { " | " } else { " · " };
    let state = format!(" {}", state(app));
    // In the order in which they are given up.
    let name = Some(fitted(app.model_name(), 40)).filter(|name| !name.is_empty());
    let mut parts = [name, device(app), speed(app), context(app)];
    let mut give_up = [1, 2, 0, 3].into_iter();
    loop {
        let right = parts.iter().flatten().cloned().collect::<Vec<_>>().join(separator) + " ";
        let room = width.saturating_sub(right.width() + 1);
        if state.width() <= room {
            let gap = width - state.width() - right.width();
            return format!("{state}{}{right}", " ".repeat(gap));
        }
        match give_up.next() {
            Some(part) => parts[part] = None,
            None => return fitted(&state, width),
        }
    }
}

fn state(app: &App) -> String {
    match app.activity() {
        Activity::NoModel(_) => "no model".into(),
        Activity::Loading(part) => format!("loading {:.0} %", part * 100.0),
        Activity::Idle if was_stopped(app) => "stopped".into(),
        Activity::Idle => "idle".into(),
        Activity::Prefilling { total: 0, .. } => "prefilling".into(),
        Activity::Prefilling { done, total } => {
            format!("prefilling {} %", u64::from(*done) * 100 / u64::from(*total))
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
    Some(fitted(&format!("{} {threads}", device.backend), 30))
}

fn speed(app: &App) -> Option<String> {
    app.tokens_per_second().map(|speed| format!("{speed:.1} tok/s"))
}

fn context(app: &App) -> Option<String> {
    Some(format!("{}/{} tokens", app.context_used(), app.model()?.kv.cells))
}
