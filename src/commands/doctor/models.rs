//! Models: which one answers, what is here, what other programs keep, and what is left of downloads.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::finding::{Finding, Level, Section, object};
use super::system::{System, typed};
use crate::engine::profile::{Profile, SOURCE};
use crate::models::{
    Borrowed, FailureClass, Found, Installed, Library, ModelError, Owner, Places, Unfinished, catalog,
};
use crate::text::{counted, file_size};

/// What is known of models.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Models {
    folder: PathBuf,
    /// The model that answers without `--model`.
    default: Option<Usual>,
    installed: usize,
    /// Of them, files that lie elsewhere.
    linked: usize,
    installed_bytes: u64,
    /// Stores of other programs that are there.
    stores: Vec<Store>,
    unfinished: Vec<Leftover>,
    /// The model that guesses tokens for the default one.
    draft: Option<String>,
    /// How the default one was found to be computed the fastest.
    tuned: Option<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
    #[serde(skip)]
    shown_folder: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Usual {
    name: String,
    path: PathBuf,
}

/// A folder of another program, or one that was named in the settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Store {
    owner: Owner,
    folder: PathBuf,
    models: usize,
    bytes: u64,
    is_readable: bool,
}

/// What there is of a download.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Leftover {
    path: PathBuf,
    /// The model of the catalogue that it is to be, if it is one.
    model: Option<String>,
    bytes: u64,
    is_under_way: bool,
}

/// What is looked at.
pub struct Looked<'a> {
    pub folder: &'a Path,
    pub library: &'a Library,
    pub borrowed: &'a [Borrowed],
    pub places: &'a Places,
    /// The folders that the settings name.
    pub named: &'a [PathBuf],
    /// The setting `model`.
    pub wanted: Option<&'a str>,
    pub draft: Option<Result<PathBuf, String>>,
    /// What is kept of the default one.
    pub tuned: Option<Profile>,
}

impl Models {
    /// Looks at the models of this machine. Nothing is loaded, and only headers are read.
    pub fn read(system: &System<'_>, looked: &Looked<'_>) -> Self {
        let mut findings = Vec::new();
        let installed = looked.library.list().unwrap_or_else(|error| {
            findings.push(Finding::problem(error.to_string(), unreadable_remedy(looked.folder)));
            Vec::new()
        });
        let default = usual(looked, &mut findings);
        findings.extend(
            installed
                .iter()
                .filter(|model| Some(&model.path) != default.as_ref().map(|it| &it.path))
                .filter_map(missing),
        );
        findings.extend(looked.library.unreadable_names().iter().map(|file| {
            Finding::warning(
                format!("`{}` names a model and cannot be understood", system.shown(file)),
                format!("`rm {}` forgets the name; `tuichat models pull` brings the model back", typed(file)),
            )
        }));
        let stores: Vec<Store> =
            looked.places.folders().filter_map(|(owner, path)| store(owner, path, looked.borrowed)).collect();
        findings.extend(stores.iter().filter(|store| !store.is_readable).map(|store| unreadable(system, store)));
        findings.extend(looked.named.iter().filter_map(|folder| nowhere(system, folder)));
        let unfinished: Vec<Leftover> = looked.library.unfinished().into_iter().map(Leftover::from).collect();
        findings.extend(unfinished.iter().filter_map(|leftover| leftover.finding(system)));
        let draft = match &looked.draft {
            Some(Ok(path)) => Some(system.shown(path)),
            Some(Err(sentence)) => {
                findings.push(draft_finding(sentence));
                None
            }
            None => None,
        };
        if findings.is_empty() {
            findings.push(Finding::ok("the models are where they should be"));
        }
        Self {
            folder: looked.folder.to_owned(),
            default,
            installed: installed.len(),
            linked: installed.iter().filter(|model| model.is_linked()).count(),
            installed_bytes: own_bytes(&installed),
            stores,
            unfinished,
            draft,
            tuned: looked.tuned.as_ref().map(Profile::words),
            findings,
            shown_folder: system.shown(looked.folder),
        }
    }

    pub fn section(&self) -> Section {
        let mut facts = Vec::new();
        facts.push(("default", self.default.as_ref().map_or("none".into(), |model| model.name.clone())));
        if let Some(draft) = &self.draft {
            facts.push(("draft model", draft.clone()));
        }
        if let Some(tuned) = &self.tuned {
            facts.push((
                "tuned",
                format!("{tuned} (found by trying; {SOURCE} does it anew, and what you set is stronger)"),
            ));
        }
        let count = counted(self.installed as u64, "model");
        let linked = match self.linked {
            0 => String::new(),
            linked => format!(" ({linked} used where it lies)"),
        };
        let own = file_size(self.installed_bytes);
        facts.push(("installed", format!("{count}{linked}, {own}, in {}", self.shown_folder)));
        for store in self.stores.iter().filter(|store| store.models > 0) {
            let count = counted(store.models as u64, "model");
            facts.push((store.owner.prefix(), format!("{count}, {}, used in place", file_size(store.bytes))));
        }
        for leftover in &self.unfinished {
            let name = leftover.model.as_deref().unwrap_or("a model");
            let doing = if leftover.is_under_way { "being downloaded" } else { "unfinished" };
            facts.push(("download", format!("{name}, {} so far, {doing}", file_size(leftover.bytes))));
        }
        Section { name: "models", title: "Models", facts, findings: self.findings.clone(), object: object(self) }
    }
}

