//! The control group that limits this process's memory, in version 2 of control groups and in version 1.

use std::path::{Path, PathBuf};

/// Which files tell what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

/// A group, by its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub version: Version,
    folder: PathBuf,
    /// The folder of the group that is above all others.
    mounted: PathBuf,
}

impl Group {
    /// The one that limits the memory of this process, by the files below `root`; `None` if there is none.
    pub fn of_memory(root: &Path) -> Option<Self> {
        let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let first = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|controller| controller == "memory").then_some(path)
        });
        let (version, path) = match first {
            Some(path) => (Version::One, path),
            None => (Version::Two, groups.lines().find_map(|line| line.strip_prefix("0::"))?),
        };
        let mounted = root.join(match version {
            Version::One => "sys/fs/cgroup/memory",
            Version::Two => "sys/fs/cgroup",
        });
        Some(Self { version, folder: mounted.join(path.trim_start_matches('/')), mounted })
    }

    /// Its folder and those of the groups above it. In a container some may not be there: the path is that outside.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folder.ancestors().take_while(|folder| folder.starts_with(&self.mounted))
    }

    /// What the first of these groups says in a file, from this one upwards.
    pub fn read(&self, name: &str) -> Option<String> {
        self.folders().find_map(|folder| std::fs::read_to_string(folder.join(name)).ok())
    }
}

/// The number behind a name in lines of `name number`.
pub fn number_of(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}
