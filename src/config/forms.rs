//! What an answer is held to, as a setting says it: the text itself, a file that holds it, or the short form of a schema;
//! and where it was said, for messages.

use std::path::{Path, PathBuf};

use crate::engine::constraint::schema_of;
use crate::text_file;

/// What takes back a schema or a grammar that a lower layer sets.
pub const OFF: &str = "off";

/// A schema or a grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub text: String,
    /// The file that it was read from.
    pub file: Option<PathBuf>,
}

impl Form {
    fn typed(text: impl Into<String>) -> Self {
        Self { text: text.into(), file: None }
    }

    /// Where it is from, as a message goes on behind its name: `in x.json (--schema)`.
    pub fn origin(&self, setting: &str) -> String {
        match &self.file {
            Some(file) => format!("in `{}` ({setting})", file.display()),
            None => format!("of {setting}"),
        }
    }
}

/// The JSON schema that a setting means: it is the schema, a file, or the short form. A file is what begins with an `@`,
/// has a `/` in it or ends with `.json`, whatever files there are; a relative path begins at `folder`.
///
/// # Errors
/// If it is none of them.
pub fn schema(setting: &str, folder: &Path) -> Result<Form, String> {
    if setting.trim_start().starts_with('{') {
        return Ok(Form::typed(setting));
    }
    let is_path = setting.starts_with('@') || setting.contains('/') || setting.ends_with(".json");
    if is_path {
        return read(setting, folder);
    }
    if serde_json::from_str::<serde_json::Value>(setting)
        .is_ok_and(|it| it.is_boolean() || it.is_null() || it.is_number())
    {
        return Err(format!("`{setting}` is JSON, and no schema; `tuichat help schema` shows what one is"));
    }
    let instead = match is_file_too(setting, folder) {
        true => format!("`@{setting}` takes the file of that name"),
        false => "`tuichat help schema` explains it".into(),
    };
    schema_of(setting)
        .map(Form::typed)
        .map_err(|problem| format!("as the short form of a schema, `{setting}` is wrong {problem}; {instead}"))
}

/// Whether a file has the name that is taken as a short form.
pub fn is_file_too(setting: &str, folder: &Path) -> bool {
    let is_named = !setting.starts_with(['@', '{', '[']) && !setting.contains('/') && !setting.ends_with(".json");
    is_named && folder.join(setting).is_file()
}

/// The grammar that a setting means: it is the grammar, or the name of a file with or without an `@`. A relative path
/// begins at `folder`.
///
/// # Errors
/// If the file cannot be read.
pub fn grammar(setting: &str, folder: &Path) -> Result<Form, String> {
    if setting.contains("::=") && !setting.starts_with('@') {
        return Ok(Form::typed(setting));
    }
    let is_text = setting.contains([' ', '"', '\n']);
    read(setting, folder).map_err(|problem| {
        if is_text { format!("{problem}; a grammar that is typed has `root ::= …` in it") } else { problem }
    })
}

/// The file that a setting names, with or without an `@`.
fn read(setting: &str, folder: &Path) -> Result<Form, String> {
    let path = file_named(setting.strip_prefix('@').unwrap_or(setting), folder)?;
    let text = text_file::read(&path)?;
    // An empty one would hold the answer to nothing.
    if text.trim().is_empty() {
        return Err(format!("`{}` is empty", path.display()));
    }
    Ok(Form { text, file: Some(path) })
}

/// The path behind an `@`.
///
/// # Errors
/// If nothing stands there.
pub fn file_named(name: &str, folder: &Path) -> Result<PathBuf, String> {
    match name.trim() {
        "" => Err("no file is named behind the `@`".into()),
        _ => Ok(folder.join(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grammar_is_text_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("list.gbnf"), "root ::= \"b\"").unwrap();
        let read = |setting: &str| grammar(setting, folder.path()).map(|form| form.text);
        assert_eq!(read("root ::= \"a\""), Ok("root ::= \"a\"".into()));
        assert_eq!(read("list.gbnf"), Ok("root ::= \"b\"".into()));
        assert_eq!(read("@list.gbnf"), read("list.gbnf"));
        assert!(read("root = \"a\"").unwrap_err().ends_with("a grammar that is typed has `root ::= …` in it"));
        assert!(read("no.gbnf").unwrap_err().ends_with("no such file or directory"));
        assert_eq!(read("@"), Err("no file is named behind the `@`".into()));
    }

    #[test]
    fn whether_a_schema_is_a_file_depends_on_its_name_and_not_on_the_files_there_are() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["name", "person.json", "s.schema"] {
            std::fs::write(folder.path().join(name), "{\"type\":\"null\"}").unwrap();
        }
        let read = |setting: &str| schema(setting, folder.path());
        let file = |name: &str| Ok(Form { text: "{\"type\":\"null\"}".into(), file: Some(folder.path().join(name)) });
        assert_eq!(read("person.json"), file("person.json"));
        assert_eq!(read("@name"), file("name"));
        assert_eq!(read("./name"), file("./name"));
        assert_eq!(read("name").unwrap().file, None);
        assert_eq!(read("name").unwrap().text, schema_of("name").unwrap());
        assert!(is_file_too("name", folder.path()) && !is_file_too("other", folder.path()));
        assert!(!is_file_too("person.json", folder.path()) && !is_file_too("@name", folder.path()));
        let problem = read("s.schema").unwrap_err();
        assert!(problem.ends_with("`@s.schema` takes the file of that name"), "{problem}");
        assert!(read("age imt").unwrap_err().ends_with("`tuichat help schema` explains it"));
        assert_eq!(read("@"), Err("no file is named behind the `@`".into()));
    }

    #[test]
    fn where_a_form_is_from_is_told_with_its_file() {
        let form = Form { text: "{}".into(), file: Some("x.json".into()) };
        assert_eq!(form.origin("`--schema`"), "in `x.json` (`--schema`)");
        assert_eq!(Form::typed("{}").origin("`TUICHAT_SCHEMA`"), "of `TUICHAT_SCHEMA`");
    }
}
