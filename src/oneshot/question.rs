//! The question of a one-shot run: files, the prompt that was typed, and what came through the pipe.

use std::path::PathBuf;

use crate::exit::Failure;
use crate::{text, text_file};

/// What is between two parts: one blank line.
const SEPARATOR: &str = "\n\n";

/// Where the question comes from. `typed` is the value of `--prompt`.
#[derive(Clone, Debug)]
pub struct Question {
    pub typed: Option<String>,
    pub files: Vec<PathBuf>,
}

/// A question, put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub text: String,
    /// How many bytes of it are files, which other questions may be about, too.
    pub shared: usize,
}

impl Question {
    /// Puts the parts together, one blank line between them: the files, each under its name; the typed prompt;
    /// the piped text. `stdin` is read at most once, and only if it is no terminal or `-` asks for it.
    ///
    /// # Errors
    /// If a part cannot be read, or there is nothing to answer.
    pub fn read(
        &self,
        stdin_is_terminal: bool,
        stdin: impl FnOnce() -> Result<String, String>,
    ) -> Result<Asked, Failure> {
        let asks_for_stdin = self.typed.as_deref() == Some("-");
        let typed = self.typed.as_deref().filter(|_| !asks_for_stdin).unwrap_or_default();
        let piped =
            if stdin_is_terminal && !asks_for_stdin { String::new() } else { stdin().map_err(Failure::usage)? };
        let piped = text_file::without_last_line_end(&piped);
        if typed.trim().is_empty() && piped.trim().is_empty() {
            return Err(Failure::usage("there is no prompt to answer")
                .hint("type `tuichat -p TEXT`, or pipe the prompt in; `tuichat` alone in a terminal opens the chat"));
        }
        let mut parts = Vec::new();
        for path in &self.files {
            let contents = text_file::read(path).map_err(Failure::usage)?;
            let name = text::escape_line(&path.to_string_lossy());
            parts.push(text_file::under_its_name(&name, &contents));
        }
        let shared = parts.join(SEPARATOR).len();
        parts.extend([typed, piped].into_iter().filter(|part| !part.trim().is_empty()).map(str::to_owned));
        Ok(Asked { text: parts.join(SEPARATOR), shared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(typed: Option<&str>, piped: Option<&str>) -> Result<String, Failure> {
        let question = Question { typed: typed.map(str::to_owned), files: Vec::new() };
        let asked = question.read(piped.is_none(), || Ok(piped.unwrap_or("from the keyboard").into()))?;
        assert_eq!(asked.shared, 0);
        Ok(asked.text)
    }

    #[test]
    fn what_is_piped_comes_after_what_is_typed() {
        for (typed, piped, expected) in [
            (Some("Complete:"), Some("The capital of France is"), "Complete:\n\nThe capital of France is"),
            (Some("Complete:"), Some("one\n"), "Complete:\n\none"),
            (Some("Complete:"), Some(""), "Complete:"),
            (Some("Complete:"), None, "Complete:"),
            (Some("-"), Some("piped\r\n"), "piped"),
            (Some("-"), None, "from the keyboard"),
            (None, Some("piped\n\n"), "piped\n"),
            (Some(" "), Some("piped"), "piped"),
        ] {
            assert_eq!(join(typed, piped).as_deref(), Ok(expected), "{typed:?} {piped:?}");
        }
    }

    #[test]
    fn nothing_to_answer_is_a_mistake() {
        for (typed, piped) in [(None, Some("")), (Some(""), None), (Some("-"), Some(" \n"))] {
            assert_eq!(join(typed, piped).unwrap_err().exit.code(), 2, "{typed:?} {piped:?}");
        }
    }

    #[test]
    fn files_come_first_under_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "milk\n").unwrap();
        let name = path.display();
        let question = Question { typed: Some("Sum up".into()), files: vec![path.clone()] };
        let file = format!("--- file: {name} ---\nmilk\n--- end of file: {name} ---");
        let expected = Asked { text: format!("{file}\n\nSum up"), shared: file.len() };
        assert_eq!(question.read(true, || Ok(String::new())), Ok(expected));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let question = Question { typed: Some("x".into()), files: vec!["no/such.txt".into()] };
        let failure = question.read(true, || Ok(String::new())).unwrap_err();
        assert!(failure.message.starts_with("cannot read `no/such.txt`"), "{failure}");
    }
}
