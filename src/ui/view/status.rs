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

const NAME_WIDTH: usize = 40;
const SHORT_NAME_WIDTH: usize = 20;

fn words(app: &App, width: usize) -> String {
    let ascii = app.theme().ascii;
    let separator = if ascii { " | " } else { " · " };
    let state = format!(" {}", state(app));
    let name = |width| Some(fitted(app.model_name(), width, ascii)).filter(|name| !name.is_empty());
    let (device, speed, context) = (device(app), speed(app), context(app));
    // From everything to the least.
    let choices = [
        [name(NAME_WIDTH), device.clone(), speed.clone(), context.clone()],
        [name(SHORT_NAME_WIDTH), device, speed.clone(), context.clone()],
        [name(SHORT_NAME_WIDTH), None, speed.clone(), context.clone()],
        [None, None, speed, context.clone()],
        [None, None, None, context],
    ];
    for parts in choices {
        let right = parts.into_iter().flatten().collect::<Vec<_>>().join(separator) + " ";
        if state.width() + 1 + right.width() <= width {
            let gap = width - state.width() - right.width();
            return format!("{state}{}{right}", " ".repeat(gap));
        }
    }
    fitted(&state, width, ascii)
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
    Some(fitted(&format!("{} {threads}", device.backend), 30, app.theme().ascii))
}

fn speed(app: &App) -> Option<String> {
    app.tokens_per_second().map(|speed| format!("{speed:.1} tok/s"))
}

fn context(app: &App) -> Option<String> {
    Some(format!("{}/{} tokens", app.context_used(), app.model()?.kv.cells))
}
