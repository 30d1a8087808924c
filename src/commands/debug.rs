//! `tuichat debug`: what happens inside, for people who debug templates and models.

use std::io;
use std::path::Path;

use super::{Surroundings, print_json};
use crate::chat::Message;
use crate::cli::DebugCommand;
use crate::engine::inspect;
use crate::exit::{Exit, Failure};
use crate::text::plain;
use crate::text_file;

/// # Errors
/// If the conversation, the model or the template cannot be read, or the template fails.
pub fn run(command: DebugCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let DebugCommand::Prompt { messages, model, template, think } = command;
    let think = think.unwrap_or(surroundings.config.generate.think);
    let messages = read_messages(&messages)?;
    let inspection = match template {
        Some(template) => {
            inspect::with_template(&text_file::read(&template).map_err(Failure::usage)?, &messages, think)
        }
        None => {
            let name = model.as_deref().or(surroundings.config.model.as_deref());
            inspect::with_model(&surroundings.library().resolve(name)?.path, &messages, think)
        }
    };
    print_json(&inspection.map_err(|error| Failure::from(&error))?)?;
    Ok(Exit::Success)
}

fn read_messages(path: &Path) -> Result<Vec<Message>, Failure> {
    let text =
        if path == Path::new("-") { text_file::read_from(io::stdin().lock(), "stdin") } else { text_file::read(path) };
    serde_json::from_str(&text.map_err(Failure::usage)?).map_err(|error| {
        Failure::usage(format!("`{}` holds no messages: {}", path.display(), plain::json(&error)))
            .hint("it should be like `[{\"role\": \"user\", \"content\": \"Hello\"}]`")
    })
}
