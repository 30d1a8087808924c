//! `tuichat engines …` as it is typed.

use clap::Subcommand;

use crate::config::EngineName;

#[derive(Subcommand, Clone, Debug, PartialEq)]
pub enum EnginesCommand {
    /// List the servers that config.toml describes; none is asked
    List {
        /// One JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Ask a server for its models and for one token, and say what it can do or what is wrong
    Check {
        /// A server of config.toml, or its address; without it, the one that is set
        #[arg(value_name = "NAME|URL")]
        engine: Option<EngineName>,
        /// The model that is asked for the token
        #[arg(short, long, value_name = "NAME")]
        model: Option<String>,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}
