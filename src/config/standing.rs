//! How every setting stands: what it is, and which layer has said so.

use std::path::PathBuf;

use super::table::{About, about, table, typed};
use super::{Config, Directories, Layers, Settings, environment, file, kept};

/// What an empty list is, where a word says that.
const NONE: &str = "none";

/// How one setting stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub about: &'static About,
    /// As it is typed.
    pub value: String,
    pub origin: Origin,
}

/// The layer that says what a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File,
    Environment,
    CommandLine,
}

impl Standing {
    /// Where the value is from, in a word.
    pub fn from(&self) -> String {
        match self.origin {
            Origin::Default => "default".into(),
            Origin::File => "config.toml".into(),
            Origin::Environment => environment::variable(&self.about.key),
            Origin::CommandLine => format!("--{}", self.about.key.replace('_', "-")),
        }
    }

    /// The value for a person to read.
    pub fn shown(&self) -> &str {
        match self.value.as_str() {
            "" if self.about.is_list && !self.is_default() => "nothing",
            "" => "not set",
            value => value,
        }
    }

    pub fn is_default(&self) -> bool {
        self.origin == Origin::Default
    }

    /// Whether something goes before what the file says.
    pub fn is_overruled(&self) -> bool {
        matches!(self.origin, Origin::Environment | Origin::CommandLine)
    }
}

/// `config.toml`, with what goes before it in this run.
#[derive(Clone, Debug, Default)]
pub struct SettingsFile {
    directories: Option<Directories>,
    environment: Settings,
    typed: Settings,
    /// Nothing may be written.
    is_private: bool,
}

/// What came of a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Of all settings.
    pub standings: Vec<Standing>,
    /// What is in force now.
    pub config: Config,
}

impl SettingsFile {
    /// The file in these directories. What was `typed` is as it was typed.
    ///
    /// # Errors
    /// If a variable of the environment cannot be understood.
    pub fn find(
        directories: &Directories,
        lookup: impl Fn(&str) -> Option<String>,
        typed: Settings,
    ) -> Result<Self, String> {
        let environment = environment::read(lookup)?;
        Ok(Self { directories: Some(directories.clone()), environment, typed, is_private: false })
    }

    /// The same, which is not to be written.
    #[must_use]
    pub fn only_read(self, is_private: bool) -> Self {
        Self { is_private, ..self }
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.directories.as_ref()?.config_file())
    }

    /// How every setting stands, in the order of the sample.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn standings(&self) -> Result<Vec<Standing>, String> {
        let file = self.path().map_or(Ok(file::Read::default()), |path| file::read(&path))?.settings;
        let layers = [
            (Origin::CommandLine, self.typed.clone().over(Settings::default())),
            (Origin::Environment, self.environment.clone()),
            (Origin::File, file),
        ];
        let layers = layers.map(|(origin, layer)| (origin, serde_json::to_value(layer).unwrap_or_default()));
        let standing = |about: &'static About| {
            let set = layers.iter().find(|(_, layer)| layer.get(&about.key).is_some_and(|value| !value.is_null()));
            let (origin, value) = match set {
                Some((origin, layer)) => (*origin, typed(&layer[&about.key])),
                None => (Origin::Default, about.default.clone()),
            };
            let is_nothing = value.is_empty() && origin != Origin::Default;
            let value = if is_nothing && about.words.iter().any(|word| word == NONE) { NONE.into() } else { value };
            Standing { about, value, origin }
        };
        Ok(table().iter().map(standing).collect())
    }

    /// Sets a setting in the file, or takes it back to its default.
    ///
    /// # Errors
    /// A sentence: what the value has to be, what is wrong with the file, or why it is not written.
    pub fn change(&self, key: &str, value: Option<&str>) -> Result<Changed, String> {
        let about = about(key).ok_or_else(|| unknown(key))?;
        let (Some(path), Some(directories)) = (self.path(), &self.directories) else {
            return Err("there is no place for a config.toml here".into());
        };
        if self.is_private {
            return Err("`private` is set, so nothing is written to disk, settings neither".into());
        }
        kept::change(&path, about, value)?;
        let layers = Layers::of(directories, self.environment.clone(), self.typed.clone());
        let layers = layers.map_err(|failure| failure.message)?;
        Ok(Changed { standings: self.standings()?, config: Config::from(layers.settings) })
    }

    /// What is in force now, if the file can be read.
    pub fn config(&self) -> Option<Config> {
        let layers = Layers::of(self.directories.as_ref()?, self.environment.clone(), self.typed.clone()).ok()?;
        layers.broken.is_none().then(|| Config::from(layers.settings))
    }
}

