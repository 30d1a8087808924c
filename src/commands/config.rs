//! `tuichat config`: where the settings are, what they are, what they could be.

use super::{Surroundings, print};
use crate::cli::ConfigCommand;
use crate::config::{self, Settings, SettingsFile, Standing};
use crate::exit::{Exit, Failure};
use crate::remarks::Remarks;

/// # Errors
/// If the settings cannot be shown.
pub fn run(command: ConfigCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let Surroundings { directories, layers, .. } = surroundings;
    match command {
        ConfigCommand::Path => print(&format!("{}\n", directories.config_file().display()))?,
        ConfigCommand::PrintSample => print(config::SAMPLE)?,
        ConfigCommand::Show => {
            layers.check()?;
            let mut remarks = Remarks::on_stderr(surroundings.config.quiet);
            layers.warnings.iter().for_each(|sentence| remarks.warning(sentence));
            let standings = surroundings.settings.standings().map_err(Failure::usage)?;
            let settings = layers.settings.clone().over(config::defaults());
            print(&in_force(&settings, &standings).map_err(|error| Failure::error(error.to_string()))?)?;
        }
        ConfigCommand::Get { name } => {
            layers.check()?;
            let standing = standing(&surroundings.settings, &name)?;
            print(&format!("{}\n", standing.value))?;
        }
        ConfigCommand::Set { name, value } => change(surroundings, &name, Some(&value))?,
        ConfigCommand::Unset { name } => change(surroundings, &name, None)?,
    }
    Ok(Exit::Success)
}

/// Each setting as config.toml would have it, with where it is from if that is not the default.
fn in_force(settings: &Settings, standings: &[Standing]) -> Result<String, toml::ser::Error> {
    let mut values = toml::Table::try_from(settings)?;
    let mut text = String::new();
    for standing in standings {
        let key = standing.about.key.as_str();
        let Some(value) = values.remove(key) else { continue };
        let line = toml::to_string(&toml::Table::from_iter([(key.to_owned(), value)]))?;
        match (standing.is_default(), line.trim_end()) {
            (true, line) => text += &format!("{line}\n"),
            (false, line) if line.contains('\n') => text += &format!("# {}\n{line}\n", standing.from()),
            (false, line) => text += &format!("{line}  # {}\n", standing.from()),
        }
    }
    Ok(text)
}

fn standing(file: &SettingsFile, name: &str) -> Result<Standing, Failure> {
    let about = config::about_setting(name).ok_or_else(|| Failure::usage(config::unknown_setting(name)))?;
    let standings = file.standings().map_err(Failure::usage)?;
    let found = standings.into_iter().find(|standing| standing.about == about);
    found.ok_or_else(|| Failure::usage(config::unknown_setting(name)))
}

/// Changes a setting in the file, and says so if something goes before that.
fn change(surroundings: &Surroundings, name: &str, value: Option<&str>) -> Result<(), Failure> {
    surroundings.settings.change(name, value).map_err(Failure::usage)?;
    let standing = standing(&surroundings.settings, name)?;
    if standing.is_overruled() {
        let sentence = format!("`{}` goes before the file and says `{}`", standing.from(), standing.value);
        Remarks::on_stderr(surroundings.config.quiet).warning(&sentence);
    }
    Ok(())
}
