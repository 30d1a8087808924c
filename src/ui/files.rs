//! The files that a path may mean while it is being written: those of a folder and of the folders in it, but for what
//! `.gitignore` names, hidden ones and caches.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ignore::WalkBuilder;

use crate::documents::is_noise;
use crate::text_file::at_home;

/// In a folder of any size this is over soon, and what was found until then is shown.
const MOST_ENTRIES: usize = 20_000;
const MOST_TIME: Duration = Duration::from_millis(300);
const MOST_DEPTH: usize = 8;

/// What is to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// As it was written, with the slash at its end; nothing is the working folder.
    pub path: String,
    /// Hidden files, too.
    pub hidden: bool,
}

impl Folder {
    /// The folder in which a path lies that is being written.
    pub fn of(typed: &str) -> Self {
        let (path, name) = typed.rfind('/').map_or(("", typed), |slash| typed.split_at(slash + 1));
        Self { path: path.to_owned(), hidden: name.starts_with('.') }
    }

    /// The paths in it as they would be written; folders end with a slash. What lies in it comes first.
    pub fn list(&self) -> Vec<String> {
        let root = if self.path.is_empty() { PathBuf::from(".") } else { at_home(Path::new(&self.path)) };
        let deadline = Instant::now() + MOST_TIME;
        let mut near = self.walk(&root, 1, deadline);
        near.sort_by_key(|path| (!path.ends_with('/'), path.to_lowercase()));
        let is_far = self.path.starts_with(['/', '~']) || self.path.starts_with("..");
        if !is_far {
            let inside = |path: &String| path[self.path.len()..].trim_end_matches('/').contains('/');
            near.extend(self.walk(&root, MOST_DEPTH, deadline).into_iter().filter(inside));
        }
        near
    }

    fn walk(&self, root: &Path, depth: usize, deadline: Instant) -> Vec<String> {
        let mut walk = WalkBuilder::new(root);
        walk.hidden(!self.hidden).require_git(false).max_depth(Some(depth)).filter_entry(|entry| !is_noise(entry));
        let mut paths = Vec::new();
        for entry in walk.build().flatten().skip(1).take(MOST_ENTRIES) {
            if Instant::now() >= deadline {
                break;
            }
            let Ok(inner) = entry.path().strip_prefix(root) else { continue };
            let Some(inner) = inner.to_str() else { continue };
            let slash = if entry.path().is_dir() { "/" } else { "" };
            paths.push(format!("{}{inner}{slash}", self.path));
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "notes.txt",
            "src/main.rs",
            "src/ui/theme.rs",
            ".secret",
            "target/CACHEDIR.TAG",
            "out/big.bin",
            ".git/HEAD",
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::fs::write(root.path().join(".gitignore"), "out/\n").unwrap();
        root
    }

    fn list(path: &str) -> Vec<String> {
        let names = Folder::of(path).list();
        let folder = Folder::of(path).path;
        names.into_iter().map(|name| name.strip_prefix(&folder).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_folder_has_its_files_and_folders_but_nothing_hidden_or_ignored() {
        let root = tree();
        assert_eq!(list(&format!("{}/", root.path().display())), ["src/", "notes.txt"]);
        assert_eq!(list(&format!("{}/no", root.path().display())), ["src/", "notes.txt"]);
        let hidden = list(&format!("{}/.", root.path().display()));
        assert!(hidden.contains(&".secret".to_owned()) && !hidden.contains(&".git/".to_owned()), "{hidden:?}");
        assert!(list("/no/such/folder/").is_empty());
    }

    #[test]
    fn below_the_working_folder_files_of_inner_folders_are_found_too() {
        let names = Folder::of("src/ui/").list();
        assert!(names.contains(&"src/ui/files.rs".to_owned()), "{names:?}");
        assert!(names.contains(&"src/ui/app/mod.rs".to_owned()), "{names:?}");
        assert!(
            names.iter().position(|name| name == "src/ui/app/")
                < names.iter().position(|name| name == "src/ui/files.rs")
        );
    }

    #[test]
    fn the_folder_of_a_path_is_what_stands_before_its_last_slash() {
        for (typed, path, hidden) in [("", "", false), ("a", "", false), ("a/b", "a/", false), ("~/.c", "~/", true)] {
            assert_eq!(Folder::of(typed), Folder { path: path.into(), hidden }, "{typed}");
        }
    }
}
