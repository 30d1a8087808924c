//! The disk: where models, chats and the cache lie, how much room there is, and who may read and write there.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::finding::{Finding, Section, object};
use super::system::{System, existing, typed};
use crate::config::Directories;
use crate::hardware::volume::{Kind, Nature, Volume};
use crate::platform::files;
use crate::text::file_size;

/// Less than this, and there is no room for a model.
const LITTLE_FOR_MODELS: u64 = 1 << 30;
/// Less than this, and chats may soon not be saved.
const LITTLE_FOR_CHATS: u64 = 100 << 20;

/// What a folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Models,
    Chats,
    Cache,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Chats => "chats",
            Self::Cache => "cache",
        }
    }
}

/// A folder and what holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    purpose: Purpose,
    folder: PathBuf,
    exists: bool,
    free_bytes: Option<u64>,
    #[serde(serialize_with = "name_of_kind")]
    file_system: Option<Kind>,
    is_read_only: bool,
    is_writable: bool,
    /// Something that is no folder stands there, or in its way.
    is_blocked: bool,
    /// The rights, of a folder that is there: 0o700.
    mode: Option<u32>,
    #[serde(skip)]
    has_other_owner: bool,
    /// Files in it that others may read or that belong to somebody else.
    #[serde(skip)]
    odd_files: Vec<OddFile>,
}

/// A file that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
enum OddFile {
    Readable(PathBuf),
    OfOthers(PathBuf),
}

fn name_of_kind<S: Serializer>(kind: &Option<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    kind.map(|kind| kind.name).serialize(serializer)
}

/// Looks at the folders. Nothing is made.
pub fn places(directories: &Directories) -> Vec<Place> {
    let private = [directories.chats_file()];
    vec![
        Place::read(Purpose::Models, &directories.models, &[]),
        Place::read(Purpose::Chats, &directories.data, &private),
        Place::read(Purpose::Cache, &directories.cache, &[]),
    ]
}

impl Place {
    fn read(purpose: Purpose, folder: &Path, private: &[PathBuf]) -> Self {
        let nearest = existing(folder);
        let volume = Volume::of(&nearest).ok();
        let metadata = folder.metadata().ok().filter(std::fs::Metadata::is_dir);
        let may_write = files::may_write_in(&nearest);
        let is_read_only = volume.as_ref().is_some_and(|volume| volume.is_read_only);
        Self {
            purpose,
            folder: folder.to_owned(),
            exists: metadata.is_some(),
            free_bytes: volume.as_ref().map(|volume| volume.free_bytes),
            file_system: volume.and_then(|volume| volume.kind),
            is_read_only,
            is_writable: may_write && !is_read_only,
            is_blocked: !nearest.is_dir(),
            mode: metadata.as_ref().and_then(files::rights),
            has_other_owner: metadata.is_some_and(|metadata| files::is_of_others(&metadata)),
            odd_files: private.iter().filter_map(|file| odd(file)).collect(),
        }
    }

    fn fact(&self, system: &System<'_>) -> (&'static str, String) {
        let free = self.free_bytes.map_or("room unknown".into(), |bytes| format!("{} free", file_size(bytes)));
        let kind = self.file_system.map(|kind| format!(" ({})", kind.name)).unwrap_or_default();
        let missing = if self.exists { "" } else { ", not made yet" };
        (self.purpose.word(), format!("{}, {free}{kind}{missing}", system.shown(&self.folder)))
    }

