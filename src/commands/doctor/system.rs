//! What an examination looks at: files below a root, and the environment. Tests bring their own.

use std::path::{Path, PathBuf};

use crate::models::shell_word;
use crate::text::escape_line;

/// The system that is examined.
#[derive(Clone, Copy)]
pub struct System<'a> {
    /// `/` but in tests.
    pub root: &'a Path,
    /// The values of environment variables.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    pub home: Option<&'a Path>,
}

impl System<'_> {
    /// A variable that is set, and not to nothing.
    pub fn set(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// Those of these variables that are set.
    pub fn all_set<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        names.iter().copied().filter(|name| self.set(name).is_some()).collect()
    }

    /// The text of a file of the system, without white space around it.
    pub fn read(&self, path: &str) -> Option<String> {
        // Device trees end their texts with a zero.
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim_matches(|each: char| each.is_whitespace() || each == '\0').to_owned())
    }

    /// A path as it is shown: from the home on, if it is there.
    pub fn shown(&self, path: &Path) -> String {
        let below_home = self.home.and_then(|home| path.strip_prefix(home).ok());
        match below_home {
            Some(rest) if !rest.as_os_str().is_empty() => escape_line(&format!("~/{}", rest.display())),
            _ => escape_line(&path.display().to_string()),
        }
    }
}

/// A path as it is typed in a command.
pub fn typed(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// The path, or the nearest above it that there is.
pub fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Names as a sentence lists them: `a`, `b` and `c`.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

#[cfg(test)]
pub mod fixture {
    use super::*;

    /// Files of a system, and its variables.
    pub struct Fixture {
        pub root: tempfile::TempDir,
        variables: Vec<(&'static str, &'static str)>,
    }

    impl Fixture {
        pub fn new(files: &[(&str, &str)], variables: &[(&'static str, &'static str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self { root, variables: variables.to_vec() }
        }

        pub fn examine<T>(&self, work: impl FnOnce(&System<'_>) -> T) -> T {
            let find = |name: &str| {
                self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            work(&System { root: self.root.path(), variable: &find, home: Some(Path::new("/home/me")) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_path_is_shown_from_the_home_on_and_without_commands_to_the_terminal() {
        Fixture::new(&[], &[]).examine(|system| {
            assert_eq!(system.shown(Path::new("/home/me/.cache/x")), "~/.cache/x");
            assert_eq!(system.shown(Path::new("/home/me")), "/home/me");
            assert_eq!(system.shown(Path::new("/home/meadow\x1b[2J")), "/home/meadow<U+001B>[2J");
        });
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        Fixture::new(&[], &[("A", ""), ("B", "1")]).examine(|system| {
            assert_eq!(system.all_set(&["A", "B", "C"]), ["B"]);
        });
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }

    #[test]
    fn the_nearest_folder_that_is_there_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
    }
}
