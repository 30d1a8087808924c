//! The settings: their file, what is wrong with it, and what goes before it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::finding::{Finding, Level, Section, object};
use super::system::{System, listed};
use crate::config::{self, Config, Directories, EngineName, Engines, Layers, Settings};
use crate::exit::Failure;
use crate::models::catalog;

/// The settings in force, and what was found on the way to them.
#[derive(Debug)]
pub struct Understood {
    pub config: Config,
    pub engines: Engines,
    /// The server that answers instead of this program.
    pub answering: Option<EngineName>,
    pub findings: Vec<Finding>,
}

/// Puts the settings together as far as they can be understood: what is broken is left out and told.
pub fn understand(system: &System<'_>, directories: &Directories, typed: Settings) -> Understood {
    let read = |with_variables: bool, typed: Settings| {
        Layers::read(directories, |name| if with_variables { (system.variable)(name) } else { None }, typed)
    };
    let mut findings = Vec::new();
    let layers = read(true, typed.clone()).or_else(|failure| {
        findings.push(of_failure(&failure));
        read(false, typed)
    });
    let mut layers = layers.or_else(|_| read(false, Settings::default())).unwrap_or_default();
    if let Err(failure) = layers.check() {
        findings.push(of_failure(&failure));
    }
    if let Err(sentence) = catalog::add_from(&directories.config.join("models.toml")) {
        findings.push(Finding::warning(sentence, "correct the file, or move it away"));
    }
    findings.extend(layers.warnings.drain(..).map(|sentence| {
        Finding::warning(
            sentence,
            "correct its name, or take it out; `tuichat config print-sample` shows those there are",
        )
    }));
    let (config, engines) = (Config::from(layers.settings), layers.engines);
    let answering = answering(&engines, &config, layers.typed.engine.is_some());
    findings.extend(of_engines(&engines, answering.as_ref(), directories, system.variable));
    Understood { config, engines, answering, findings }
}

/// The server that answers, if one does. An engine that is typed goes before the one behind a model's `@`.
fn answering(engines: &Engines, config: &Config, is_typed: bool) -> Option<EngineName> {
    let of_model = config.model.as_deref().filter(|_| !is_typed).and_then(|model| engines.at_engine(model));
    match (of_model, &config.engine) {
        (Some((_, engine)), _) => Some(EngineName::Named(engine.to_owned())),
        (None, EngineName::Llama | EngineName::Scripted(_)) => None,
        (None, engine) => Some(engine.clone()),
    }
}

/// What is wrong with servers, which are not asked: of the one that answers that is a problem.
fn of_engines(
    engines: &Engines,
    answering: Option<&EngineName>,
    directories: &Directories,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let others = engines.names().map(|name| EngineName::Named(name.to_owned()));
    let others = others.filter(|name| answering != Some(name)).map(|name| (Level::Warning, name));
    let named = answering.cloned().into_iter().map(|name| (Level::Problem, name)).chain(others);
    let otherwise = "`tuichat help engines` tells how servers are described";
    let broken = named.filter_map(|(level, name)| {
        let sentence = engines.choose(&name, directories, variable).err()?;
        Some(Finding::of_sentence(level, &sentence, "; ", otherwise))
    });
    broken.collect()
}

/// What the program would refuse to go on with.
pub fn of_failure(failure: &Failure) -> Finding {
    let otherwise = "`tuichat config print-sample` shows what can be set";
    match &failure.hint {
        Some(hint) => Finding::problem(&failure.message, hint),
        None => Finding::of_sentence(Level::Problem, &failure.message, "; ", otherwise),
    }
}

/// What is known of the settings.
#[derive(Debug, Serialize)]
pub struct SettingsFacts {
    /// `None` where there is no place for one.
    file: Option<PathBuf>,
    exists: bool,
    /// Keys that the file sets.
    keys: Vec<String>,
    /// Settings that environment variables set.
    variables: Vec<String>,
    /// Those of them that the file sets, too.
    overridden: Vec<String>,
    /// `TUICHAT_HOME` says where all files are.
    home_is_set: bool,
    /// The server that answers instead of this program.
    engine: Option<EngineName>,
    /// The names of the servers that the file describes.
    engines: Vec<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
    #[serde(skip)]
    shown: String,
}

impl SettingsFacts {
    /// `names` are those of all environment variables.
    pub fn read(system: &System<'_>, file: Option<&Path>, names: &[String], understood: Understood) -> Self {
        let Understood { engines, answering, mut findings, .. } = understood;
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        let table: toml::Table = text.and_then(|text| text.parse().ok()).unwrap_or_default();
        let known = Settings::keys();
        let is_set = |name: &str| system.set(name).is_some();
        let variables: Vec<String> = known.iter().filter(|key| is_set(&variable(key))).cloned().collect();
        let strange = names.iter().map(String::as_str).filter(|name| is_set(name) && config::is_strange(name));
        let strange: Vec<&str> = strange.collect();
        if !strange.is_empty() {
            findings.push(Finding::note(
                format!("there is no setting for {}", listed(&strange)),
                format!("`unset {}`, or correct the name; `tuichat --help` lists the settings", strange.join(" ")),
            ));
        }
        if findings.is_empty() {
            findings.push(Finding::ok("they can be understood"));
        }
        Self {
            file: file.map(Path::to_owned),
            exists: file.is_some_and(Path::exists),
            keys: table.keys().cloned().collect(),
            overridden: variables.iter().filter(|key| table.contains_key(key.as_str())).cloned().collect(),
            variables,
            home_is_set: is_set("TUICHAT_HOME"),
            engine: answering,
            engines: engines.names().map(str::to_owned).collect(),
            findings,
            shown: file.map_or("none".into(), |file| system.shown(file)),
        }
    }

