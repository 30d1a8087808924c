//! The person's own editor, which gets the text in a file that only they can read.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::platform::processes::{NOT_THERE, USUAL_EDITOR, shell_with_file};
use crate::text::escape_line;
use crate::text_file;

/// A folder that is in memory, where the system has one.
const IN_MEMORY: &str = "/dev/shm";

/// Lets the person edit a text, and returns what they made of it. A private text is handed over in memory.
///
/// # Errors
/// A sentence, if there is no editor, it failed, or what it left is no text.
pub fn edit(text: &str, is_private: bool) -> Result<String, String> {
    let set = |name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let folder = if is_private { PathBuf::from(IN_MEMORY) } else { std::env::temp_dir() };
    if is_private && !folder.is_dir() {
        return Err("a private message is not written for an editor: this system has no folder in memory for it".into());
    }
    edit_with(&set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| USUAL_EDITOR.into()), text, &folder)
}

fn edit_with(editor: &str, text: &str, folder: &Path) -> Result<String, String> {
    let cannot_write = |error: std::io::Error| format!("the text was not written for the editor: {error}");
    // Only its owner may read it.
    let mut file =
        tempfile::Builder::new().prefix("tuichat-").suffix(".md").tempfile_in(folder).map_err(cannot_write)?;
    // Editors expect a line end behind the last line, and put one there.
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{text}{line_end}").as_bytes()).and_then(|()| file.flush()).map_err(cannot_write)?;
    let path = file.into_temp_path();
    run(editor, &path)?;
    let edited = text_file::read(&path)?;
    let is_added = edited.ends_with('\n') && !text.ends_with('\n');
    Ok(if is_added { text_file::without_last_line_end(&edited).to_owned() } else { edited })
}

/// Runs the editor as a shell would, since it may be written with arguments: `code --wait`.
fn run(editor: &str, path: &Path) -> Result<(), String> {
    let shown = escape_line(editor);
    let kept = "the text is as it was";
    match shell_with_file(editor, path).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if status.code() == Some(NOT_THERE) => {
            Err(format!("`{shown}` is not there: set $VISUAL or $EDITOR to an editor that is; {kept}"))
        }
        Ok(status) => Err(format!("`{shown}` failed ({status}); {kept}")),
        Err(error) => Err(format!("`{shown}` was not started: {error}; {kept}")),
    }
}

#[cfg(test)]
mod tests {
    fn edit_with(editor: &str, text: &str) -> Result<String, String> {
        super::edit_with(editor, text, &std::env::temp_dir())
    }

    #[test]
    fn what_the_editor_leaves_is_the_text() {
        assert_eq!(edit_with("sed -i s/one/two/", "one\nline"), Ok("two\nline".into()));
        assert_eq!(edit_with("printf 'x\\n' >", "before"), Ok("x".into()), "the last line end is the editor's");
        assert_eq!(edit_with("true", "as\nit was\n"), Ok("as\nit was\n".into()));
    }

    #[test]
    fn only_the_owner_can_read_the_file() {
        let mode = "m() { mode=$(ls -l \"$1\" | cut -c1-10); printf %s \"$mode\" > \"$1\"; }; m";
        assert_eq!(edit_with(mode, "x"), Ok("-rw-------".into()));
    }

    #[test]
    fn an_editor_that_fails_or_is_not_there_is_a_sentence() {
        assert!(edit_with("false", "x").unwrap_err().contains("`false` failed"));
        let sentence = edit_with("no-such-editor-here", "x").unwrap_err();
        assert!(sentence.starts_with("`no-such-editor-here` is not there: set $VISUAL"), "{sentence}");
        assert!(edit_with("printf '\\377' >", "x").unwrap_err().contains("is not UTF-8 text"));
    }
}
