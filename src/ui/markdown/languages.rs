//! The syntax definitions of languages: found by the name behind a fence, and kept while they are in use.
//!
//! The definitions alone are small (1 MiB for all, loaded in 2 ms), but syntect compiles a language's regular
//! expressions when they are first needed and keeps them as long as its [`SyntaxSet`]: 0.5 MiB for JSON, 9 for Rust, 57
//! for TypeScript. So each language in use has a set of its own, which goes when it was not used for a while.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use syntect::parsing::{ParseState, SyntaxSet};

use crate::engine::give_back_what_is_free;

/// What was not used for so long is forgotten. It takes 3 to 490 ms (JSON, TypeScript) to have it again.
const UNUSED_FOR: Duration = Duration::from_secs(60);
/// With one more, the one that was not used for the longest time is forgotten at once.
const MOST_IN_USE: usize = 4;

/// Other names of languages, and languages whose nearest relation has a definition.
const ALIASES: &[(&str, &[&str])] = &[
    ("asm", &["assembly", "x86asm", "nasm"]),
    ("bash", &["shell", "console", "shell-session", "shellsession", "terminal"]),
    ("bat", &["batch"]),
    ("c", &["hlsl"]),
    ("cpp", &["cuda"]),
    ("crontab", &["cron"]),
    ("cs", &["c#", "csharp"]),
    ("dockerfile", &["docker", "containerfile"]),
    ("dot", &["graphviz"]),
    ("f90", &["fortran", "fortran90"]),
    ("fs", &["f#", "fsharp"]),
    ("go", &["golang"]),
    ("html", &["astro", "handlebars", "hbs"]),
    ("jinja2", &["django", "html+jinja"]),
    ("js", &["mjs", "cjs", "node"]),
    ("json", &["jsonc", "json5", "jsonl", "ndjson", "geojson"]),
    ("lisp", &["elisp", "emacs-lisp", "scheme"]),
    ("lua", &["luau"]),
    ("m", &["objective-c", "objc", "objectivec"]),
    ("makefile", &["just", "justfile"]),
    ("matlab", &["octave"]),
    ("mm", &["objc++"]),
    ("py", &["py3", "python3", "gdscript", "starlark", "mojo"]),
    ("re", &["regex"]),
    ("sql", &["mysql", "postgresql", "postgres", "pgsql", "plsql", "sqlite", "tsql"]),
    ("tsx", &["jsx"]),
    ("vim", &["vimscript"]),
];

/// All definitions, with nothing compiled: what a language is called, and where it begins.
fn all() -> &'static SyntaxSet {
    static ALL: OnceLock<SyntaxSet> = OnceLock::new();
    ALL.get_or_init(two_face::syntax::extra_newlines)
}

/// A language that there is a definition of: its index in every set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Language(usize);

impl Language {
    /// The language for what stands after the fence: `rust`, `py`, `C++`, `rust,ignore`, `{.python}`, `js:app.js`.
    pub fn named(info: &str) -> Option<Self> {
        let name = info.trim_start_matches(['{', '.', ' ']).split([' ', '\t', ',', '{', '}', ':']).next()?;
        let name = name.to_ascii_lowercase();
        if matches!(name.as_str(), "" | "text" | "txt" | "plain" | "plaintext" | "output") {
            return None;
        }
        let known_as =
            ALIASES.iter().find(|(_, names)| names.contains(&name.as_str())).map_or(name.as_str(), |(known, _)| known);
        let found = all().find_syntax_by_token(known_as)?;
        all().syntaxes().iter().position(|syntax| std::ptr::eq(syntax, found)).map(Self)
    }

    /// Before the first line. What it says about places in the definitions holds for every set of them.
    pub fn start(self) -> ParseState {
        ParseState::new(&self.definitions().syntaxes()[self.0])
    }

    /// The definitions to read this language with.
    pub fn definitions(self) -> Arc<SyntaxSet> {
        in_use().get(self, Instant::now())
    }
}

/// Forgets what was not used for a while, and gives its memory back, which takes some milliseconds. Gives when to do
/// that again, if anything is left.
pub fn forget_unused(now: Instant) -> Option<Instant> {
    let (forgotten, due) = in_use().forget_unused(now);
    if forgotten > 0 {
        give_back_what_is_free();
    }
    due
}

fn in_use() -> MutexGuard<'static, InUse> {
    static IN_USE: Mutex<InUse> = Mutex::new(InUse(Vec::new()));
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The languages in use, the one used last at the end.
struct InUse(Vec<(Language, Arc<SyntaxSet>, Instant)>);

