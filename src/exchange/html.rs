//! The branch that a chat goes on with, as a page: Markdown as it would be shown, and everything else as text. Nothing
//! in it is run or fetched: HTML that was said is shown as it was written, a picture is a link, and an address is one
//! only if it leads to the web or to a mailbox.

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};

use super::{how, who};
use crate::chat::Role;
use crate::store::{WholeChat, WholeMessage};

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h1, h2 { line-height: 1.25; }
article { border-top: 1px solid #8884; padding: .5rem 0; overflow-wrap: anywhere; }
article > h2 { font-size: 1rem; margin: .5rem 0; } article > h2 small { font-weight: normal; opacity: .7; }
.question > .said, .system > .said { white-space: pre-wrap; }
.question > .said { border-left: 3px solid #58f; padding-left: .75rem; }
pre { overflow-x: auto; background: #8882; padding: .75rem; border-radius: .4rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { border: 1px solid #8886; padding: .2rem .6rem; }
blockquote { border-left: 3px solid #8886; margin-left: 0; padding-left: .75rem; }
details { opacity: .8; } details > div { white-space: pre-wrap; }
";

/// A page that needs nothing beside it.
pub(super) fn page(chat: &WholeChat) -> String {
    let title = escaped(&chat.title);
    let mut page = format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    for message in chat.branch() {
        article(message, &mut page);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn article(message: &WholeMessage, page: &mut String) {
    let class = match message.role {
        Role::System => "system",
        Role::User => "question",
        Role::Assistant => "answer",
    };
    let who = escaped(who(message));
    let how = how(message).map_or(String::new(), |how| format!(", {how}"));
    let time = message.created_at.map(|time| time.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let about = escaped(&format!("{}{how}", time.unwrap_or_default()));
    page.push_str(&format!("<article class=\"{class}\" dir=\"auto\">\n<h2>{who} <small>{about}</small></h2>\n"));
    if !message.thinking.trim().is_empty() {
        let thoughts = escaped(message.thinking.trim());
        page.push_str(&format!("<details><summary>Thoughts</summary><div>{thoughts}</div></details>\n"));
    }
    let said = match message.role {
        Role::Assistant => markdown(&message.content),
        Role::User | Role::System => escaped(message.content.trim_end()),
    };
    page.push_str(&format!("<div class=\"said\">{said}</div>\n</article>\n"));
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            // No browser shows these, and some obey them.
            _ if character.is_control() => escaped.push('\u{fffd}'),
            // They would turn the text round them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.push_str(&format!("&lt;U+{:04X}&gt;", u32::from(character)))
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Whether a link may lead there.
fn is_harmless(address: &str) -> bool {
    let address = address.trim_start().to_ascii_lowercase();
    ["http://", "https://", "mailto:"].iter().any(|scheme| address.starts_with(scheme))
}

fn markdown(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer::default();
    Parser::new_ext(text, options).for_each(|event| writer.event(event));
    writer.html
}

/// What is open while the events of a text are written.
#[derive(Default)]
struct Writer {
    html: String,
    /// The columns of the table.
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    /// Whether each link that is open leads somewhere.
    links: Vec<bool>,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.html.push_str(&escaped(&text)),
            Event::Code(code) | Event::InlineMath(code) | Event::DisplayMath(code) => {
                self.html.push_str(&format!("<code>{}</code>", escaped(&code)))
            }
            Event::FootnoteReference(name) => self.html.push_str(&format!("[{}]", escaped(&name))),
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br>\n"),
            Event::Rule => self.html.push_str("<hr>\n"),
            Event::TaskListMarker(is_done) => self.html.push_str(if is_done { "☑ " } else { "☐ " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        let html = match tag {
            Tag::Paragraph => "<p>".into(),
            // The page's own headings are the first two.
            Tag::Heading { level, .. } => format!("<h{}>", (level as usize + 2).min(6)),
            Tag::BlockQuote(_) => "<blockquote>".into(),
            Tag::CodeBlock(kind) => format!("<pre><code{}>", language(&kind)),
            Tag::List(Some(first)) => format!("<ol start=\"{first}\">\n"),
            Tag::List(None) => "<ul>\n".into(),
            Tag::Item => "<li>".into(),
            Tag::Table(columns) => {
                self.columns = columns;
                "<table>\n".into()
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                "<thead><tr>".into()
            }
            Tag::TableRow => {
                self.column = 0;
                "<tr>".into()
            }
            Tag::TableCell => {
                let align = match self.columns.get(self.column) {
                    Some(Alignment::Left) => " style=\"text-align: left\"",
                    Some(Alignment::Center) => " style=\"text-align: center\"",
                    Some(Alignment::Right) => " style=\"text-align: right\"",
                    Some(Alignment::None) | None => "",
                };
                self.column += 1;
                format!("<{}{align}>", self.cell())
            }
            Tag::Emphasis => "<em>".into(),
            Tag::Strong => "<strong>".into(),
            Tag::Strikethrough => "<del>".into(),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.link(&dest_url),
            _ => String::new(),
        };
        self.html.push_str(&html);
    }

    fn link(&mut self, address: &CowStr<'_>) -> String {
        // A link within a link is none.
        let leads = is_harmless(address) && !self.links.contains(&true);
        self.links.push(leads);
        match leads {
            true => format!("<a href=\"{}\" rel=\"noreferrer noopener\">", escaped(address)),
            false => String::new(),
        }
    }

    fn cell(&self) -> &'static str {
        if self.in_head { "th" } else { "td" }
    }

    fn end(&mut self, tag: TagEnd) {
        let html = match tag {
            TagEnd::Paragraph => "</p>\n".into(),
            TagEnd::Heading(level) => format!("</h{}>\n", (level as usize + 2).min(6)),
            TagEnd::BlockQuote(_) => "</blockquote>\n".into(),
            TagEnd::CodeBlock => "</code></pre>\n".into(),
            TagEnd::List(true) => "</ol>\n".into(),
            TagEnd::List(false) => "</ul>\n".into(),
            TagEnd::Item => "</li>\n".into(),
            TagEnd::Table => "</table>\n".into(),
            TagEnd::TableHead => {
                self.in_head = false;
                "</tr></thead>\n".into()
            }
            TagEnd::TableRow => "</tr>\n".into(),
            TagEnd::TableCell => format!("</{}>", self.cell()),
            TagEnd::Emphasis => "</em>".into(),
            TagEnd::Strong => "</strong>".into(),
            TagEnd::Strikethrough => "</del>".into(),
            TagEnd::Link | TagEnd::Image => {
                if self.links.pop() == Some(true) {
                    "</a>".into()
                } else {
                    String::new()
                }
            }
            _ => String::new(),
        };
        self.html.push_str(&html);
    }
}

/// The language of a code block, for whoever colours the page later.
fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else { return String::new() };
    let word: String =
        info.chars().take_while(|character| character.is_ascii_alphanumeric() || "+#-_".contains(*character)).collect();
    if word.is_empty() { String::new() } else { format!(" class=\"language-{word}\"") }
}
