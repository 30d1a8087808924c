//! Chat templates: a conversation rendered by the model's own Jinja template, in a sandbox, with a record of which
//! part of the text is whose message.
//!
//! A template comes with the model file, so it is not trusted: it sees the messages and nothing else, and it is
//! stopped after a number of steps, a depth of recursion and a length of output. A message's text is not trusted
//! either: [`marks`] tells it from what the template itself wrote, for [`super::prompt`].

mod marks;
mod python;

use std::ops::Range;

use jiff::Zoned;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, context};

use super::protocol::Think;
use super::thinking::Tags;
use crate::chat::{Message, Role};

/// Steps a template may take, and more for each message. The longest common templates take some hundreds a message.
const FUEL: u64 = 100_000;
const FUEL_PER_MESSAGE: u64 = 10_000;
/// A step also pays for copying 64 bytes. A template copies a text for every `+` it stands in, so a few dozen times.
const FUEL_PER_BYTE: u64 = 1;
const RECURSION_LIMIT: usize = 50;
/// Bytes a template may add to the messages' own, and more for each message.
const OUTPUT_BASE: usize = 1 << 20;
const OUTPUT_PER_MESSAGE: usize = 4096;

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    tags: Tags,
}

/// A rendered conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// Which bytes of `text` are whose message, in order and without overlaps.
    pub bodies: Vec<Body>,
    /// Where parts of messages may be that the template cut into pieces.
    pub doubts: Vec<Doubt>,
}

/// A part of the rendered text that came from a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub range: Range<usize>,
    /// The message, counted as they were rendered.
    pub message: usize,
    /// Whose it is.
    pub role: Role,
}

/// A part of the rendered text of which it is not known what came from a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub range: Range<usize>,
    /// The whole text of that message.
    pub message: String,
}

impl Rendered {
    /// The text of the last message that was rendered.
    pub fn last_body(&self) -> Option<&str> {
        self.bodies.last().map(|body| &self.text[body.range.clone()])
    }

    /// Whether these bytes of the text came from a message, in part at least, or may have.
    pub fn is_of_message(&self, range: Range<usize>) -> bool {
        let overlaps = |other: &Range<usize>| other.start < range.end && range.start < other.end;
        let first = self.bodies.partition_point(|body| body.range.end <= range.start);
        let may_be = |doubt: &Doubt| overlaps(&doubt.range) && doubt.message.contains(&self.text[range.clone()]);
        self.bodies.get(first).is_some_and(|body| overlaps(&body.range)) || self.doubts.iter().any(may_be)
    }

    /// Whether the template left the model amid its thoughts.
    pub fn opens(&self, tags: &Tags) -> bool {
        tags.are_open_at_the_end_of(&self.text[self.bodies.last().map_or(0, |last| last.range.end)..])
    }
}

