//! What was read from the store, as the interface shows it.

use crate::chat::Message;
use crate::store::{self, ChatId, ChatTree, StoredMessage};
use crate::ui::msg::{ChatRow, FoundMessage, Msg, OpenedChat, OpenedMessage, SentMessage};
use crate::ui::{days, folds};

pub(in crate::ui) fn opened_chat(id: ChatId, title: String, tree: ChatTree) -> OpenedChat {
    let messages = tree.messages.into_iter().map(opened).collect();
    OpenedChat { id, title, messages, leaf: tree.leaf, is_elsewhere: false }
}

fn opened(stored: StoredMessage) -> OpenedMessage {
    let folds = stored.folds.map_or(Vec::new(), |written| folds::read(&written, &stored.text));
    OpenedMessage {
        id: stored.id,
        parent: stored.parent,
        message: Message { is_pinned: stored.is_pinned, ..Message::new(stored.role, stored.text) },
        thinking: stored.thinking,
        folds,
        ended: stored.ended,
    }
}

pub(super) fn sent_read(sent: Vec<store::Sent>) -> Msg {
    let read = |store::Sent { text, folds }| {
        let folds = folds.map_or(Vec::new(), |written| folds::read(&written, &text));
        SentMessage { text, folds, is_command: false }
    };
    Msg::SentRead(sent.into_iter().map(read).collect())
}

pub(super) fn found(hits: Vec<store::Hit>) -> Vec<FoundMessage> {
    let today = days::today();
    hits.into_iter().map(|hit| FoundMessage { when: days::short(hit.created_at, &today), hit }).collect()
}

pub(super) fn rows(chats: Vec<store::ChatSummary>) -> Vec<ChatRow> {
    let today = days::today();
    let now = today.timestamp();
    chats
        .into_iter()
        .map(|chat| ChatRow {
            id: chat.id,
            title: chat.title,
            age: age(now.as_second() - chat.updated_at.as_second()),
            day: days::heading(chat.updated_at, &today),
            messages: chat.messages,
            is_open_elsewhere: chat.is_open_elsewhere,
            tags: chat.tags,
            is_archived: chat.is_archived,
        })
        .collect()
}

/// How long ago something was, in the largest unit that fits.
fn age(seconds: i64) -> String {
    let (minute, hour, day) = (60, 3600, 86400);
    match seconds {
        ..60 => "just now".into(),
        _ if seconds < hour => format!("{} min ago", seconds / minute),
        _ if seconds < day => format!("{} h ago", seconds / hour),
        _ if seconds < 60 * day => format!("{} d ago", seconds / day),
        _ if seconds < 730 * day => format!("{} months ago", seconds / (30 * day)),
        _ => format!("{} years ago", seconds / (365 * day)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_largest_unit_that_fits() {
        let told = [-5, 59, 60, 3599, 3600, 86400, 60 * 86400, 3 * 365 * 86400].map(age);
        assert_eq!(
            told,
            ["just now", "just now", "1 min ago", "59 min ago", "1 h ago", "1 d ago", "2 months ago", "3 years ago"]
        );
    }
}
