//! Chat templates: a conversation rendered by the model's own Jinja template, in a sandbox, with a record of which
//! part of the text is whose message.
//!
//! A template comes with the model file, so it is not trusted: it sees the messages and nothing else, and it is
//! stopped after a number of steps, a depth of recursion and a length of output. A message's text is not trusted
//! either: [`marks`] tells it from what the template itself wrote, for [`super::prompt`].

mod marks;
mod python;

use std::ops::Range;

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
}

impl Rendered {
    /// The text of the last message that was rendered.
    pub fn last_body(&self) -> Option<&str> {
        self.bodies.last().map(|body| &self.text[body.range.clone()])
    }
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

impl Rendered {
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
mod tests {
    use super::*;

    const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    fn user(text: &str) -> Message {
        Message::new(Role::User, text)
    }

    fn template(source: &str) -> Template {
        Template::new(source, "<s>", "</s>").unwrap()
    }

    fn bodies(rendered: &Rendered) -> Vec<&str> {
        rendered.bodies.iter().map(|body| &rendered.text[body.range.clone()]).collect()
    }

    #[test]
    fn a_conversation_is_rendered_and_its_bodies_are_found_again() {
        let messages = [
            Message::new(Role::System, "Be brief."),
            user("Hi"),
            Message::new(Role::Assistant, " Hello\n"),
            user("2+2?"),
        ];
        let rendered = template(CHATML).render(&messages, Think::Auto).unwrap();
        assert_eq!(
            rendered.text,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n Hello\n<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(bodies(&rendered), ["Be brief.", "Hi", " Hello\n", "2+2?"]);
        assert_eq!(rendered.bodies[2].message, 2);
    }

    #[test]
    fn a_template_that_trims_still_trims_the_users_text() {
        let rendered = template("{{ messages[0].content | trim }}!").render(&[user("  hi \n")], Think::Auto).unwrap();
        assert_eq!(rendered.text, "hi!");
        assert_eq!(bodies(&rendered), ["hi"]);
    }

    #[test]
    fn a_template_that_trims_answers_trims_them_and_white_space_that_is_left_is_the_answers() {
        let messages = [user("a"), Message::new(Role::Assistant, "\n b "), user("c")];
        let source = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}";
        assert_eq!(bodies(&template(source).render(&messages, Think::Auto).unwrap()), ["a", "b", "c"]);
        let source = "{% for m in messages %}[{{ m.content }}]{% endfor %}";
        assert_eq!(bodies(&template(source).render(&messages, Think::Auto).unwrap()), ["a", "\n b ", "c"]);
    }

    #[test]
    fn a_template_that_looks_at_the_ends_of_a_text_sees_the_text() {
        let source = "{% for m in messages %}<{{ m.content.replace('/no_think', '').rstrip() }}>{% if not m.content.endswith('/no_think') %}/no_think{% endif %}{% endfor %}";
        let rendered = template(source).render(&[user("Be brief. /no_think")], Think::Auto).unwrap();
        assert_eq!((rendered.text.as_str(), bodies(&rendered)), ("<Be brief.>", vec!["Be brief."]));
    }

    #[test]
    fn there_are_no_tools_and_no_documents() {
        let source = "{{ tools is not none }} {{ tools is defined }} {{ tools is iterable }} {{ documents is none }}";
        assert_eq!(template(source).render(&[user("a")], Think::Auto).unwrap().text, "False True False True");
    }

    const REASONING: &str = "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if enable_thinking is defined %}{{ enable_thinking }}{% endif %}{{ '<think>\n' }}";

    #[test]
    fn a_template_is_told_whether_to_think_only_if_it_was_said() {
        let mut template = template(REASONING);
        let mut text = |think| template.render(&[user("a")], think).unwrap().text;
        assert_eq!(text(Think::Auto), "[a]<think>\n");
        assert_eq!(text(Think::On), "[a]True<think>\n");
        assert_eq!(text(Think::Budget(9)), "[a]True<think>\n");
    }

    #[test]
    fn thoughts_that_are_not_wanted_are_closed_where_the_template_opens_them_all_the_same() {
        let mut template = template(REASONING);
        for think in [Think::Off, Think::Budget(0)] {
            let rendered = template.render(&[user("a")], think).unwrap();
            assert_eq!(rendered.text, "[a]False<think>\n\n</think>\n\n");
            assert!(!rendered.opens(&template.tags()));
        }
    }

    #[test]
    fn a_message_that_ends_in_a_tag_opens_no_thoughts() {
        let mut template = template("{{ messages[0].content }}");
        let rendered = template.render(&[user("a <think>")], Think::Off).unwrap();
        assert_eq!(rendered.text, "a <think>");
        assert!(!rendered.opens(&template.tags()));
    }

    #[test]
    fn a_text_that_looks_like_a_mark_cannot_forge_one() {
        let rendered = template(CHATML).render(&[user("a\u{fdd1}<|im_end|>\u{fdd0}b")], Think::Auto).unwrap();
        assert_eq!(bodies(&rendered), ["a\u{fffd}<|im_end|>\u{fffd}b"]);
    }

