//! What is typed, over the environment, over `config.toml`, with the files read that they name.

use std::path::Path;

use super::engines::Engines;
use super::forms::Form;
use super::{Directories, Settings, environment, file, forms};
use crate::exit::Failure;
use crate::text_file;

/// The layers put together, with what there is to say about them.
#[derive(Debug, Default)]
pub struct Layers {
    /// All layers, the upper over the lower.
    pub settings: Settings,
    /// What was typed, with the files read that it names.
    pub typed: Settings,
    /// Where the schema or the grammar is from that answers are held to, as a message goes on behind its name.
    pub form_origin: String,
    /// What means nothing, or perhaps not what it was meant to.
    pub warnings: Vec<String>,
    /// The servers that `config.toml` describes.
    pub engines: Engines,
    /// Why `config.toml` as a whole is left out: half a config is worse than none.
    pub broken: Option<String>,
}

impl Layers {
    /// Reads the file and the environment below what was `typed`.
    ///
    /// # Errors
    /// If the environment or the command line cannot be understood. A broken file is in `broken`.
    pub fn read(
        directories: &Directories,
        environment: impl Fn(&str) -> Option<String>,
        typed: Settings,
    ) -> Result<Self, Failure> {
        Self::of(directories, environment::read(environment).map_err(Failure::usage)?, typed)
    }

    /// Reads the file below what the environment says and what was `typed`.
    pub(super) fn of(directories: &Directories, variables: Settings, typed: Settings) -> Result<Self, Failure> {
        let here = Path::new("");
        let path = directories.config_file();
        let upper = with_files_read(typed.clone(), Place::CommandLine, here).map_err(Failure::usage)?;
        let middle = with_files_read(variables, Place::Environment, here).map_err(Failure::usage)?;
        let lower = file::read(&path).and_then(|read| {
            let mut layer = with_files_read(read.settings, Place::File(&path), &directories.config)?;
            layer.warnings.splice(0..0, read.warnings);
            Ok((layer, read.engines))
        });
        let ((lower, engines), broken) = match lower {
            Ok(file) => (file, None),
            Err(sentence) => (Default::default(), Some(sentence)),
        };
        let upper_typed = upper.settings.clone();
        let (schema, grammar) =
            (upper.schema.or(middle.schema).or(lower.schema), upper.grammar.or(middle.grammar).or(lower.grammar));
        let mut layers = Self {
            settings: upper.settings.over(middle.settings).over(lower.settings),
            typed: upper_typed,
            form_origin: String::new(),
            warnings: [upper.warnings, middle.warnings, lower.warnings].concat(),
            engines,
            broken,
        };
        layers.form_origin = layers.origin_of_form(schema, grammar)?;
        Ok(layers)
    }

    /// Where the one form is from that an answer has, of what the schema and the grammar are from.
    fn origin_of_form(&self, schema: Option<String>, grammar: Option<String>) -> Result<String, Failure> {
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if is_set(&self.settings.schema) && is_set(&self.settings.grammar) {
            return Err(Failure::usage("an answer is held to a schema or to a grammar, and both are set")
                .hint("take one back with `--schema off` or `--grammar off`"));
        }
        Ok(if is_set(&self.settings.schema) { schema } else { grammar }.unwrap_or_default())
    }

    /// Puts the settings of the text in `file` between what was typed and everything below.
    ///
    /// # Errors
    /// If a file that they name cannot be read, or an answer would have two forms.
    pub fn put_under_typed(&mut self, settings: Settings, file: &Path) -> Result<(), Failure> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let layer = with_files_read(settings, Place::File(file), folder).map_err(Failure::usage)?;
        let lower = std::mem::take(&mut self.settings);
        let is_typed = self.typed.schema.is_some() || self.typed.grammar.is_some();
        self.settings = self.typed.clone().over(layer.settings).over(lower);
        let origin = if is_typed { None } else { layer.schema.or(layer.grammar) };
        let origin = origin.unwrap_or_else(|| std::mem::take(&mut self.form_origin));
        self.form_origin = self.origin_of_form(Some(origin.clone()), Some(origin))?;
        Ok(())
    }

    /// # Errors
    /// If `config.toml` is broken.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.broken {
            Some(sentence) => Err(Failure::usage(sentence).hint("correct the file, or move it away")),
            None => Ok(()),
        }
    }
}
/// Where settings were written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'p> {
    CommandLine,
    Environment,
    File(&'p Path),
}

