//! `tuichat chats export`: chats as files, or on stdout.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::print;
use crate::exchange::{Form, file_name};
use crate::exit::Failure;
use crate::store::{ChatId, Store, WholeChat};
use crate::text::cause;

/// # Errors
/// If a chat is not there, or a file is there already or cannot be written.
pub(super) fn run(
    store: &Store,
    chats: &[ChatId],
    are_all: bool,
    form: Option<Form>,
    out: Option<&Path>,
    replaces: bool,
) -> Result<(), Failure> {
    let form = form.or_else(|| Form::of(out?)).unwrap_or_default();
    let are_several = are_all || chats.len() != 1;
    let is_folder = out.is_some_and(|out| out.is_dir() || (are_several && form != Form::Json));
    match out {
        Some(folder) if is_folder => {
            fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
            chats.iter().try_for_each(|id| {
                let chat = store.whole_chat(*id)?;
                // The number keeps two chats of one title apart.
                let path = folder.join(format!("{id}-{}", file_name(&chat.title, form)));
                write(&path, &form.write(&chat), replaces)
            })
        }
        Some(file) => {
            let mut text = String::new();
            for id in chats {
                text.push_str(&one_of(form, &store.whole_chat(*id)?, are_several));
            }
            write(file, &text, replaces)
        }
        None => chats.iter().try_for_each(|id| print(&one_of(form, &store.whole_chat(*id)?, are_several))),
    }
}

/// A chat in a file that may have several.
fn one_of(form: Form, chat: &WholeChat, are_several: bool) -> String {
    match form {
        // Plain data under text keys always has a form.
        Form::Json if are_several => serde_json::to_string(chat).unwrap_or_default() + "\n",
        _ => form.write(chat),
    }
}

/// Writes a whole file or none. Others may not read it: it is somebody's conversation.
fn write(path: &Path, text: &str, replaces: bool) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        let persisted = if replaces { file.persist(path) } else { file.persist_noclobber(path) };
        persisted.map(drop).map_err(|error| error.error)
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let path: PathBuf = path.into();
            Failure::error(format!("`{}` is there already, and was left as it is", path.display()))
                .hint("`--force` puts the chat in its place")
        }
        _ => cannot_write(path, &error),
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot write `{}`: {}", path.display(), cause(error)))
}
