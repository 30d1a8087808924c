//! Texts that are used again and again: some come with the program, others lie as `NAME.md` in a folder of the
//! person's, where one of the same name replaces one that comes with the program.

mod filling;
mod head;

use std::path::Path;

pub use filling::{Form, Variable};
pub use head::Head;

use crate::text::plain::meant;
use crate::text_file;

/// More than anybody keeps.
const MOST: usize = 500;

/// A text with a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptText {
    pub name: String,
    pub head: Head,
    pub text: String,
}

impl PromptText {
    /// What it is for, or its first line that says something.
    pub fn beginning(&self) -> &str {
        if let Some(description) = &self.head.description {
            return description;
        }
        self.text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
    }
}

const INCLUDED: [(&str, &str); 5] = [
    ("explain", include_str!("../assets/prompts/explain.md")),
    ("proofread", include_str!("../assets/prompts/proofread.md")),
    ("review", include_str!("../assets/prompts/review.md")),
    ("summarize", include_str!("../assets/prompts/summarize.md")),
    ("translate", include_str!("../assets/prompts/translate.md")),
];

/// All texts by their names, and a sentence for each file that cannot be read.
pub fn all(folder: &Path) -> (Vec<PromptText>, Vec<String>) {
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST);
    for path in entries.map(|entry| entry.path()) {
        let Some(name) = name(&path) else { continue };
        let read = text_file::read(&path).and_then(|text| {
            head::split(&text, folder).map_err(|problem| format!("`{}` is not used: {problem}", path.display()))
        });
        match read {
            Ok((head, text)) => texts.push(PromptText { name, head, text }),
            Err(problem) => problems.push(problem),
        }
    }
    for (name, text) in INCLUDED {
        if texts.iter().all(|own| own.name != name) {
            texts.push(PromptText { name: name.into(), text: text.into(), ..PromptText::default() });
        }
    }
    texts.sort_by(|one, other| one.name.cmp(&other.name));
    (texts, problems)
}

/// The text of this name.
///
/// # Errors
/// Which there are instead, or why it cannot be read.
pub fn find(folder: &Path, name: &str) -> Result<PromptText, String> {
    let (texts, problems) = all(folder);
    let names: Vec<String> = texts.iter().map(|text| format!("`{}`", text.name)).collect();
    let near = meant(name, texts.iter().map(|text| text.name.as_str())).map(str::to_owned);
    if let Some(text) = texts.into_iter().find(|text| text.name == name) {
        return Ok(text);
    }
    let file = format!("`{}`", folder.join(format!("{name}.md")).display());
    Err(problems.iter().find(|problem| problem.starts_with(&file)).cloned().unwrap_or_else(|| match near {
        Some(near) => format!("there is no text `{name}`; `{near}` may be meant"),
        None => format!(
            "there is no text `{name}`; there are {}, and what lies in {} as `NAME.md`{}",
            names.join(", "),
            folder.display(),
            problems.iter().map(|problem| format!(" ({problem})")).collect::<String>()
        ),
    }))
}

/// The name of the text in a file, if it is one.
fn name(path: &Path) -> Option<String> {
    let is_text = path.extension().is_some_and(|extension| extension == "md");
    is_text.then(|| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_person_stand_beside_those_of_the_program_and_replace_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
        write("mail.md", b"\nAnswer this mail\n");
        write("review.md", b"Be kind");
        write("notes.txt", b"no prompt");
        write("broken.md", b"\xff");
        let (texts, problems) = all(folder.path());
        let names: Vec<&str> = texts.iter().map(|text| text.name.as_str()).collect();
        assert_eq!(names, ["explain", "mail", "proofread", "review", "summarize", "translate"]);
        assert_eq!(texts[1].beginning(), "Answer this mail");
        write("mail.md", b"+++\ndescription = \"Reply\"\n+++\nAnswer this mail\n");
        write("odd.md", b"+++\nAnswer\n");
        let (again, told) = all(folder.path());
        assert_eq!((again[1].beginning(), again[1].text.as_str()), ("Reply", "Answer this mail\n"));
        assert!(told.iter().any(|problem| problem.contains("odd.md` is not used: its head")), "{told:?}");
        assert_eq!(texts[3].text, "Be kind");
        assert!(matches!(&problems[..], [problem] if problem.contains("broken.md")), "{problems:?}");
    }

    #[test]
    fn a_text_is_found_by_its_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broken.md"), b"\xff").unwrap();
        assert!(find(folder.path(), "review").unwrap().text.starts_with("Review"));
        let near = find(folder.path(), "sumarize").unwrap_err();
        assert_eq!(near, "there is no text `sumarize`; `summarize` may be meant");
        let problem = find(folder.path(), "rev").unwrap_err();
        assert!(
            problem.contains("there is no text `rev`; there are `explain`, ") && problem.contains("UTF-8"),
            "{problem}"
        );
    }

    #[test]
    fn without_a_folder_there_are_those_of_the_program() {
        assert_eq!(all(Path::new("/no/such/folder")).0.len(), INCLUDED.len());
    }
}
