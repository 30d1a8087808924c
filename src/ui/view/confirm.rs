//! The question before a download: what comes, how much of it, from where, and whether there is room.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::models::offers::{Offer, Place};
use crate::text::{escape_line, file_size};
use crate::ui::app::Confirm;
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::popups::{inner_width, open_box};

pub fn draw(theme: &Theme, confirm: &Confirm, screen: Rect, frame: &mut Frame) {
    let lines = lines(theme, confirm, inner_width(screen));
    let inside = open_box("Download this model?", "Enter downloads, Esc goes back", lines.len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(lines).scroll((confirm.top, 0)), inside);
}

/// How many lines there are to scroll through.
pub fn height(confirm: &Confirm, screen: Rect) -> usize {
    lines(&Theme::plain(), confirm, inner_width(screen)).len()
}

/// What there is to know about a download before it begins.
pub struct Facts {
    pub name: String,
    pub what: String,
    pub room: String,
    /// The room is not enough.
    pub is_short: bool,
    pub fit: String,
    /// The smallest model, if that is another one.
    pub smallest: Option<String>,
}

pub fn facts(confirm: &Confirm) -> Facts {
    let Offer { name, place, verdict, tokens_per_second, .. } = &*confirm.offer;
    let (bytes, from, free_bytes) = match place {
        Place::Download { bytes, from, free_bytes } => (*bytes, from.as_str(), *free_bytes),
        Place::Here { .. } | Place::Server { .. } => (None, "", None),
    };
    let size = bytes.map_or("of a size that is known when it begins".into(), file_size);
    let is_short = bytes.zip(free_bytes).is_some_and(|(bytes, free)| free < bytes);
    let room = match free_bytes {
        None => String::new(),
        Some(free) if is_short => format!("The disk has no room for it: {} are free.", file_size(free)),
        Some(free) => format!("{} are free on the disk.", file_size(free)),
    };
    let speed = tokens_per_second.map_or(String::new(), |speed| format!(", about {speed:.0} tok/s"));
    let smallest = match confirm.smallest.as_deref() {
        Some(Offer { name, place: Place::Download { bytes: Some(bytes), .. }, .. }) => {
            Some(format!("{}, {}", escape_line(name), file_size(*bytes)))
        }
        _ => None,
    };
    Facts {
        name: escape_line(name),
        what: format!("{size}, from {}.", escape_line(from)),
        room,
        is_short,
        fit: verdict.map_or(String::new(), |verdict| format!("On this machine: {verdict}{speed}.")),
        smallest,
    }
}

fn lines(theme: &Theme, confirm: &Confirm, width: usize) -> Vec<Line<'static>> {
    let Facts { name, what, room, is_short, fit, smallest } = facts(confirm);
    let mut lines = Vec::new();
    let mut say =
        |text: &str, style| lines.extend(wrap(text, width.max(1)).into_iter().map(|line| Line::styled(line, style)));
    say(&name, theme.strong);
    say(&what, theme.text);
    for (text, style) in [(room, if is_short { theme.warning } else { theme.text }), (fit, theme.text)] {
        if !text.is_empty() {
            say(&text, style);
        }
    }
    say("You can write while it comes; if it is interrupted, it goes on where it stopped.", theme.dim);
    say("", theme.text);
    say("Enter  download it", theme.text);
    if let Some(smallest) = smallest {
        say(&format!("Tab    rather the smallest one: {smallest}"), theme.text);
    }
    say("Esc    download nothing", theme.text);
    lines
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::super::examples::{choosing, text};
    use crate::models::offers::Place;
    use crate::ui::msg::Msg;

    #[test]
    fn it_is_said_what_comes_from_where_and_whether_there_is_room() {
        for (width, height) in [(80, 24), (40, 20), (20, 5)] {
            let mut tester = choosing();
            tester.type_text("1.5b");
            tester.key(KeyCode::Enter, KeyModifiers::NONE);
            insta::assert_snapshot!(text(&mut tester, width, height));
        }
    }

    #[test]
    fn a_disk_without_room_is_told_before() {
        let mut tester = choosing();
        let mut offers = tester.app.offers().unwrap().to_vec();
        for offer in &mut offers {
            if let Place::Download { free_bytes, .. } = &mut offer.place {
                *free_bytes = Some(9_000_000);
            }
        }
        tester.update(Msg::Offers(offers));
        tester.type_text("1.5b");
        tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert!(text(&mut tester, 80, 24).contains("The disk has no room for it: 9.0 MB are free."));
    }
}