    fn findings(&self, system: &System<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.not_writable(system));
        findings.extend(self.full());
        findings.extend(self.nature());
        findings.extend(self.rights(system));
        findings
    }

    fn not_writable(&self, system: &System<'_>) -> Option<Finding> {
        let shown = system.shown(&self.folder);
        let choose = "choose another folder with `TUICHAT_HOME=FOLDER`";
        if self.is_blocked {
            return Some(Finding::problem(
                format!("`{shown}` cannot be a folder: something else has its name, or that of a folder above it"),
                format!("look with `{} {}`, or {choose}", files::SHOWS_RIGHTS, typed(&existing(&self.folder))),
            ));
        }
        if self.is_writable {
            return None;
        }
        let what = match self.is_read_only {
            true => format!("`{shown}` is on a file system that is mounted read-only"),
            false => format!("`{shown}` cannot be written by you"),
        };
        let remedy = format!("look with `{} {}`, or {choose}", files::SHOWS_RIGHTS, typed(&existing(&self.folder)));
        Some(match self.purpose {
            Purpose::Chats => Finding::problem(
                format!("{what}: chats cannot be saved"),
                format!("{remedy}; `tuichat --private` chats without saving"),
            ),
            Purpose::Models => Finding::warning(format!("{what}: no model can be installed"), remedy),
            Purpose::Cache => Finding::warning(format!("{what}: nothing that was computed is kept"), remedy),
        })
    }

    fn full(&self) -> Option<Finding> {
        let free = self.free_bytes.filter(|_| self.is_writable && !self.is_blocked)?;
        match self.purpose {
            Purpose::Models if free < LITTLE_FOR_MODELS => Some(Finding::warning(
                format!("only {} are free for models", file_size(free)),
                "`tuichat models list` shows what takes room, `tuichat models rm NAME` removes one",
            )),
            Purpose::Chats if free < LITTLE_FOR_CHATS => Some(Finding::problem(
                format!("only {} are free where the chats are, and soon they cannot be saved", file_size(free)),
                "make room on that disk, or choose another with `TUICHAT_HOME=FOLDER`",
            )),
            _ => None,
        }
    }

    fn nature(&self) -> Option<Finding> {
        let Kind { name, nature } = self.file_system?;
        let finding = |what: &str, remedy: &str| Some(Finding::note(format!("{what} ({name})"), remedy));
        match (nature, self.purpose) {
            (Nature::Network | Nature::Shared, Purpose::Models) => finding(
                "the models are on a file system that is not this machine's own, so loading one may be slow",
                "copy those that you use to a disk of this machine with `tuichat models import FILE`, under a \
                 `TUICHAT_HOME` there",
            ),
            (Nature::Network | Nature::Shared, Purpose::Chats) => finding(
                "the chats are on a file system on which SQLite's locks may not work; two programs at once may damage \
                 them there",
                "keep them on a disk of this machine: `TUICHAT_HOME=FOLDER`",
            ),
            (Nature::Memory, Purpose::Models | Purpose::Chats) => Some(Finding::warning(
                format!("the {} are in memory ({name}), and are gone after a restart", self.purpose.word()),
                "keep them on a disk: `TUICHAT_HOME=FOLDER`",
            )),
            (Nature::Foreign, Purpose::Models) if name == "FAT" => finding(
                "the models are on a file system that holds no file above 4 GiB",
                "use a disk with another file system for larger models: `TUICHAT_HOME=FOLDER`",
            ),
            (Nature::Foreign, Purpose::Chats) => finding(
                "the chats are on a file system that keeps nobody from reading them",
                "keep them on a disk of this machine, if others use it: `TUICHAT_HOME=FOLDER`",
            ),
            _ => None,
        }
    }

    fn rights(&self, system: &System<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let knows_owners = self.file_system.is_none_or(|kind| kind.nature != Nature::Foreign);
        if !knows_owners {
            return findings;
        }
        let shown = system.shown(&self.folder);
        if self.has_other_owner {
            findings.push(Finding::warning(
                format!("`{shown}` belongs to another user, perhaps because of `sudo`"),
                format!("`sudo chown -R \"$(id -un)\" {}` gives it to you", typed(&self.folder)),
            ));
        }
        if self.purpose == Purpose::Chats
            && let Some(mode) = self.mode.filter(|mode| mode & 0o077 != 0)
        {
            findings.push(Finding::warning(
                format!("others may look into the folder of the chats, `{shown}` (rights {mode:o})"),
                format!("`chmod 700 {}`", typed(&self.folder)),
            ));
        }
        findings.extend(self.odd_files.iter().map(|odd| match odd {
            OddFile::Readable(file) => Finding::warning(
                format!("others may read `{}`", system.shown(file)),
                format!("`chmod 600 {}`", typed(file)),
            ),
            OddFile::OfOthers(file) => Finding::warning(
                format!("`{}` belongs to another user, perhaps because of `sudo`", system.shown(file)),
                format!("`sudo chown \"$(id -un)\" {}` gives it to you", typed(file)),
            ),
        }));
        findings
    }
}

fn odd(file: &Path) -> Option<OddFile> {
    let metadata = file.metadata().ok()?;
    if files::is_of_others(&metadata) {
        return Some(OddFile::OfOthers(file.to_owned()));
    }
    files::rights(&metadata).filter(|rights| rights & 0o077 != 0).map(|_| OddFile::Readable(file.to_owned()))
}