impl Place<'_> {
    /// What a setting is called there.
    fn name_of(self, key: &str) -> String {
        match self {
            Place::CommandLine => format!("`--{}`", key.replace('_', "-")),
            Place::Environment => format!("`{}`", environment::variable(key)),
            Place::File(path) => format!("`{key}` in {}", path.display()),
        }
    }
}

/// A layer whose files are read.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub settings: Settings,
    /// Where its schema and its grammar are from.
    pub schema: Option<String>,
    pub grammar: Option<String>,
    pub warnings: Vec<String>,
}

/// Replaces the names of files by their texts, and what takes a setting back by nothing: a system prompt `@FILE`, a
/// schema and a grammar, with or without the `@`, and the short form of a schema by the schema. A relative path, of a
/// folder of models too, begins at `folder`.
pub(super) fn with_files_read(mut settings: Settings, place: Place<'_>, folder: &Path) -> Result<Layer, String> {
    let mut layer = Layer::default();
    let named = |key: &'static str| move |problem: String| format!("{}: {problem}", place.name_of(key));
    if let Some(system) = &mut settings.system {
        let name = place.name_of("system");
        if let Some(path) = system.strip_prefix('@') {
            let read = forms::file_named(path, folder).and_then(|path| text_file::read(&path));
            let text = read.map_err(named("system"))?.trim_end().to_owned();
            if text.is_empty() {
                layer.warnings.push(format!("{name}: `{path}` is empty, so there is no system prompt"));
            }
            *system = text;
        } else if system == forms::OFF {
            system.clear();
        } else if forms::is_file_too(system, folder) {
            layer.warnings.push(format!("{name}: `{system}` is taken as the prompt itself; `@{system}` is the file"));
        }
    }
    for model_folder in settings.model_folders.iter_mut().flatten() {
        if !model_folder.is_empty() && !model_folder.starts_with('~') {
            *model_folder = folder.join(&model_folder).to_string_lossy().into_owned();
        }
    }
    let mut form = |setting: &mut Option<String>, key: &'static str, read: fn(&str, &Path) -> Result<Form, String>| {
        let Some(text) = setting.as_mut().filter(|text| !text.is_empty()) else { return Ok(None) };
        if text == forms::OFF {
            text.clear();
            return Ok(None);
        }
        let form = read(text, folder).map_err(named(key))?;
        let origin = form.origin(&place.name_of(key));
        if key == "schema" && forms::is_file_too(text, folder) {
            let name = place.name_of(key);
            layer
                .warnings
                .push(format!("{name}: `{text}` is taken as the short form of a schema; `@{text}` is the file"));
        }
        *text = form.text;
        Ok::<_, String>(Some(origin))
    };
    let schema = form(&mut settings.schema, "schema", forms::schema)?;
    let grammar = form(&mut settings.grammar, "grammar", forms::grammar)?;
    Ok(Layer { settings, schema, grammar, ..layer })
}
#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::chat::Sampling;
    use crate::config::{Config, Output};
    use crate::engine::protocol::{Constraint, Evict, KvSettings};

    fn directories(home: &tempfile::TempDir) -> Directories {
        Directories::find(Some(home.path().into())).unwrap()
    }

    fn write(directories: &Directories, text: &str) {
        std::fs::create_dir_all(&directories.config).unwrap();
        std::fs::write(directories.config_file(), text).unwrap();
    }

    #[test]
    fn the_command_line_is_over_the_environment_over_the_file_over_the_defaults() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "temp = 0.1\ntop_k = 1\nmin_p = 0.1\n");
        let typed = Settings { temp: "0.3".parse().ok(), ..Settings::default() };
        let environment = |name: &str| match name {
            "TUICHAT_TEMP" | "TUICHAT_MIN_P" => Some("0.2".into()),
            _ => None,
        };
        let sampling = Config::from(Layers::read(&directories, environment, typed).unwrap().settings).generate.sampling;
        let expected = Sampling { temperature: 0.3, min_p: 0.2, top_k: 1, ..Sampling::default() };
        assert_eq!(sampling, expected);
    }

    #[test]
    fn a_broken_file_is_left_out_as_a_whole_and_told() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "top_k = 1\ntemp = \"hot\"\n");
        let layers = Layers::read(&directories, |_| None, Settings::default()).unwrap();
        assert_eq!(layers.settings, Settings::default());
        assert!(layers.broken.unwrap().contains("config.toml, line 2, column 8: "));
    }

    #[test]
    fn a_system_prompt_file_is_found_beside_the_config_that_names_it() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "system = \"@pirate.txt\"\n");
        std::fs::write(directories.config.join("pirate.txt"), "You are a pirate\n").unwrap();
        let layers = Layers::read(&directories, |_| None, Settings::default()).unwrap();
        assert_eq!(layers.settings.system.as_deref(), Some("You are a pirate"));
    }

    #[test]
    fn a_system_prompt_that_may_be_meant_otherwise_is_warned_of() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        std::fs::create_dir_all(&directories.config).unwrap();
        std::fs::write(directories.config.join("pirate.txt"), "You are a pirate\n").unwrap();
        std::fs::write(directories.config.join("empty.txt"), "\n").unwrap();
        let read = |system: &str| {
            write(&directories, &format!("system = \"{system}\"\n"));
            let layers = Layers::read(&directories, |_| None, Settings::default()).unwrap();
            (layers.settings.system.unwrap(), layers.warnings.join(" "))
        };
        let (system, warning) = read("pirate.txt");
        assert!(system == "pirate.txt" && warning.contains("`@pirate.txt` is the file"), "{warning}");
        let (system, warning) = read("@empty.txt");
        assert!(system.is_empty() && warning.contains("`empty.txt` is empty"), "{warning}");
        assert_eq!(read("off"), (String::new(), String::new()), "it is taken back");
        assert_eq!(read("You are a pirate"), ("You are a pirate".into(), String::new()));
    }

    #[test]
    fn folders_of_models_are_found_from_where_they_are_named() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "model_folders = [\"gguf\", \"~/models\", \"/mnt\"]\n");
        let folders = |typed| Config::from(Layers::read(&directories, |_| None, typed).unwrap().settings).model_folders;
        let beside = directories.config.join("gguf");
        assert_eq!(folders(Settings::default()), [beside, "~/models".into(), "/mnt".into()]);
        let typed = Settings { model_folders: Some(vec!["here".into()]), ..Settings::default() };
        assert_eq!(folders(typed), [PathBuf::from("here")]);
        let none = Settings { model_folders: Some(vec![String::new()]), ..Settings::default() };
        assert_eq!(folders(none), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_form_of_an_answer_is_known_before_all_settings_are() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        let form = |variable: &str, typed| crate::config::form(Some(&directories), |_| Some(variable.into()), typed);
        assert_eq!((form("", None), form("JSON", None)), (Output::Text, Output::Json));
        write(&directories, "output = \"ndjson\"\n");
        assert_eq!((form("", None), form("json", None)), (Output::Ndjson, Output::Json));
        assert_eq!(form("json", Some(Output::Text)), Output::Text);
    }

    #[test]
    fn a_schema_is_text_or_a_file_and_excludes_a_grammar() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "schema = \"answer.json\"\n");
        std::fs::write(directories.config.join("answer.json"), "{}\n").unwrap();
        let read = |typed| Layers::read(&directories, |_| None, typed);
        let constraint = |typed| Config::from(read(typed).unwrap().settings).generate.constraint;
        assert_eq!(constraint(Settings::default()), Some(Constraint::Schema("{}\n".into())));
        let inline = Settings { schema: Some(" {\"type\":\"null\"}".into()), ..Settings::default() };
        assert_eq!(constraint(inline), Some(Constraint::Schema(" {\"type\":\"null\"}".into())));
        for value in ["true", "null", "3"] {
            let typed = Settings { schema: Some(value.into()), ..Settings::default() };
            let refused = read(typed).unwrap_err().message;
            assert!(refused.contains("is JSON, and no schema"), "{refused}");
        }
        let path = directories.config.join("list.gbnf");
        std::fs::write(&path, "root ::= \"a\"").unwrap();
        let grammar = Settings { grammar: Some(format!("@{}", path.display())), ..Settings::default() };
        assert_eq!(read(grammar.clone()).unwrap_err().exit.code(), 2);
        let instead = Settings { schema: Some("off".into()), ..grammar };
        assert_eq!(constraint(instead), Some(Constraint::Grammar("root ::= \"a\"".into())));
        let missing = Settings { schema: Some("no/such.json".into()), ..Settings::default() };
        assert!(read(missing).unwrap_err().message.starts_with("`--schema`: cannot read `no/such.json`"));
        let short = Settings { schema: Some("name, age int".into()), ..Settings::default() };
        let Some(Constraint::Schema(schema)) = constraint(short) else { panic!("no schema") };
        assert!(
            schema.starts_with("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":"),
            "{schema}"
        );
        let wrong = Settings { schema: Some("name, age imt".into()), ..Settings::default() };
        let message = read(wrong).unwrap_err().message;
        assert!(message.contains("wrong at character 11: there is no type `imt`"), "{message}");
    }

    #[test]
    fn where_a_form_is_from_is_known_in_every_layer() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "schema = \"answer.json\"\nsystem = \"@gone.txt\"\n");
        let file = directories.config.join("answer.json");
        std::fs::write(&file, "{}\n").unwrap();
        let read = |variable: &str, value: &str, typed: &str| {
            let typed =
                Settings { schema: Some(typed.to_owned()).filter(|typed| !typed.is_empty()), ..Settings::default() };
            let layers = Layers::read(&directories, |name| (name == variable).then(|| value.to_owned()), typed);
            layers.map_err(|failure| failure.message)
        };
        let config = directories.config_file().display().to_string();
        let sentence = read("", "", "").unwrap().broken.unwrap();
        assert!(sentence.starts_with(&format!("`system` in {config}: cannot read `")), "{sentence}");
        write(&directories, "schema = \"answer.json\"\n");
        let origin = |variable, value, typed| read(variable, value, typed).unwrap().form_origin;
        assert_eq!(origin("", "", ""), format!("in `{}` (`schema` in {config})", file.display()));
        assert_eq!(origin("TUICHAT_SCHEMA", "name", ""), "of `TUICHAT_SCHEMA`");
        assert_eq!(origin("TUICHAT_SCHEMA", "name", "{}"), "of `--schema`");
        let typed = format!("@{}", file.display());
        assert_eq!(origin("", "", &typed), format!("in `{}` (`--schema`)", file.display()));
        assert_eq!(origin("TUICHAT_GRAMMAR", "root ::= \"a\"", "off"), "of `TUICHAT_GRAMMAR`");
        for (key, value) in [("schema", "name, age imt"), ("grammar", "no.gbnf"), ("system", "@")] {
            let variable = format!("TUICHAT_{}", key.to_uppercase());
            let problem = read(&variable, value, "").unwrap_err();
            assert!(problem.starts_with(&format!("`{variable}`: ")), "{problem}");
        }
    }

    #[test]
    fn the_kv_cache_is_set_in_any_layer() {
        let home = tempfile::tempdir().unwrap();
        let directories = directories(&home);
        write(&directories, "kv = \"q8_0/q5_1\"\nkv_mem = \"64M\"\nkv_evict = \"window\"\nrecall = false\n");
        let kv = |typed| Config::from(Layers::read(&directories, |_| None, typed).unwrap().settings).kv;
        let file = KvSettings {
            types: "q8_0/q5_1".parse().ok(),
            most_bytes: Some(64 << 20),
            evict: Evict::Window,
            no_recall: true,
            checks: None,
        };
        assert_eq!(kv(Settings::default()), file);
        let typed = Settings { kv: "auto".parse().ok(), recall: Some(true), ..Settings::default() };
        assert_eq!(kv(typed), KvSettings { types: None, no_recall: false, ..file });
    }

    #[test]
    fn an_empty_text_takes_back_what_a_lower_layer_set() {
        let lower = Settings { system: Some("You are a pirate".into()), ..Settings::default() };
        let upper = Settings { system: Some(String::new()), ..Settings::default() };
        assert_eq!(Config::from(upper.over(lower)).system, None);
    }
}
