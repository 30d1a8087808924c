//! `tuichat config`: where the settings are, what they are, what they could be.

use super::{Surroundings, print};
use crate::cli::ConfigCommand;
use crate::config;
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
            print(&toml::to_string(&settings).map_err(|error| Failure::error(error.to_string()))?)?;
        }
    }
    Ok(Exit::Success)
}
