//! The question of a one-shot run: files, a text that has a name, the prompt that was typed, and what came through the
//! pipe.

use std::path::{Path, PathBuf};

use crate::documents::{self, Document};
use crate::exit::Failure;
use crate::prompts::{Form, PromptText, Variable};
use crate::{text, text_file};

/// What is between two parts: one blank line.
const SEPARATOR: &str = "\n\n";

/// Where the question comes from. `typed` is the value of `--prompt`.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub named: Option<PromptText>,
    /// What is put into that text.
    pub variables: Vec<Variable>,
    pub typed: Option<String>,
    pub files: Vec<PathBuf>,
}

/// What stdin is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    Terminal,
    /// `/dev/null` above all, as cron has it: it is read, and nobody expects anything of it.
    Device,
    /// Somebody meant to say something by it.
    Piped,
}

/// A question, put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub text: String,
    /// What was expected to be part of it and is not, in sentences.
    pub notes: Vec<String>,
    /// How many bytes of it are files, which other questions may be about, too.
    pub shared: usize,
}

impl Question {
    /// Whether everything is there that the text with the name asks for, as far as that is known before stdin is read.
    ///
    /// # Errors
    /// What is missing or too much.
    pub fn check(&self) -> Result<(), Failure> {
        let asks_by_name = self.named.as_ref().is_some_and(|named| Form::of(named).asks_for_stdin());
        let asked = [self.typed.as_deref() == Some("-"), asks_by_name];
        let asked = asked.into_iter().chain(self.files.iter().map(|path| is_stdin(path))).filter(|asks| *asks).count();
        if asked > 1 {
            return Err(Failure::usage("stdin is asked for twice, and can be read once")
                .hint("`-p -`, `--file -` and `{{stdin}}` in a text are stdin; a file of that name is `./-`"));
        }
        let Some(named) = &self.named else { return Ok(()) };
        Form::of(named).check(&self.variables, self.written()).map_err(Failure::usage)
    }

    /// What was typed, and is not to be read from stdin.
    fn written(&self) -> Option<&str> {
        self.typed.as_deref().filter(|typed| *typed != "-")
    }

    /// Puts the parts together, one blank line between them: the files, each under its name; the text with the name; the
    /// typed prompt; the piped text. What stands in the text with the name is not there again. `read` reads stdin; it is
    /// called at most once, and only if that is no terminal or `-` asks for it.
    ///
    /// # Errors
    /// If a part cannot be read, or there is nothing to answer.
    pub fn read(&self, stdin: Stdin, read: impl FnOnce() -> Result<String, String>) -> Result<Asked, Failure> {
        let asks_for_stdin = self.typed.as_deref() == Some("-");
        let typed = self.written().unwrap_or_default();
        let is_file = self.files.iter().any(|path| is_stdin(path));
        let is_read = stdin != Stdin::Terminal || asks_for_stdin || is_file;
        let read = if is_read { read().map_err(Failure::usage)? } else { String::new() };
        let mut notes = Vec::new();
        if (stdin == Stdin::Piped || is_file) && read.trim().is_empty() {
            notes.push("nothing was piped in".to_owned());
        }
        // What is a file is not there again.
        let piped = if is_file { "" } else { text_file::without_last_line_end(&read) };
        let mut parts = Vec::new();
        let mut are_empty = true;
        for path in &self.files {
            if is_stdin(path) {
                are_empty &= read.trim().is_empty();
                parts.push(text_file::under_its_name("stdin", &read));
                continue;
            }
            let reading = documents::read(path).map_err(|problem| self.unread(path, problem))?;
            notes.extend(reading.notes);
            for Document { name, text } in reading.documents {
                let name = text::escape_line(&name);
                if text.trim().is_empty() {
                    notes.push(format!("`{name}` is empty"));
                }
                are_empty &= text.trim().is_empty();
                parts.push(text_file::under_its_name(&name, &text));
            }
        }
        let mut said = vec![typed, piped];
        let filled;
        if let Some(named) = &self.named {
            let form = Form::of(named);
            if form.asks_for_stdin() && piped.trim().is_empty() {
                let name = &named.name;
                return Err(Failure::usage(format!("the text `{name}` has `{{{{stdin}}}}`, and nothing was piped in"))
                    .hint(format!("type `… | tuichat --prompt-name {name}`")));
            }
            if form.is_plain() && are_empty && typed.trim().is_empty() && piped.trim().is_empty() && !notes.is_empty() {
                let name = &named.name;
                return Err(Failure::usage(format!("{}, so the text `{name}` is about nothing", notes.join(", and ")))
                    .hint(format!("if that is meant, type `tuichat --prompt-name {name} < /dev/null`")));
            }
            filled = form.fill(&self.variables, typed, piped, Path::new("")).map_err(Failure::usage)?;
            let behind = [(typed, form.asks_for_prompt()), (piped, form.asks_for_stdin())];
            let behind = behind.into_iter().filter(|(_, is_in_it)| !is_in_it).map(|(part, _)| part);
            said = [text_file::without_last_line_end(&filled)].into_iter().chain(behind).collect();
        }
        if said.iter().all(|part| part.trim().is_empty()) {
            return Err(Failure::usage("there is no prompt to answer")
                .hint("type `tuichat -p TEXT`, or pipe the prompt in; `tuichat` alone in a terminal opens the chat"));
        }
        let shared = parts.join(SEPARATOR).len();
        parts.extend(said.into_iter().filter(|part| !part.trim().is_empty()).map(str::to_owned));
        Ok(Asked { text: parts.join(SEPARATOR), notes, shared })
    }