/// That there is no setting of this name, and which one may be meant.
pub fn unknown(name: &str) -> String {
    let shown = crate::text::escape_line(name);
    match super::setting_meant(&name.replace('-', "_")) {
        Some(near) => format!("there is no setting `{shown}`; `{near}` may be meant"),
        None => format!("there is no setting `{shown}`; `tuichat config print-sample` shows those there are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'s>(standings: &'s [Standing], key: &str) -> (&'s str, String) {
        let standing = standings.iter().find(|standing| standing.about.key == key).unwrap();
        (&standing.value, standing.from())
    }

    #[test]
    fn every_setting_says_where_it_is_from() {
        let home = tempfile::tempdir().unwrap();
        let directories = Directories::find(Some(home.path().into())).unwrap();
        std::fs::create_dir_all(&directories.config).unwrap();
        std::fs::write(directories.config_file(), "temp = 0.1\ntop_k = 1\nsystem = \"@p.txt\"\nmouse = false\n")
            .unwrap();
        let typed = Settings { temp: "0.3".parse().ok(), no_recall: true, ..Settings::default() };
        let lookup = |name: &str| (name == "TUICHAT_MIN_P").then(|| "0.2".into());
        let file = SettingsFile::find(&directories, lookup, typed).unwrap();
        let standings = file.standings().unwrap();
        assert_eq!(of(&standings, "temp"), ("0.3", "--temp".into()));
        assert_eq!(of(&standings, "min_p"), ("0.2", "TUICHAT_MIN_P".into()));
        assert_eq!(of(&standings, "top_k"), ("1", "config.toml".into()));
        assert_eq!(of(&standings, "system"), ("@p.txt", "config.toml".into()));
        assert_eq!(of(&standings, "mouse"), ("off", "config.toml".into()));
        assert_eq!(of(&standings, "recall"), ("off", "--recall".into()));
        assert_eq!(of(&standings, "seed"), ("auto", "default".into()));
    }

    #[test]
    fn a_list_that_says_nothing_reads_as_its_word_for_that() {
        let home = tempfile::tempdir().unwrap();
        let directories = Directories::find(Some(home.path().into())).unwrap();
        std::fs::create_dir_all(&directories.config).unwrap();
        for written in ["status = []", "status = [\"none\"]"] {
            std::fs::write(directories.config_file(), written).unwrap();
            let standings = SettingsFile::find(&directories, |_| None, Settings::default()).unwrap().standings();
            assert_eq!(of(&standings.unwrap(), "status"), ("none", "config.toml".into()), "{written}");
        }
    }

    #[test]
    fn a_change_is_in_force_unless_something_goes_before_the_file() {
        let home = tempfile::tempdir().unwrap();
        let directories = Directories::find(Some(home.path().into())).unwrap();
        let typed = Settings { temp: "0.3".parse().ok(), ..Settings::default() };
        let file = SettingsFile::find(&directories, |_| None, typed).unwrap();
        let changed = file.change("top-k", Some("3")).unwrap();
        assert_eq!(of(&changed.standings, "top_k"), ("3", "config.toml".into()));
        assert_eq!(changed.config.generate.sampling.top_k, 3);
        let changed = file.change("temp", Some("0.5")).unwrap();
        assert_eq!(of(&changed.standings, "temp"), ("0.3", "--temp".into()));
        assert_eq!(changed.config.generate.sampling.temperature, 0.3);
        let changed = file.change("top_k", None).unwrap();
        assert_eq!(of(&changed.standings, "top_k"), ("40", "default".into()));
        assert!(file.change("topk", None).unwrap_err().contains("`top_k` may be meant"));
        let private = file.only_read(true).change("top_k", Some("3")).unwrap_err();
        assert!(private.contains("`private` is set"), "{private}");
    }
}
