//! Putting values into a text where it has their names in braces: `{{name}}`, `{{stdin}}`, `{{prompt}}`, `{{file:PATH}}`.
//! What is put in is never looked through for braces. Braces around anything else are text.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::PromptText;
use crate::text_file;

/// Of the filled text: a value may stand in many places.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A value that is given by its name: `tone=kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some(("stdin", _)) => Err("`stdin` is what is piped in; pipe it in".into()),
            Some(("prompt", _)) => Err("`prompt` is the text behind `-p`; type it there".into()),
            Some((name, value)) if is_name(name) => Ok(Self { name: name.into(), value: value.into() }),
            _ => Err("it must be NAME=TEXT, with a name of letters, digits, `_` and `-`".into()),
        }
    }
}

fn is_name(text: &str) -> bool {
    let belongs = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    !text.is_empty() && text.chars().all(belongs)
}

/// A text with its gaps.
#[derive(Clone, Debug)]
pub struct Form<'text> {
    name: &'text str,
    parts: Vec<Part<'text>>,
    /// Values of gaps that are given none.
    defaults: &'text [(String, String)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'text> {
    Text(&'text str),
    Value(&'text str),
    File(&'text str),
}

impl<'text> Form<'text> {
    pub fn of(text: &'text PromptText) -> Self {
        let mut parts = Vec::new();
        // What was not made a part yet, and where in it braces may begin.
        let (mut rest, mut from) = (text.text.as_str(), 0);
        while let Some(open) = rest[from..].find("{{").map(|at| from + at) {
            let inner = rest[open + 2..].lines().next().and_then(|line| line.split_once("}}")).map(|(inner, _)| inner);
            let gap = inner.and_then(|inner| match inner.trim().split_once(':') {
                Some(("file", path)) if !path.trim().is_empty() => Some(Part::File(path.trim())),
                None if is_name(inner.trim()) => Some(Part::Value(inner.trim())),
                _ => None,
            });
            match (gap, inner) {
                (Some(gap), Some(inner)) => {
                    parts.extend([Part::Text(&rest[..open]), gap]);
                    (rest, from) = (&rest[open + 2 + inner.len() + 2..], 0);
                }
                _ => from = open + 1,
            }
        }
        parts.push(Part::Text(rest));
        Self { name: &text.name, parts, defaults: &text.head.variables }
    }

    pub fn asks_for_stdin(&self) -> bool {
        self.parts.contains(&Part::Value("stdin"))
    }

    pub fn asks_for_prompt(&self) -> bool {
        self.parts.contains(&Part::Value("prompt"))
    }

    /// Whether nothing is put into it.
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The names of the values that have to be given, each once.
    fn names(&self) -> Vec<&'text str> {
        let mut names = Vec::new();
        for part in &self.parts {
            match part {
                Part::Value("stdin" | "prompt") | Part::Text(_) | Part::File(_) => {}
                Part::Value(name) if names.contains(name) => {}
                Part::Value(name) => names.push(*name),
            }
        }
        names
    }

    fn default(&self, name: &str) -> Option<&'text str> {
        self.defaults.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The text as it is written into the chat: the gaps that have values of their own are filled, the others are left
    /// for the person.
    pub fn begun(&self) -> String {
        let part = |part: &Part<'_>| match *part {
            Part::Text(text) => text.to_owned(),
            Part::Value(name) => self.default(name).map_or_else(|| format!("{{{{{name}}}}}"), str::to_owned),
            Part::File(path) => format!("{{{{file:{path}}}}}"),
        };
        self.parts.iter().map(part).collect()
    }

    /// Whether exactly the values are there that it has gaps for; `prompt` is the text that was typed for it.
    ///
    /// # Errors
    /// What is missing or too much, and what to type.
    pub fn check(&self, variables: &[Variable], prompt: Option<&str>) -> Result<(), String> {
        let (name, names) = (self.name, self.names());
        let is_missing =
            |name: &&&str| variables.iter().all(|given| given.name != **name) && self.default(name).is_none();
        let missing: Vec<_> = names.iter().filter(is_missing).collect();
        if !missing.is_empty() {
            let shown: Vec<String> = missing.iter().map(|name| format!("`{{{{{name}}}}}`")).collect();
            let typed: String = missing.iter().map(|name| format!(" --var {name}=TEXT")).collect();
            let (shown, verb) = (shown.join(", "), if missing.len() == 1 { "has" } else { "have" });
            return Err(format!("{shown} of the text `{name}` {verb} no value; add `{}`", typed.trim_start()));
        }
        if self.asks_for_prompt() && prompt.is_none() {
            return Err(format!("`{{{{prompt}}}}` of the text `{name}` has no value; add `-p TEXT`"));
        }
        for (at, given) in variables.iter().enumerate() {
            let Variable { name: variable, .. } = given;
            if variables[..at].iter().any(|other| other.name == *variable) {
                return Err(format!("`--var {variable}=…` is there twice; leave one out"));
            }
            if !names.contains(&variable.as_str()) {
                let known: Vec<String> = names.iter().map(|name| format!("`{{{{{name}}}}}`")).collect();
                let known = if known.is_empty() {
                    "no values are put into it".into()
                } else {
                    format!("it has {}", known.join(", "))
                };
                return Err(format!(
                    "the text `{name}` has no `{{{{{variable}}}}}` ({known}); leave out `--var {variable}=…`"
                ));
            }
        }
        Ok(())
    }

    /// The text with everything in it. Paths begin at `folder`.
    ///
    /// # Errors
    /// If a file cannot be read, or the whole becomes too large.
    pub fn fill(&self, variables: &[Variable], prompt: &str, stdin: &str, folder: &Path) -> Result<String, String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value("stdin") => filled.push_str(stdin),
                Part::Value("prompt") => filled.push_str(prompt),
                Part::Value(name) => {
                    let given = variables.iter().find(|given| given.name == *name);
                    let given = given.map(|given| given.value.as_str()).or_else(|| self.default(name));
                    filled.push_str(given.unwrap_or_default());
                }
                Part::File(path) => {
                    let text = text_file::read(&folder.join(from_home(path)))?;
                    filled.push_str(text_file::without_last_line_end(&text));
                }
            }
            if filled.len() > MOST_BYTES {
                return Err(format!("the text `{}` becomes larger than {} MiB", self.name, MOST_BYTES >> 20));
            }
        }
        Ok(filled)
    }
}

