//! Code, tables and data are told in a block of Markdown with the name of their language, as models have seen them.

use std::path::Path;

/// What stands behind a fence, and the ends of the names of such files; names that have no end stand whole.
const LANGUAGES: [(&str, &[&str]); 44] = [
    ("bash", &["sh", "bash", "zsh"]),
    ("c", &["c", "h"]),
    ("clojure", &["clj", "cljs"]),
    ("cmake", &["cmake"]),
    ("cpp", &["cc", "cpp", "cxx", "hh", "hpp"]),
    ("csharp", &["cs"]),
    ("css", &["css", "scss"]),
    ("csv", &["csv"]),
    ("dart", &["dart"]),
    ("diff", &["diff", "patch"]),
    ("dockerfile", &["Dockerfile", "Containerfile"]),
    ("elixir", &["ex", "exs"]),
    ("erlang", &["erl"]),
    ("fish", &["fish"]),
    ("go", &["go"]),
    ("haskell", &["hs"]),
    ("ini", &["ini", "cfg"]),
    ("java", &["java"]),
    ("javascript", &["js", "mjs", "cjs", "jsx"]),
    ("json", &["json", "jsonl", "ndjson", "ipynb"]),
    ("julia", &["jl"]),
    ("kotlin", &["kt", "kts"]),
    ("latex", &["tex"]),
    ("lua", &["lua"]),
    ("makefile", &["Makefile", "mk"]),
    ("nim", &["nim"]),
    ("ocaml", &["ml", "mli"]),
    ("perl", &["pl", "pm"]),
    ("php", &["php"]),
    ("powershell", &["ps1"]),
    ("protobuf", &["proto"]),
    ("python", &["py", "pyi"]),
    ("r", &["r", "R"]),
    ("ruby", &["rb"]),
    ("rust", &["rs"]),
    ("scala", &["scala"]),
    ("sql", &["sql"]),
    ("swift", &["swift"]),
    ("toml", &["toml"]),
    ("tsv", &["tsv"]),
    ("typescript", &["ts", "tsx"]),
    ("xml", &["xml", "svg"]),
    ("yaml", &["yaml", "yml"]),
    ("zig", &["zig"]),
];

/// The text of a file, in a block if it is code.
pub fn fenced(path: &Path, text: String) -> String {
    let Some(language) = language(path).filter(|_| !text.trim().is_empty()) else { return text };
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{line_end}{fence}")
}

fn language(path: &Path) -> Option<&'static str> {
    let end = path.extension().or(path.file_name())?.to_str()?;
    LANGUAGES.iter().find(|(_, ends)| ends.contains(&end)).map(|(language, _)| *language)
}

/// How many backticks follow each other where they are the most.
fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_longer_than_those_in_the_text() {
        let told = fenced(Path::new("a/b.rs"), "/// ```\n/// ````".into());
        assert_eq!(told, "`````rust\n/// ```\n/// ````\n`````");
    }

    #[test]
    fn the_language_is_told_by_the_name() {
        for (name, expected) in
            [("Makefile", Some("makefile")), ("x/y.tsx", Some("typescript")), ("notes.txt", None), ("README", None)]
        {
            assert_eq!(language(Path::new(name)), expected, "{name}");
        }
        assert_eq!(fenced(Path::new("empty.py"), "\n".into()), "\n");
    }
}
