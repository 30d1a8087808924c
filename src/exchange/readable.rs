//! The branch that a chat goes on with, as Markdown and as plain text.

use super::{how, who};
use crate::store::WholeChat;

pub(super) fn markdown(chat: &WholeChat) -> String {
    let mut text = format!("# {}\n", one_line(&chat.title));
    for message in chat.branch() {
        let how = how(message).map_or(String::new(), |how| format!(" [{how}]"));
        text.push_str(&format!("\n## {}{how}\n\n{}\n", one_line(who(message)), message.content.trim_end()));
    }
    text
}

pub(super) fn text(chat: &WholeChat) -> String {
    let title = one_line(&chat.title);
    let mut text = format!("{title}\n{}\n", "=".repeat(title.chars().count().clamp(1, 72)));
    for message in chat.branch() {
        let how = how(message).map_or(String::new(), |how| format!(" ({how})"));
        text.push_str(&format!("\n{}{how}:\n{}\n", one_line(who(message)), message.content.trim_end()));
    }
    text
}

/// A heading ends with its line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