    /// What is told of a file that cannot be read. One behind others that is not there may be the question.
    fn unread(&self, path: &Path, problem: String) -> Failure {
        let failure = Failure::usage(problem);
        let is_question =
            self.typed.is_none() && self.files.len() > 1 && self.files.last().is_some_and(|last| last == path);
        if is_question && !path.exists() {
            failure.hint("what `--file` names are files; a question goes behind `-p`")
        } else {
            failure
        }
    }
}

/// Whether `--file` names what is piped in.
fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdin(piped: Option<&str>) -> Stdin {
        if piped.is_none() { Stdin::Terminal } else { Stdin::Piped }
    }

    fn join(typed: Option<&str>, piped: Option<&str>) -> Result<String, Failure> {
        let question = Question { typed: typed.map(str::to_owned), ..Question::default() };
        let asked = question.read(stdin(piped), || Ok(piped.unwrap_or("from the keyboard").into()))?;
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
    fn what_is_piped_in_may_be_one_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "milk\n").unwrap();
        let question = |typed: &str, files: &[&Path]| Question {
            typed: Some(typed.into()),
            files: files.iter().map(|path| path.to_path_buf()).collect(),
            ..Question::default()
        };
        let before = question("Sum up", &[Path::new("-"), &file]);
        assert_eq!(before.check(), Ok(()));
        let asked = before.read(Stdin::Piped, || Ok("bread\n".into())).unwrap();
        let stdin = "--- file: stdin ---\nbread\n--- end of file: stdin ---";
        assert!(asked.text.starts_with(&format!("{stdin}\n\n--- file: ")), "{}", asked.text);
        assert!(asked.text.ends_with("\n\nSum up") && asked.notes.is_empty(), "{}", asked.text);
        assert_eq!(asked.text.len() - asked.shared, "\n\nSum up".len());
        let asked = before.read(Stdin::Device, || Ok(String::new())).unwrap();
        assert_eq!(asked.notes, ["nothing was piped in"]);
        let typed = question("x", &[Path::new("-")]).read(Stdin::Terminal, || Ok("from the keyboard".into())).unwrap();
        assert!(typed.text.contains("from the keyboard"), "{}", typed.text);
        for twice in [question("-", &[Path::new("-")]), question("x", &[Path::new("-"), Path::new("-")])] {
            assert!(twice.check().unwrap_err().message.starts_with("stdin is asked for twice"));
        }
        let named = Some(PromptText { name: "mail".into(), text: "{{stdin}}".into(), ..PromptText::default() });
        assert!(Question { named, ..question("x", &[Path::new("-")]) }.check().is_err());
    }

    #[test]
    fn a_text_with_a_name_comes_before_what_is_said_or_has_it_in_it() {
        let ask = |text: &str, typed: Option<&str>, piped: Option<&str>| -> Result<String, Failure> {
            let named = PromptText { name: "mail".into(), text: text.into(), ..PromptText::default() };
            let variables = vec!["to=Ann".parse().unwrap()];
            let typed = typed.map(str::to_owned);
            let question = Question { named: Some(named), variables, typed, files: Vec::new() };
            question.check()?;
            let asked = question.read(stdin(piped), || Ok(piped.unwrap_or("from the keyboard").into()))?;
            Ok(asked.text)
        };
        for (text, typed, piped, expected) in [
            ("To {{to}}\n", None, None, "To Ann"),
            ("To {{to}}", Some("typed"), Some("piped\n"), "To Ann\n\ntyped\n\npiped"),
            ("To {{to}}: {{stdin}}!", Some("typed"), Some("piped\n"), "To Ann: piped!\n\ntyped"),
            ("To {{to}}: {{prompt}}!", Some("typed"), Some(""), "To Ann: typed!"),
            ("To {{to}}", Some("-"), Some("piped"), "To Ann\n\npiped"),
        ] {
            assert_eq!(ask(text, typed, piped).as_deref(), Ok(expected), "{text}");
        }
        for piped in [None, Some("\n")] {
            let failure = ask("{{to}} {{stdin}}", Some("typed"), piped).unwrap_err();
            assert!(failure.to_string().contains("type `… | tuichat --prompt-name mail`"), "{failure}");
        }
        assert!(ask("{{to}} {{prompt}}", Some("-"), Some("piped")).is_err());
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
        let question = Question { typed: Some("Sum up".into()), files: vec![path.clone()], ..Question::default() };
        let file = format!("--- file: {name} ---\nmilk\n--- end of file: {name} ---");
        let expected = Asked { text: format!("{file}\n\nSum up"), notes: Vec::new(), shared: file.len() };
        assert_eq!(question.read(Stdin::Terminal, || Ok(String::new())), Ok(expected));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let question = Question { typed: Some("x".into()), files: vec!["no/such.txt".into()], ..Question::default() };
        let failure = question.read(Stdin::Terminal, || Ok(String::new())).unwrap_err();
        assert!(failure.message.starts_with("cannot read `no/such.txt`"), "{failure}");
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("notes.txt");
        std::fs::write(&there, "milk").unwrap();
        let files = vec![there, "Sum up".into()];
        let named = Some(PromptText { name: "mail".into(), text: "Dear".into(), ..PromptText::default() });
        let failure = Question { named, files, ..Question::default() }.read(Stdin::Terminal, || Ok(String::new()));
        assert!(failure.unwrap_err().to_string().contains("a question goes behind `-p`"));
    }

    #[test]
    fn what_is_empty_is_told_or_refused_where_nothing_else_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (empty, full) = (folder.path().join("empty"), folder.path().join("full"));
        std::fs::write(&empty, " \n").unwrap();
        std::fs::write(&full, "milk").unwrap();
        let ask = |text: Option<&str>, typed: Option<&str>, files: &[&PathBuf], stdin| {
            let named = text.map(|text| PromptText { name: "mail".into(), text: text.into(), ..PromptText::default() });
            let files = files.iter().map(|file| (*file).clone()).collect();
            let question = Question { named, typed: typed.map(str::to_owned), files, variables: Vec::new() };
            question.read(stdin, || Ok("\n".into())).map(|asked| asked.notes)
        };
        let is_empty = format!("`{}` is empty", empty.display());
        let nothing = "nothing was piped in".to_owned();
        assert_eq!(ask(None, Some("x"), &[], Stdin::Piped), Ok(vec![nothing.clone()]));
        assert_eq!(ask(None, Some("x"), &[], Stdin::Device), Ok(vec![]), "cron pipes nothing in");
        assert_eq!(ask(None, Some("x"), &[&full, &empty], Stdin::Terminal), Ok(vec![is_empty.clone()]));
        assert_eq!(ask(Some("Sum up"), None, &[], Stdin::Device), Ok(vec![]));
        assert_eq!(ask(Some("Sum up"), None, &[&full], Stdin::Piped), Ok(vec![nothing]));
        for (files, stdin, expected) in [
            (&[][..], Stdin::Piped, "nothing was piped in, so the text `mail` is about nothing".to_owned()),
            (&[&empty], Stdin::Terminal, format!("{is_empty}, so the text `mail` is about nothing")),
        ] {
            let failure = ask(Some("Sum up"), None, files, stdin).unwrap_err();
            assert_eq!((failure.exit.code(), failure.message), (2, expected));
        }
    }
}
