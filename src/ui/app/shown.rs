//! What of the state is shown, for the views and the loop.

use super::{Activity, App, Ask, Confirm, Popup, Words};
use crate::chat::Stats;
use crate::config::StatusLine;
use crate::engine::protocol::ModelInfo;
use crate::store::ChatId;
use crate::ui::composer::Composer;
use crate::ui::msg::Slot;
use crate::ui::pictures::{self, Protocol};
use crate::ui::theme::Theme;
use crate::ui::transcript::Transcript;

impl App {
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    pub fn model(&self) -> Option<&ModelInfo> {
        self.model.as_deref()
    }

    /// The name of the model, as far as it is known.
    pub fn model_name(&self) -> &str {
        self.model.as_ref().map_or(&self.model_file, |model| &model.name)
    }

    /// What the status line shows.
    pub fn status_line(&self) -> &StatusLine {
        &self.status
    }

    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// For the layout, which is remembered in the transcript.
    pub fn layout_parts(&mut self) -> (&mut Transcript, &mut Composer, &Theme) {
        (&mut self.transcript, &mut self.composer, &self.look.theme)
    }

    /// How the terminal is sent pictures, if it is.
    pub fn picture_protocol(&self) -> Option<Protocol> {
        self.pictures
    }

    /// The pictures that came into view with the last layout and are to be read.
    pub fn wanted_pictures(&mut self) -> Vec<pictures::Wanted> {
        self.transcript.wanted_pictures()
    }

    /// A text over the chat is not scrolled beyond its end.
    pub fn limit_popup_scroll(&mut self, most: u16) {
        if let Popup::Help { top, .. }
        | Popup::Context { top }
        | Popup::Words(Words { top, .. })
        | Popup::Confirm(Confirm { top, .. })
        | Popup::Ask(Ask { top, .. }) = &mut self.popup
        {
            *top = (*top).min(most);
        }
    }

    pub fn composer(&self) -> &Composer {
        &self.composer
    }

    pub fn popup(&self) -> &Popup {
        &self.popup
    }

    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What there is to say, which is said with this.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// What stands for the chat that is open, on disk or not.
    pub fn chat_slot(&self) -> &Slot<ChatId> {
        &self.chat
    }

    /// The title of the chat that was opened, or was given to it.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What the last answer cost.
    pub fn last_answer(&self) -> Option<&Stats> {
        self.last_answer.as_ref()
    }

    /// The chat that is on the screen, once it is on disk.
    pub fn open_chat_id(&self) -> Option<ChatId> {
        self.chat.get().copied()
    }

    pub fn is_saved(&self) -> bool {
        self.saves
    }

    /// Whether the next Ctrl-C leaves.
    pub fn leaves_on_interrupt(&self) -> bool {
        self.leave_asked.is_some()
    }

    /// Speed of the answer in progress, or of the last one.
    pub fn tokens_per_second(&self) -> Option<f64> {
        self.tokens_per_second
    }

    /// Whether the next key belongs to Ctrl-X.
    pub fn is_prefixed(&self) -> bool {
        self.is_prefixed
    }
}
