//! The messages that wait for their turn, one line each, above what is being written.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::ui::app::App;
use crate::ui::composer::summary;

use super::{fitted, line};

const MOST_ROWS: u16 = 4;

/// How many rows they take on a screen of this size.
pub fn rows(app: &App, area: Rect) -> u16 {
    let room = (area.height / 6).min(MOST_ROWS);
    room.min(app.queued().len().min(usize::from(MOST_ROWS)) as u16)
}

pub fn draw(app: &App, area: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let count = app.queued().len();
    let rows = usize::from(area.height);
    for (index, (y, parts)) in (area.y..area.bottom()).zip(app.queued()).enumerate() {
        let words = if index + 1 == rows && count > rows {
            format!("{} more messages wait", count - index)
        } else {
            format!("waits {}: {}", index + 1, summary(parts))
        };
        let width = usize::from(area.width).saturating_sub(3);
        let row = Rect { x: area.x, y, width: area.width, height: 1 };
        line(frame, row, &format!("  {}", fitted(&words, width, theme.ascii)), theme.dim);
    }
}