fn own_bytes(installed: &[Installed]) -> u64 {
    let mut known: Vec<&str> = Vec::new();
    let mut bytes = 0u64;
    for model in installed.iter().filter(|model| !model.is_linked()) {
        if !known.contains(&model.sha256.as_str()) {
            known.push(&model.sha256);
            bytes = bytes.saturating_add(model.size_bytes);
        }
    }
    bytes
}

fn usual(looked: &Looked<'_>, findings: &mut Vec<Finding>) -> Option<Usual> {
    let error = match looked.library.resolve(looked.wanted) {
        Ok(Found { name, path, .. }) if path.exists() => return Some(Usual { name, path }),
        Ok(Found { name, path, .. }) => {
            findings.push(Finding::problem(
                format!("the file of `{name}`, which is the one that answers, is missing"),
                format!("`tuichat models pull {name}` gets it again, `tuichat models rm {name}` forgets it"),
            ));
            return Some(Usual { name, path });
        }
        Err(error) => error,
    };
    let is_only_missing =
        looked.wanted.is_none() && matches!(error, ModelError::NotFound(_)) && error.class() == FailureClass::Other;
    let sentence = error.to_string();
    let otherwise = "`tuichat models list` shows what is here";
    // With none set and none there, the chat offers some.
    let level = if is_only_missing { Level::Note } else { Level::Problem };
    findings.push(Finding::of_sentence(level, &sentence, "; ", otherwise));
    None
}

fn missing(model: &Installed) -> Option<Finding> {
    let name = &model.name;
    let remedy = match model.is_linked() {
        true => format!("bring the file back, or forget it with `tuichat models rm {name}`"),
        false => format!("`tuichat models pull {name}` gets it again, `tuichat models rm {name}` forgets it"),
    };
    (!model.path.exists()).then(|| Finding::warning(format!("the file of `{name}` is missing"), remedy))
}

/// What is said of a folder of another program: nothing if there is none.
fn store(owner: Owner, folder: &Path, borrowed: &[Borrowed]) -> Option<Store> {
    let is_readable = match std::fs::read_dir(folder) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
        Err(_) => return None,
    };
    let of_this = |model: &&Borrowed| model.owner == owner && model.path.starts_with(folder);
    let models: Vec<&Borrowed> = borrowed.iter().filter(of_this).collect();
    Some(Store {
        owner,
        folder: folder.to_owned(),
        models: models.len(),
        bytes: models.iter().fold(0, |sum, model| sum.saturating_add(model.size_bytes)),
        is_readable,
    })
}

fn unreadable(system: &System<'_>, store: &Store) -> Finding {
    let shown = system.shown(&store.folder);
    Finding::note(
        format!("the models of {} in `{shown}` may not be read by you", store.owner.title()),
        format!("`sudo chmod -R a+rX {}` lets everyone read them", typed(&store.folder)),
    )
}

/// What is said of a folder that the settings name and that cannot be used.
fn nowhere(system: &System<'_>, folder: &Path) -> Option<Finding> {
    let below_home = folder.strip_prefix("~").ok().and_then(|rest| Some(system.home?.join(rest)));
    let folder = below_home.as_deref().unwrap_or(folder);
    let error = std::fs::read_dir(folder).err().filter(|error| error.kind() != io::ErrorKind::PermissionDenied)?;
    Some(Finding::warning(
        format!("`model_folders` names `{}`, which cannot be read: {error}", system.shown(folder)),
        "correct it; `tuichat config path` shows the file, and `TUICHAT_MODEL_FOLDERS` goes before it",
    ))
}

fn unreadable_remedy(folder: &Path) -> String {
    format!("`ls -ld {}` shows whose it is; `TUICHAT_HOME=FOLDER` chooses another", typed(folder))
}

fn draft_finding(sentence: &str) -> Finding {
    Finding::of_sentence(
        Level::Warning,
        &format!("there is no draft model to guess tokens: {sentence}"),
        "; ",
        "name one with `--draft-model NAME`, or leave it to the text with `--spec ngram`",
    )
}

impl From<Unfinished> for Leftover {
    fn from(it: Unfinished) -> Self {
        let model = catalog::by_sha256(&it.sha256).map(|(entry, file)| entry.installed_name(file));
        Self { path: it.path, model, bytes: it.disk_bytes, is_under_way: it.is_under_way }
    }
}

