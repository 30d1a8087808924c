//! What may be compared: a run that is kept, a file of one, or what llama-bench printed.

use std::path::Path;

use super::llama_bench;
use crate::bench::history::History;
use crate::bench::record::Run;
use crate::exit::Failure;
use crate::text::cause;

/// Larger files are none of these.
const MOST_BYTES: u64 = 256 << 20;

/// The run that a person means by a name: a file, the ID of a run or its beginning, or `last`.
///
/// # Errors
/// If there is none, or it is something else.
pub fn find(name: &str, history: &History) -> Result<Run, Failure> {
    let path = Path::new(name);
    if path.is_file() { read(path) } else { read(&history.find(name)?) }
}

/// The run in a file.
///
/// # Errors
/// If it cannot be read, or is none.
pub fn read(path: &Path) -> Result<Run, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::disk(format!("cannot read {shown}: {}", cause(&error)));
    if std::fs::metadata(path).map_err(failed)?.len() > MOST_BYTES {
        return Err(Failure::usage(format!("{shown} is too large to be a run")));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parse(&bytes, &name).map_err(|words| {
        let hint =
            "give a run of `tuichat bench` (`tuichat bench list` shows them), or a file of `llama-bench -o json`";
        Failure::usage(format!("{shown} is no run of `tuichat bench` and none of llama-bench: {words}")).hint(hint)
    })
}

fn parse(bytes: &[u8], name: &str) -> Result<Run, String> {
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.iter().all(u8::is_ascii_whitespace));
    let first: Option<serde_json::Value> = first.and_then(|line| serde_json::from_slice(line).ok());
    if first.is_some_and(|line| line.get("record").is_some()) {
        return Run::parse(bytes).map(|(run, _)| run);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    llama_bench::read(text, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Line;
    use crate::bench::reports::examples;

    #[test]
    fn files_of_both_programs_are_known_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let run = examples::depth();
        let lines: String = run.lines().iter().map(Line::to_text).collect();
        assert_eq!(read(&path("ours.json", &lines)), Ok(run));
        let theirs = r#"{"model_filename": "a.gguf", "n_gen": 8, "avg_ts": 1.0}"#;
        assert_eq!(read(&path("theirs.jsonl", theirs)).unwrap().cases[0].test, "tg8");
        for text in ["", "hello\n", "{\"record\":\"case\"}\n", "[1]", "\u{0}\n"] {
            let failure = read(&path("bad", text)).unwrap_err();
            assert!(failure.message.contains("is no run") && failure.hint.is_some(), "{text}: {}", failure.message);
        }
        assert!(read(&folder.path().join("none")).unwrap_err().message.contains("cannot read"));
    }
}