/// A path in a text passes no shell that would know `~`.
fn from_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> PromptText {
        PromptText { name: "mail".into(), text: text.into(), ..PromptText::default() }
    }

    fn variables(given: &[&str]) -> Vec<Variable> {
        given.iter().map(|given| given.parse().unwrap()).collect()
    }

    fn filled(form: &str, given: &[&str]) -> Result<String, String> {
        let (text, variables) = (text(form), variables(given));
        let form = Form::of(&text);
        form.check(&variables, Some("typed"))?;
        form.fill(&variables, "typed", "piped {{a}}", Path::new(""))
    }

    #[test]
    fn values_stand_where_their_names_stood_and_are_not_looked_through_again() {
        for (form, given, expected) in [
            ("no gaps", &[][..], "no gaps"),
            ("{{a}}{{ b-2 }}{{a}}", &["a=1", "b-2=x=y"], "1x=y1"),
            ("{{a}}", &["a={{stdin}} {{file:x}} {{a}}"], "{{stdin}} {{file:x}} {{a}}"),
            ("<{{stdin}}> {{prompt}}", &[], "<piped {{a}}> typed"),
            ("{{größe}}", &["größe="], ""),
            ("{{{a}}}", &["a=1"], "{1}"),
            (
                "{{}} {{ x.y }} {{a\n}} {a} {{ {{file:}} {% if %}",
                &[],
                "{{}} {{ x.y }} {{a\n}} {a} {{ {{file:}} {% if %}",
            ),
            ("{{ user.name }} {{a}", &[], "{{ user.name }} {{a}"),
        ] {
            assert_eq!(filled(form, given).as_deref(), Ok(expected), "{form}");
        }
    }

    #[test]
    fn a_value_that_the_head_gives_is_taken_where_no_other_is_given() {
        let mut text = text("{{tone}} {{to}}");
        text.head.variables = vec![("tone".into(), "kind".into())];
        let form = Form::of(&text);
        let fill = |given: &[&str]| {
            let given = variables(given);
            form.check(&given, None)?;
            form.fill(&given, "", "", Path::new(""))
        };
        assert_eq!(fill(&["to=Ada"]).as_deref(), Ok("kind Ada"));
        assert_eq!(fill(&["to=Ada", "tone=stern"]).as_deref(), Ok("stern Ada"));
        assert_eq!(fill(&[]), Err("`{{to}}` of the text `mail` has no value; add `--var to=TEXT`".into()));
        assert_eq!(form.begun(), "kind {{to}}");
    }

    #[test]
    fn what_is_missing_or_too_much_is_named_with_what_to_type() {
        for (form, given, expected) in [
            ("{{to}}", &[][..], "`{{to}}` of the text `mail` has no value; add `--var to=TEXT`"),
            (
                "{{to}} {{tone}} {{to}} {{x}}",
                &["x=1"],
                "`{{to}}`, `{{tone}}` of the text `mail` have no value; add `--var to=TEXT --var tone=TEXT`",
            ),
            (
                "{{to}}",
                &["to=a", "tone=b"],
                "the text `mail` has no `{{tone}}` (it has `{{to}}`); leave out `--var tone=…`",
            ),
            ("x", &["to=a"], "the text `mail` has no `{{to}}` (no values are put into it); leave out `--var to=…`"),
            ("{{to}}", &["to=a", "to=b"], "`--var to=…` is there twice; leave one out"),
        ] {
            assert_eq!(filled(form, given), Err(expected.into()), "{form}");
        }
        let (text, none) = (text("{{prompt}}"), Vec::new());
        assert!(Form::of(&text).check(&none, None).unwrap_err().contains("add `-p TEXT`"));
        for (given, expected) in [
            ("x", "NAME=TEXT"),
            ("=x", "NAME=TEXT"),
            ("a b=x", "NAME=TEXT"),
            ("stdin=x", "pipe it in"),
            ("prompt=x", "behind `-p`"),
        ] {
            assert!(given.parse::<Variable>().unwrap_err().contains(expected), "{given}");
        }
    }

    #[test]
    fn files_are_put_in_without_their_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a b.txt"), "one {{x}}\n").unwrap();
        let fill = |form: &str| Form::of(&text(form)).fill(&[], "", "", folder.path());
        assert_eq!(fill("<{{file: a b.txt }}>").as_deref(), Ok("<one {{x}}>"));
        assert!(fill("{{file:no.txt}}").unwrap_err().contains("no.txt"));
        let large = "x".repeat(1 << 20);
        assert!(
            Form::of(&text(&"{{stdin}}".repeat(100)))
                .fill(&[], "", &large, folder.path())
                .unwrap_err()
                .contains("64 MiB")
        );
    }
}