impl Template {
    /// Compiles a template. `begin_text` and `end_text` are the texts of the tokens that begin and end a text.
    ///
    /// # Errors
    /// Says where the template is not valid Jinja.
    pub fn new(source: &str, begin_text: &str, end_text: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| describe(&error))?);
        environment.set_recursion_limit(RECURSION_LIMIT);
        python::add_to(&mut environment);
        let tags = Tags::of(source);
        let source = python::without_generation_tags(source);
        environment.add_template_owned("chat", source).map_err(|error| describe(&error))?;
        environment.add_global("bos_token", begin_text);
        environment.add_global("eos_token", end_text);
        Ok(Self { environment, tags })
    }

    /// Has the template believe that it is this time.
    pub fn set_clock(&mut self, now: Zoned) {
        python::set_clock(&mut self.environment, now);
    }

    /// How the model marks its thoughts.
    pub fn tags(&self) -> Tags {
        self.tags
    }

    /// Renders the conversation up to where the assistant is to speak.
    ///
    /// Two messages of the same role in a row are joined, and where the template takes no system message it is put
    /// before the first user's, as chat templates of models without a system role expect.
    ///
    /// Where the model is not to think and the template all the same opens the thoughts, they are closed at once.
    ///
    /// # Errors
    /// The template's own complaint, or that it took too many steps or wrote too much.
    pub fn render(&mut self, messages: &[Message], think: Think) -> Result<Rendered, String> {
        let messages = joined_by_role(messages);
        let rendered = self.render_as_given(&messages, think).or_else(|error| match without_system(&messages) {
            Some(messages) => self.render_as_given(&messages, think).map_err(|_| error),
            None => Err(error),
        });
        let mut rendered = rendered?;
        if think.is_wanted() == Some(false) && rendered.opens(&self.tags) {
            let closing = self.tags.closing(rendered.text.ends_with('\n'));
            rendered.text.push_str(&closing);
        }
        Ok(rendered)
    }

    /// Renders a conversation whose last message is an answer to be gone on with: up to where the assistant speaks,
    /// then that answer to the letter, without an end. Thoughts that the template opens are closed, for the answer is
    /// what comes after them.
    ///
    /// # Errors
    /// As for [`Template::render`].
    pub fn render_continued(&mut self, messages: &[Message], think: Think) -> Result<Rendered, String> {
        let messages = joined_by_role(messages);
        let Some((answer, before)) = messages.split_last() else { return Ok(Rendered::default()) };
        let mut rendered = self.render(before, think)?;
        if rendered.opens(&self.tags) {
            let closing = self.tags.closing(rendered.text.ends_with('\n'));
            rendered.text.push_str(&closing);
        }
        let start = rendered.text.len();
        rendered.text.push_str(&answer.text);
        rendered.bodies.push(Body {
            range: start..rendered.text.len(),
            message: messages.len() - 1,
            role: answer.role,
        });
        Ok(rendered)
    }

    fn render_as_given(&mut self, messages: &[Message], think: Think) -> Result<Rendered, String> {
        let messages: Vec<_> = messages.iter().map(marks::cleaned).collect();
        let plain = self.write(&messages, think)?;
        let marked: Vec<_> = messages.iter().enumerate().map(|(index, message)| marks::mark(index, message)).collect();
        let marked = self.write(&marked, think)?;
        Ok(marks::carry_over(marks::unmark(&marked, &messages), plain))
    }

    /// What the template writes of these messages, to the letter.
    fn write(&mut self, messages: &[Message], think: Think) -> Result<String, String> {
        let count = messages.len();
        let bytes: usize = messages.iter().map(|message| message.text.len()).sum();
        self.environment.set_fuel(Some(FUEL + FUEL_PER_MESSAGE * count as u64 + FUEL_PER_BYTE * bytes as u64));
        let messages: Value = messages
            .iter()
            .map(|message| Value::from_pairs([("role", message.role.as_str()), ("content", message.text.as_str())]))
            .collect();
        let mut output = Limited { bytes: Vec::new(), left: bytes + OUTPUT_BASE + OUTPUT_PER_MESSAGE * count };
        let template = self.environment.get_template("chat").map_err(|error| describe(&error))?;
        // As in transformers, what there is none of is none and not undefined: templates ask `tools is not none`.
        let variables = context! {
            messages, add_generation_prompt => true, tools => (), documents => (), ..variables_of(think)
        };
        template.render_captured_to(variables, &mut output).map_err(|error| describe(&error))?;
        String::from_utf8(output.bytes).map_err(|_| "it wrote something that is not UTF-8".to_owned())
    }
}

/// What a template is told of whether to think, under the names that templates ask for: `enable_thinking` (Qwen, GLM,
/// SmolLM and most others), `thinking` (DeepSeek, Granite, Kimi), `reasoning` (Command), `thinking_mode` (MiniMax),
/// `thinking_budget` (Seed-OSS).
fn variables_of(think: Think) -> Value {
    let switches = think.is_wanted().into_iter().flat_map(|wanted| {
        let mode = if wanted { "enabled" } else { "disabled" };
        let switches = ["enable_thinking", "thinking", "reasoning"].map(|name| (name, Value::from(wanted)));
        switches.into_iter().chain([("thinking_mode", Value::from(mode))])
    });
    let budget = think.most_tokens().map(|tokens| ("thinking_budget", Value::from(tokens)));
    Value::from_pairs(switches.chain(budget))
}

/// The conversation for a model without a template: the texts one after the other, an answer right behind what it
/// continues, everything else on a new line.
pub fn render_plain(messages: &[Message]) -> Rendered {
    let mut rendered = Rendered::default();
    for (index, message) in messages.iter().enumerate() {
        let text = &mut rendered.text;
        if message.role != Role::Assistant && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let start = text.len();
        text.push_str(&message.text);
        rendered.bodies.push(Body { range: start..rendered.text.len(), message: index, role: message.role });
    }
    rendered
}

/// Joins neighbours of one role, since many templates insist on alternating ones.
fn joined_by_role(messages: &[Message]) -> Vec<Message> {
    let mut joined: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match joined.last_mut() {
            Some(last) if last.role == message.role => {
                last.text.push_str("\n\n");
                last.text.push_str(&message.text);
            }
            _ => joined.push(message.clone()),
        }
    }
    joined
}

/// The conversation with its system message put before the first message of the user; `None` if it has none.
fn without_system(messages: &[Message]) -> Option<Vec<Message>> {
    let (system, rest) = messages.split_first().filter(|(first, _)| first.role == Role::System)?;
    let mut rest = rest.to_vec();
    let user = rest.iter_mut().find(|message| message.role == Role::User)?;
    user.text = format!("{}\n\n{}", system.text, user.text);
    Some(rest)
}

/// Collects output up to a limit.
struct Limited {
    bytes: Vec<u8>,
    left: usize,
}

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| std::io::Error::other("it writes too much"))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn describe(error: &Error) -> String {
    let mut text = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        _ => error.to_string(),
    };
    if let Some(source) = std::error::Error::source(error) {
        text.push_str(&format!(": {source}"));
    }
    crate::text::escape_line(&text)
}

#[cfg(test)]
mod tests;