impl Leftover {
    fn finding(&self, system: &System<'_>) -> Option<Finding> {
        if self.is_under_way {
            return None;
        }
        let remove = format!("`rm {}` and the file beside it give the room back", typed(&self.path));
        Some(match &self.model {
            Some(name) => Finding::note(
                format!("the download of `{name}` was not finished ({} are there)", file_size(self.bytes)),
                format!("`tuichat models pull {name}` goes on with it; {remove}"),
            ),
            None => Finding::note(
                format!(
                    "a download was not finished: `{}` ({} are there)",
                    system.shown(&self.path),
                    file_size(self.bytes)
                ),
                format!("pulling the same model again goes on with it; {remove}"),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::system::fixture::Fixture;
    use super::*;
    use crate::models::Elsewhere;
    use crate::tiny_gguf::TinyModel;

    struct Test {
        folder: tempfile::TempDir,
    }

    impl Test {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn write(&self, path: &str, bytes: &[u8]) -> PathBuf {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            path
        }

        fn read(&self, wanted: Option<&str>, named: &[PathBuf]) -> Models {
            let folder = self.folder.path().join("models");
            let places = Places::find(|_| None, Some(self.folder.path()), named.iter().cloned());
            let elsewhere = Elsewhere::new(places.clone(), None);
            let library = Library::new(&folder).with_elsewhere(elsewhere.clone());
            let borrowed = elsewhere.look();
            let looked = Looked {
                folder: &folder,
                library: &library,
                borrowed: &borrowed,
                places: &places,
                named,
                wanted,
                draft: None,
                tuned: None,
            };
            Fixture::new(&[], &[]).examine(|system| Models::read(system, &looked))
        }
    }

    fn levels(models: &Models) -> Vec<Level> {
        models.findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn without_a_model_it_is_noted_how_to_get_one() {
        let models = Test::new().read(None, &[]);
        assert_eq!(levels(&models), [Level::Note]);
        assert!(models.findings[0].remedy.as_ref().unwrap().contains("tuichat models pull"), "{:?}", models.findings);
    }

    #[test]
    fn a_model_that_is_set_and_not_there_is_a_problem() {
        let models = Test::new().read(Some("nosuch"), &[]);
        assert_eq!(levels(&models), [Level::Problem]);
        assert!(models.findings[0].what.contains("nosuch"), "{:?}", models.findings);
    }

    #[test]
    fn models_of_a_folder_are_counted_and_one_of_them_answers() {
        let test = Test::new();
        let file = test.write("mine/tiny.gguf", &TinyModel::default().bytes());
        let models = test.read(None, &[file.parent().unwrap().to_owned()]);
        assert_eq!(levels(&models), [Level::Ok], "{:?}", models.findings);
        assert_eq!(models.default.as_ref().map(|it| it.path.clone()), Some(file.clone()));
        let section = models.section();
        let folder = section.facts.iter().find(|(name, _)| *name == "folder").unwrap();
        assert!(folder.1.starts_with("1 model, "), "{folder:?}");
        assert_eq!(section.object["stores"][0]["bytes"], file.metadata().unwrap().len());
    }

    #[test]
    fn a_folder_that_is_named_and_not_there_is_a_warning() {
        let models = Test::new().read(None, &["/nowhere/at/all".into()]);
        assert_eq!(levels(&models), [Level::Note, Level::Warning]);
    }

    #[test]
    fn a_download_that_was_given_up_is_noted_with_how_to_go_on_and_how_to_be_rid_of_it() {
        let test = Test::new();
        let mut files = catalog::entries().iter().flat_map(|entry| &entry.files);
        let known = files.find_map(|file| file.sha256.as_deref()).unwrap();
        test.write(&format!("models/blobs/sha256-{known}.part"), &[7; 9000]);
        test.write(&format!("models/blobs/sha256-{}.part", "0".repeat(64)), &[7; 9000]);
        let models = test.read(None, &[]);
        assert_eq!(models.unfinished.len(), 2);
        let remedies: Vec<&str> = models.findings.iter().filter_map(|finding| finding.remedy.as_deref()).collect();
        assert!(
            remedies.iter().any(|it| it.contains("tuichat models pull ") && it.contains("goes on")),
            "{remedies:?}"
        );
        assert!(remedies.iter().filter(|it| it.contains("`rm ")).count() == 2, "{remedies:?}");
    }

    #[test]
    fn a_download_that_is_under_way_is_no_finding() {
        let test = Test::new();
        let path = test.write(&format!("models/blobs/sha256-{}.part", "0".repeat(64)), &[7; 9000]);
        let file = std::fs::File::open(path).unwrap();
        file.lock().unwrap();
        let models = test.read(None, &[]);
        assert!(models.unfinished[0].is_under_way);
        assert_eq!(models.findings.len(), 1, "{:?}", models.findings);
    }

    #[test]
    fn a_name_that_cannot_be_understood_is_a_warning() {
        let test = Test::new();
        test.write("models/names/odd.json", b"{");
        let models = test.read(None, &[]);
        assert!(
            models.findings.iter().any(|finding| finding.level == Level::Warning && finding.what.contains("odd.json"))
        );
    }
}
