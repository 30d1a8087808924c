//! `tuichat config`: where the settings are, what they are, what they could be.

use super::{Surroundings, print};
use crate::cli::ConfigCommand;
use crate::config::{self, SettingsFile, Standing};
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
            let settings = layers.settings.clone().over(config::defaults());
            let shown = toml::to_string(&settings).map_err(|error| Failure::error(error.to_string()))?;
            let standings = surroundings.settings.standings().map_err(Failure::usage)?;
            print(&with_origins(&shown, &standings))?;
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

/// The settings as TOML, each that is not as by default with where it is from behind it.
fn with_origins(settings: &str, standings: &[Standing]) -> String {
    let mut is_inside = false;
    let told = settings.lines().map(|line| {
        let fences = line.matches("\"\"\"").count() + line.matches("'''").count();
        let was_inside = is_inside;
        is_inside ^= fences % 2 == 1;
        let set = line
            .split_once(" = ")
            .filter(|_| !was_inside && fences == 0)
            .and_then(|(key, _)| standings.iter().find(|standing| standing.about.key == key && !standing.is_default()));
        set.map_or_else(|| format!("{line}\n"), |standing| format!("{line}  # {}\n", standing.from()))
    });
    told.collect()
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