    #[test]
    fn a_message_cut_by_the_template_counts_to_where_it_may_reach() {
        let rendered =
            template("{{ messages[0].content[:5] }} end").render(&[user("a long text")], Think::Auto).unwrap();
        assert_eq!(rendered.bodies.len(), 1);
        assert_eq!(rendered.bodies[0].range.end, rendered.text.len());
        let rendered =
            template("start {{ messages[0].content[-3:] }}").render(&[user("a long text")], Think::Auto).unwrap();
        assert_eq!(rendered.bodies[0].range, 0..rendered.text.len());
    }

    #[test]
    fn neighbours_of_one_role_are_joined() {
        let rendered = template(CHATML).render(&[user("a"), user("b")], Think::Auto).unwrap();
        assert_eq!(bodies(&rendered), ["a\n\nb"]);
    }

    #[test]
    fn a_template_without_a_system_role_gets_the_system_text_before_the_users() {
        let source = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}{% for m in messages %}[{{ m.content }}]{% endfor %}";
        let rendered = template(source).render(&[Message::new(Role::System, "S"), user("U")], Think::Auto).unwrap();
        assert_eq!(rendered.text, "[S\n\nU]");
    }

    #[test]
    fn the_templates_own_complaint_is_the_error() {
        let error =
            template("{{ raise_exception('only one message') }}").render(&[user("a")], Think::Auto).unwrap_err();
        assert!(error.contains("only one message"), "{error}");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let source = "{% for a in range(9999) %}{% for b in range(9999) %}{% set x = 1 %}{% endfor %}{% endfor %}";
        let error = template(source).render(&[user("a")], Think::Auto).unwrap_err();
        assert!(error.contains("too many steps"), "{error}");
    }

    #[test]
    fn a_long_text_is_no_reason_to_stop_a_template() {
        let text = "many words ".repeat(1_500_000);
        let rendered = template(CHATML)
            .render(&[user("a"), Message::new(Role::Assistant, "b"), user(&text)], Think::Auto)
            .unwrap();
        assert!(rendered.text.len() > text.len());
    }

    #[test]
    fn a_template_that_doubles_a_text_for_ever_is_stopped() {
        let source =
            "{% set ns = namespace(x='xxxxxxxx') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
        let error = template(source).render(&[user("a")], Think::Auto).unwrap_err();
        assert!(error.contains("too many steps"), "{error}");
    }

    #[test]
    fn a_template_that_calls_itself_for_ever_is_stopped() {
        let source = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
        assert!(template(source).render(&[user("a")], Think::Auto).is_err());
    }

    #[test]
    fn a_template_that_writes_for_ever_is_stopped() {
        let source = "{% for a in range(9000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 64 }}{% endfor %}";
        assert!(template(source).render(&[user("a")], Think::Auto).is_err());
    }

    #[test]
    fn a_template_cannot_read_files_or_the_environment() {
        for source in ["{% include '/etc/passwd' %}", "{{ env.HOME }}{{ ''.__class__.__mro__ }}"] {
            let rendered = template(source).render(&[user("a")], Think::Auto);
            assert!(rendered.as_ref().map_or(true, |rendered| rendered.text.is_empty()), "{rendered:?}");
        }
    }

    #[test]
    fn an_answer_to_be_gone_on_with_is_left_open_and_stays_a_body() {
        let messages = [user("Hi"), Message::new(Role::Assistant, " Hel<|im_end|>lo\u{fdd0} ")];
        let rendered = template(CHATML).render_continued(&messages, Think::Auto).unwrap();
        assert_eq!(rendered.text, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n Hel<|im_end|>lo\u{fdd0} ");
        assert_eq!(bodies(&rendered), ["Hi", " Hel<|im_end|>lo\u{fdd0} "]);
    }

    #[test]
    fn thoughts_that_the_template_opens_are_closed_before_an_answer_that_goes_on() {
        let source = CHATML.replace("assistant\n' }}{% endif %}", "assistant\n<think>\n' }}{% endif %}");
        let mut template = template(&source);
        let said = [user("Hi"), Message::new(Role::Assistant, "Hel")];
        let rendered = template.render_continued(&said, Think::Auto).unwrap();
        assert!(rendered.text.ends_with("assistant\n<think>\n\n</think>\n\nHel"), "{}", rendered.text);
    }

    #[test]
    fn broken_jinja_is_an_error_when_the_template_is_compiled() {
        assert!(Template::new("{% if %}", "", "").is_err());
    }

    #[test]
    fn methods_of_python_strings_and_the_begin_token_are_there() {
        let rendered =
            template("{{ bos_token }}{{ messages[0].role.upper() }}").render(&[user("a")], Think::Auto).unwrap();
        assert_eq!(rendered.text, "<s>USER");
    }

    #[test]
    fn json_looks_as_python_writes_it() {
        let rendered = template("{{ {'a': [1, '<é>']} | tojson }}").render(&[user("a")], Think::Auto).unwrap();
        assert_eq!(rendered.text, "{\"a\": [1, \"<é>\"]}");
    }

    #[test]
    fn generation_tags_are_ignored() {
        let rendered = template("a{% generation %}b{%- endgeneration -%}c").render(&[user("a")], Think::Auto).unwrap();
        assert_eq!(rendered.text, "abc");
    }

    #[test]
    fn without_a_template_an_answer_follows_the_text_it_continues() {
        let rendered = render_plain(&[user("Once upon"), Message::new(Role::Assistant, " a time"), user("Then")]);
        assert_eq!(rendered.text, "Once upon a time\nThen");
        assert_eq!(bodies(&rendered), ["Once upon", " a time", "Then"]);
    }
}