/// The section about these folders.
pub fn section(system: &System<'_>, places: &[Place]) -> Section {
    let mut findings: Vec<Finding> = Vec::new();
    for finding in places.iter().flat_map(|place| place.findings(system)) {
        // Folders in one another have the same troubles.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("there is room, and only you can read the chats"));
    }
    Section {
        name: "disk",
        title: "Disk",
        facts: places.iter().map(|place| place.fact(system)).collect(),
        findings,
        object: object(&Folders { folders: places }),
    }
}

#[derive(Serialize)]
struct Folders<'a> {
    folders: &'a [Place],
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::system::fixture::Fixture;
    use super::*;

    fn directories(home: &Path) -> Directories {
        Directories::find(Some(home.to_owned())).unwrap()
    }

    fn place(purpose: Purpose) -> Place {
        Place {
            purpose,
            folder: "/data/x".into(),
            exists: true,
            free_bytes: Some(50 << 30),
            file_system: Some(Kind { name: "ext4", nature: Nature::Local }),
            is_read_only: false,
            is_writable: true,
            is_blocked: false,
            mode: Some(0o700),
            has_other_owner: false,
            odd_files: Vec::new(),
        }
    }

    fn findings(place: &Place) -> Vec<Finding> {
        Fixture::new(&[], &[]).examine(|system| place.findings(system))
    }

    #[test]
    fn an_ordinary_folder_is_no_finding() {
        for purpose in [Purpose::Models, Purpose::Chats, Purpose::Cache] {
            assert_eq!(findings(&place(purpose)), []);
        }
    }

    #[test]
    fn chats_that_cannot_be_saved_are_a_problem_and_a_cache_that_cannot_is_a_warning() {
        let read_only = |purpose| Place { is_read_only: true, is_writable: false, ..place(purpose) };
        let found = findings(&read_only(Purpose::Chats));
        assert_eq!(found[0].level, Level::Problem);
        assert!(found[0].what.contains("read-only") && found[0].remedy.as_ref().unwrap().contains("--private"));
        assert_eq!(findings(&read_only(Purpose::Cache))[0].level, Level::Warning);
        let full = Place { free_bytes: Some(1 << 20), ..place(Purpose::Chats) };
        assert_eq!(findings(&full)[0].level, Level::Problem);
        let full = Place { free_bytes: Some(1 << 20), ..place(Purpose::Models) };
        assert!(findings(&full)[0].remedy.as_ref().unwrap().contains("tuichat models rm"));
    }

    #[test]
    fn file_systems_on_which_files_are_not_safe_or_not_fast_are_told() {
        let on = |name, nature, purpose| {
            let found = findings(&Place { file_system: Some(Kind { name, nature }), ..place(purpose) });
            found.first().map(|finding| finding.level)
        };
        assert_eq!(on("NFS", Nature::Network, Purpose::Chats), Some(Level::Note));
        assert_eq!(on("9p", Nature::Shared, Purpose::Models), Some(Level::Note));
        assert_eq!(on("tmpfs", Nature::Memory, Purpose::Chats), Some(Level::Warning));
        assert_eq!(on("FAT", Nature::Foreign, Purpose::Models), Some(Level::Note));
        assert_eq!(on("tmpfs", Nature::Memory, Purpose::Cache), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_read_is_told_with_the_command_that_ends_it() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let directories = directories(home.path());
        std::fs::create_dir_all(&directories.data).unwrap();
        std::fs::write(directories.chats_file(), "").unwrap();
        let rights = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        rights(&directories.data, 0o755);
        rights(&directories.chats_file(), 0o644);
        let chats = places(&directories).remove(1);
        let remedies: Vec<String> = chats.rights_for_test().into_iter().filter_map(|finding| finding.remedy).collect();
        assert!(remedies[0].starts_with("`chmod 700 ") && remedies[1].starts_with("`chmod 600 "), "{remedies:?}");
        rights(&directories.data, 0o700);
        rights(&directories.chats_file(), 0o600);
        assert_eq!(places(&directories).remove(1).rights_for_test(), []);
    }

    #[cfg(unix)]
    impl Place {
        fn rights_for_test(&self) -> Vec<Finding> {
            Fixture::new(&[], &[]).examine(|system| self.rights(system))
        }
    }

    #[test]
    fn nothing_is_made_and_what_is_in_the_way_is_a_problem() {
        let home = tempfile::tempdir().unwrap();
        let all = places(&directories(&home.path().join("new")));
        assert!(all.iter().all(|place| !place.exists && place.free_bytes.is_some()), "{all:?}");
        assert!(!home.path().join("new").exists());
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let blocked = places(&directories(&file)).remove(1);
        assert_eq!(findings(&blocked)[0].level, Level::Problem);
    }
}
