//! A conversation as a file for others: Markdown, or JSON where the name says so. A file that is there already is
//! replaced only when that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::chat::{Ended, Role};
use crate::text::cause;

/// What is written.
#[derive(Clone, Debug, Serialize)]
pub struct Conversation {
    pub title: String,
    pub model: String,
    pub messages: Vec<Said>,
}

/// A message of it.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    pub role: Role,
    pub content: String,
    pub thinking: Option<String>,
    /// How an answer ended.
    pub finish_reason: Option<Ended>,
    pub pinned: bool,
}

/// Why a file was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is there already.
    Exists(PathBuf),
    Failed(String),
}

impl Conversation {
    /// In the form that suits the file's name.
    pub fn text_for(&self, path: Option<&Path>) -> String {
        let is_json = path.and_then(Path::extension).is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json { self.json() } else { self.markdown() }
    }

    fn json(&self) -> String {
        // Plain data under text keys always has a form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    fn markdown(&self) -> String {
        let mut text = format!("# {}\n", self.title);
        for said in &self.messages {
            let who = match said.role {
                Role::System => "System prompt",
                Role::User => "You",
                Role::Assistant => &self.model,
            };
            let how = match said.finish_reason {
                None | Some(Ended::Stop) => String::new(),
                Some(ended) => format!(" [{}]", ended.as_str()),
            };
            text.push_str(&format!("\n## {who}{how}\n\n{}\n", said.content.trim_end()));
        }
        text
    }

    /// What the file is called unless something else is asked for: the title as a word.
    pub fn file_name(&self) -> String {
        let mut name = String::new();
        for character in self.title.chars() {
            if character.is_alphanumeric() {
                name.extend(character.to_lowercase());
            } else if !name.ends_with('-') && !name.is_empty() {
                name.push('-');
            }
        }
        let name = name.trim_end_matches('-');
        format!("{}.md", if name.is_empty() { "chat" } else { name })
    }
}

/// Writes a file and says which. Without a path, or in a folder, it gets a name that is free.
///
/// # Errors
/// If a file of that path is there and `replaces` is not set, or the disk refuses.
pub fn write(path: Option<&Path>, name: &str, text: &str, replaces: bool) -> Result<PathBuf, Refused> {
    let path = path.map(at_home);
    match path {
        Some(path) if !path.is_dir() => {
            if replaces {
                replace(&path, text).map_err(|error| failed(&path, &error))?;
                return Ok(path);
            }
            create(&path, text).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Refused::Exists(path.clone()),
                _ => failed(&path, &error),
            })?;
            Ok(path)
        }
        folder => create_with_free_name(&folder.unwrap_or_default().join(name), text),
    }
}

fn create_with_free_name(path: &Path, text: &str) -> Result<PathBuf, Refused> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let names = std::iter::once(path.to_owned())
        .chain((2..1000).map(|number| path.with_file_name(format!("{stem}-{number}.md"))));
    for path in names {
        match create(&path, text) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Err(Refused::Exists(path.to_owned()))
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    fill(OpenOptions::new().write(true).create_new(true).open(path)?, path, text)
}

fn fill(mut file: File, path: &Path, text: &str) -> io::Result<()> {
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file must not look like a whole one.
        let _ = fs::remove_file(path);
    }
    written
}

/// The old file stays until the new one is whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(path) {
        new.as_file().set_permissions(old.permissions())?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map(drop).map_err(|error| error.error)
}

fn failed(path: &Path, error: &io::Error) -> Refused {
    Refused::Failed(format!("cannot write `{}`: {}", path.display(), cause(error)))
}

/// `~/` is the home folder.
pub fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        let said = |role, content: &str, finish_reason| Said {
            role,
            content: content.into(),
            thinking: None,
            finish_reason,
            pinned: false,
        };
        let messages = vec![
            said(Role::System, "Be brief", None),
            said(Role::User, "Why?", None),
            said(Role::Assistant, "Because\n", Some(Ended::Cancelled)),
        ];
        Conversation { title: "Why is the sky blue?".into(), model: "Tiny 1B".into(), messages }
    }

    #[test]
    fn a_conversation_is_markdown_unless_the_name_says_json() {
        let markdown = conversation().text_for(Some(Path::new("sky.md")));
        assert_eq!(
            markdown,
            "# Why is the sky blue?\n\n## System prompt\n\nBe brief\n\n## You\n\nWhy?\n\n## Tiny 1B [cancelled]\n\nBecause\n"
        );
        assert_eq!(conversation().text_for(None), markdown);
        let json: serde_json::Value =
            serde_json::from_str(&conversation().text_for(Some(Path::new("sky.JSON")))).unwrap();
        assert_eq!(json["messages"][2]["role"], "assistant");
        assert_eq!(json["messages"][2]["finish_reason"], "cancelled");
        assert_eq!(json["title"], "Why is the sky blue?");
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sky.md");
        assert_eq!(write(Some(&path), "x.md", "one", false), Ok(path.clone()));
        assert_eq!(write(Some(&path), "x.md", "two", false), Err(Refused::Exists(path.clone())));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(write(Some(&path), "x.md", "two", true), Ok(path.clone()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let Err(Refused::Failed(sentence)) = write(Some(&path.join("no/such")), "x.md", "", false) else { panic!() };
        assert!(sentence.starts_with("cannot write `"), "{sentence}");
    }

    #[test]
    fn a_name_of_its_own_is_the_title_and_free() {
        let folder = tempfile::tempdir().unwrap();
        let name = conversation().file_name();
        assert_eq!(name, "why-is-the-sky-blue.md");
        for expected in ["why-is-the-sky-blue.md", "why-is-the-sky-blue-2.md"] {
            let written = write(Some(folder.path()), &name, "text", false).unwrap();
            assert_eq!(written.file_name().unwrap(), expected);
        }
        let evil = Conversation { title: "../../etc/passwd\u{1b}".into(), ..conversation() };
        assert_eq!(evil.file_name(), "etc-passwd.md");
        assert_eq!(Conversation { title: "…".into(), ..conversation() }.file_name(), "chat.md");
    }
}