    pub fn section(&self) -> Section {
        let state = match (self.exists, self.keys.len()) {
            (false, _) => "not there, so the defaults hold".to_owned(),
            (true, 0) => "sets nothing".to_owned(),
            (true, _) => format!("sets {}", self.keys.join(", ")),
        };
        let mut facts = vec![("file", self.shown.clone()), ("content", state)];
        if !self.variables.is_empty() {
            let names: Vec<String> = self.variables.iter().map(|key| variable(key)).collect();
            let before = match self.overridden.is_empty() {
                true => String::new(),
                false => format!("; of the file they override {}", self.overridden.join(", ")),
            };
            facts.push(("environment", format!("{}{before}", names.join(", "))));
        }
        if let Some(engine) = &self.engine {
            facts.push(("answers", format!("engine `{engine}` (`tuichat engines check {engine}` asks it)")));
        }
        if !self.engines.is_empty() {
            let names: Vec<&str> = self.engines.iter().map(String::as_str).collect();
            facts.push(("engines", listed(&names)));
        }
        if self.home_is_set {
            facts.push(("folders", "all below `TUICHAT_HOME`".into()));
        }
        Section { name: "config", title: "Settings", facts, findings: self.findings.clone(), object: object(self) }
    }
}

fn variable(key: &str) -> String {
    format!("TUICHAT_{}", key.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::super::system::fixture::Fixture;
    use super::*;

    fn examine(file: &str, variables: &[(&'static str, &'static str)]) -> (Config, SettingsFacts) {
        let fixture = Fixture::new(&[("home/config/config.toml", file)], variables);
        let directories = Directories::find(Some(fixture.root.path().join("home"))).unwrap();
        let names: Vec<String> = variables.iter().map(|(name, _)| (*name).to_owned()).collect();
        fixture.examine(|system| {
            let understood = understand(system, &directories, Settings::default());
            let config = understood.config.clone();
            (config, SettingsFacts::read(system, Some(&directories.config_file()), &names, understood))
        })
    }

    #[test]
    fn what_the_environment_goes_before_is_told_and_no_value_is() {
        let (config, facts) =
            examine("temp = 0.5\nsystem = \"x\"\n", &[("TUICHAT_SYSTEM", "secret"), ("TUICHAT_TOP_K", "3")]);
        assert_eq!(
            (config.system.as_deref(), facts.overridden.as_slice()),
            (Some("secret"), &["system".to_owned()][..])
        );
        let section = facts.section();
        assert_eq!(section.level(), Level::Ok);
        assert!(!format!("{section:?}").contains("secret"));
    }

    #[test]
    fn a_broken_file_is_a_problem_with_its_place() {
        let (_, facts) = examine("temp = 0.5\ntop_p = 7\n", &[]);
        assert_eq!(facts.findings[0].level, Level::Problem);
        assert!(facts.findings[0].what.contains("config.toml, line 2, column 9: 7 is not between 0 and 1"));
    }

    #[test]
    fn a_broken_variable_is_a_problem_and_the_file_is_looked_at_all_the_same() {
        let (config, facts) = examine("temp = 0.5\ntempo = 1\n", &[("TUICHAT_TEMP", "hot")]);
        let levels: Vec<Level> = facts.findings.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Problem, Level::Warning], "{:?}", facts.findings);
        assert!(facts.findings[1].what.contains("there is no setting `tempo`"));
        assert_eq!(config.generate.sampling.temperature, 0.5);
    }

    #[test]
    fn a_server_that_cannot_be_asked_is_a_problem_if_it_answers_and_else_a_warning() {
        let described = "[engines.lab]\nurl = \"http://lab:8000\"\nkey_env = \"LAB_KEY\"\n[engines.home]\nurl = \"http://localhost\"\n";
        for (set, level) in [
            ("", Level::Warning),
            ("engine = \"home\"\n", Level::Warning),
            ("engine = \"lab\"\n", Level::Problem),
            ("model = \"m@lab\"\n", Level::Problem),
        ] {
            let (_, facts) = examine(&format!("{set}{described}"), &[]);
            let [finding] = &facts.findings[..] else { panic!("{set}: {:?}", facts.findings) };
            assert_eq!((finding.level, finding.what.contains("`LAB_KEY`")), (level, true), "{set}");
            assert_eq!(finding.remedy.as_deref(), Some("type `export LAB_KEY=…`"));
            assert_eq!(facts.engines, ["home", "lab"]);
        }
        let (_, facts) = examine(&format!("engine = \"lab\"\n{described}"), &[("LAB_KEY", "sk-1")]);
        let section = facts.section();
        assert_eq!(section.level(), Level::Ok, "{section:?}");
        assert!(!format!("{section:?}").contains("sk-1") && format!("{section:?}").contains("engines check lab"));
        let (_, facts) = examine("engine = \"nowhere\"\n", &[]);
        assert!(facts.findings[0].what.contains("there is no engine `nowhere`"), "{:?}", facts.findings);
    }

    #[test]
    fn a_variable_that_is_no_setting_is_noted() {
        let ours = ["TUICHAT_HOME", "TUICHAT_ENGINE_KEY", "TUICHAT_KERNELS"].map(|name| (name, "x"));
        let (_, facts) = examine("", &[&[("TUICHAT_TEMPO", "1")][..], &ours].concat());
        assert_eq!(facts.findings.len(), 1);
        assert!(facts.findings[0].remedy.as_ref().unwrap().starts_with("`unset TUICHAT_TEMPO`"));
    }
}
