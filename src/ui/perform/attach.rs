//! Getting what is attached to a message: files, what a line of shell says, the clipboard.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::UnboundedSender;

use super::{Performer, Stoppable};
use crate::documents;
use crate::text::escape_line;
use crate::ui::attaching::{self, Attachment};
use crate::ui::clipboard::Content;
use crate::ui::composer::Part;
use crate::ui::msg::Msg;

/// What came of reading something that is to be attached.
type Read = Result<Attachment, String>;
/// Nothing where the system has no thread.
type Thread = Option<JoinHandle<()>>;

impl Performer {
    /// Gets something to attach on a thread of its own: a file may lie on a disk that sleeps.
    pub(super) fn attach(
        &self,
        reply: fn(Result<Part, String>) -> Msg,
        read: impl FnOnce() -> Read + Send + 'static,
    ) -> Thread {
        let replies = self.replies.clone();
        let read = move || tell_attached(&replies, reply, read());
        let thread = thread::Builder::new().name("attaching".into()).spawn(read);
        if thread.is_err() {
            let sentence = "the system cannot start a thread; close other programs and try again";
            let _ = self.replies.send(reply(Err(sentence.into())));
        }
        thread.ok()
    }

    /// Runs a line of shell for what it says.
    pub(super) fn run(&mut self, line: String, stop: Arc<AtomicBool>) {
        let is_stopped = Arc::clone(&stop);
        let run = move || documents::run(&line, &is_stopped).map(|reading| attaching::as_one(&line, reading));
        self.command = self.attach(Msg::Ran, run).map(|thread| Stoppable { stop, thread });
    }

    /// Attaches what is in the machine's own clipboard.
    pub(super) fn attach_clipboard(&mut self, is_private: bool) {
        let (replies, folder) = (self.replies.clone(), self.pictures.clone().filter(|_| !is_private));
        let Some(clipboard) = self.native_clipboard() else {
            let sentence =
                "there is no clipboard here that can be read; paste with the terminal's own key, as Ctrl-Shift-V";
            let _ = replies.send(Msg::Attached(Err(sentence.into())));
            return;
        };
        clipboard.read(move |content| {
            let read = match content {
                Some(Content::Text(text)) => Ok(Part::File { name: "clipboard".into(), text }.into()),
                Some(Content::Picture(picture)) => attaching::keep_picture(picture, folder.as_deref()),
                None => Err("there is neither text nor a picture in the clipboard".into()),
            };
            tell_attached(&replies, Msg::Attached, read);
        });
    }
}

/// Tells what is to be attached, after what of it was left out. The loop is gone only when the program ends.
fn tell_attached(replies: &UnboundedSender<Msg>, reply: fn(Result<Part, String>) -> Msg, read: Read) {
    let read = read.map(|Attachment { part, notes }| {
        let _ = replies.send(Msg::Notices(notes));
        part
    });
    let _ = replies.send(reply(read.map_err(|sentence| escape_line(&sentence))));
}