impl InUse {
    fn get(&mut self, language: Language, now: Instant) -> Arc<SyntaxSet> {
        let known = self.0.iter().position(|(known, ..)| *known == language);
        let set = match known {
            Some(index) => self.0.remove(index).1,
            None => Arc::new(all().clone()),
        };
        self.0.push((language, Arc::clone(&set), now));
        let too_many = self.0.len().saturating_sub(MOST_IN_USE);
        self.0.drain(..too_many);
        set
    }

    /// How many were forgotten, and when the next one may be.
    fn forget_unused(&mut self, now: Instant) -> (usize, Option<Instant>) {
        let before = self.0.len();
        self.0.retain(|(.., used)| now.saturating_duration_since(*used) < UNUSED_FOR);
        (before - self.0.len(), self.0.first().map(|(.., used)| *used + UNUSED_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that models put behind a fence, of languages there is a definition or a near relation for.
    const NAMES: &str = "rust rs python py py3 python3 javascript js mjs cjs jsx node typescript ts mts \
        tsx json jsonc json5 ndjson jsonl geojson yaml yml toml html htm xhtml html+jinja jinja \
        jinja2 django css scss sass less sql mysql postgresql pgsql plsql sqlite bash sh shell \
        console zsh shell-session fish bat batch cmd c h cpp c++ cc hpp cxx C++ \
        csharp c# cs java kotlin kt kts swift go golang ruby rb erb php perl \
        pl lua luau r R haskell hs elixir ex exs erlang erl scala sbt dart \
        zig nim nix crystal make makefile mk cmake dockerfile docker containerfile diff patch markdown md \
        rst asciidoc xml svg latex tex bibtex ini cfg properties env dotenv graphql gql proto \
        protobuf terraform tf hcl vim viml vimscript objective-c objc objectivec objc++ fsharp f# fs ocaml \
        ml clojure clj lisp elisp emacs-lisp scheme racket julia jl matlab octave fortran f90 fortran90 \
        pascal ada asm nasm assembly x86asm verilog systemverilog sv vhdl glsl hlsl wgsl cuda groovy \
        gradle jenkinsfile d coffeescript coffee vue svelte astro twig haml slim handlebars hbs nginx csv \
        tsv http awk regex re gitignore gitconfig crontab cron fstab desktop dot graphviz solidity sol \
        qml robot puppet pp just justfile ninja bazel starlark bzl gdscript tcl elm purescript idris \
        lean applescript cabal log strace typst jsonnet rego org textile wiki man groff llvm cpuinfo \
        requirements.txt go.mod";

    #[test]
    fn over_a_hundred_languages_are_known_by_the_names_that_models_use() {
        let unknown: Vec<_> = NAMES.split_whitespace().filter(|name| Language::named(name).is_none()).collect();
        assert_eq!(unknown, [""; 0]);
        let mut languages: Vec<_> =
            NAMES.split_whitespace().filter_map(Language::named).map(|language| language.0).collect();
        languages.sort_unstable();
        languages.dedup();
        assert!(languages.len() >= 100, "{}", languages.len());
        for info in ["rust,ignore", "{.python}", "python:app.py", "```rust title=\"x\"", "RUST"] {
            assert!(Language::named(info.trim_start_matches('`')).is_some(), "{info}");
        }
    }

    #[test]
    fn a_language_is_forgotten_a_minute_after_it_was_used_last() {
        let (rust, python) = (Language::named("rust").unwrap(), Language::named("python").unwrap());
        let mut in_use = InUse(Vec::new());
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let first = in_use.get(rust, start);
        in_use.get(python, after(10));
        assert!(Arc::ptr_eq(&first, &in_use.get(rust, after(30))), "it is compiled once");
        assert_eq!(in_use.forget_unused(after(69)), (0, Some(after(70))));
        assert_eq!(in_use.forget_unused(after(70)), (1, Some(after(90))));
        assert_eq!(in_use.forget_unused(after(90)), (1, None));
        assert_eq!(Arc::strong_count(&first), 1, "nobody else holds what is compiled");
    }

    #[test]
    fn of_many_languages_those_used_last_are_kept() {
        let names = ["rust", "python", "js", "html", "cpp", "bash"];
        let languages = names.map(|name| Language::named(name).unwrap());
        let mut in_use = InUse(Vec::new());
        languages.iter().for_each(|language| drop(in_use.get(*language, Instant::now())));
        let kept: Vec<_> = in_use.0.iter().map(|(language, ..)| *language).collect();
        assert_eq!(kept, languages[2..]);
    }
}
