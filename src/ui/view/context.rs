//! What the context holds, message by message, over the chat: in words and numbers, for whoever cannot see the marks
//! in the margin too.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::chat::Role;
use crate::engine::protocol::{Cost, KvInfo, MessageCost, Pin};
use crate::text::mebibytes;
use crate::ui::app::{Activity, App};
use crate::ui::theme::Theme;
use crate::ui::transcript::{Evicted, Hold, wrap};

use super::popups::open_box;
use super::{duration, fitted};

/// Columns of sentences; how many lines they take must not depend on the screen.
const WORDS_WIDTH: usize = 74;

pub fn draw(app: &App, top: u16, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let Some(cost) = app.cost() else {
        let inside = open_box("Context", "Esc closes", 1, theme, screen, frame);
        let words = match (app.model(), app.activity()) {
            (None, _) => "no model is loaded yet",
            (Some(_), Activity::Idle) => "counting",
            (Some(_), _) => "what the context holds is counted when the answer is done",
        };
        frame.render_widget(Paragraph::new(words).style(theme.dim), inside);
        return;
    };
    let table = Table { cost, cache: app.model().and_then(|model| model.kv.as_ref()), theme };
    let inside = open_box("Context", "Esc closes, Up and Down scroll", table.lines(0).len(), theme, screen, frame);
    frame.render_widget(Paragraph::new(table.lines(inside.width.into())).scroll((top, 0)), inside);
}

/// How many lines there are to scroll through.
pub fn height(app: &App) -> usize {
    let cache = app.model().and_then(|model| model.kv.as_ref());
    app.cost().map_or(0, |cost| Table { cost, cache, theme: app.theme() }.lines(0).len())
}

/// The breakdown of what the next turn costs. Where nothing was ever evicted there is no column for it.
struct Table<'a> {
    cost: &'a Cost,
    cache: Option<&'a KvInfo>,
    theme: &'a Theme,
}

/// A row's cells as they are shown.
#[derive(Default)]
struct Row<'a> {
    mark: &'a str,
    number: String,
    name: &'a str,
    tokens: String,
    cached: String,
    evicted: String,
    words: String,
}

impl Table<'_> {
    /// All lines at this width; how many there are does not depend on it.
    fn lines(&self, width: usize) -> Vec<Line<'static>> {
        let (cost, theme) = (self.cost, self.theme);
        let head =
            Row { tokens: "tokens".into(), cached: "cached".into(), evicted: "evicted".into(), ..Row::default() };
        let mut lines = vec![self.line(width, head).style(theme.dim)];
        // A question at the end is the one that is being written, which has no number yet.
        let is_written = cost.messages.last().is_some_and(|message| message.role == Role::User);
        let written = cost.messages.len() - usize::from(is_written);
        let messages =
            cost.messages.iter().enumerate().filter(|(index, message)| *index < written || message.tokens > 0);
        lines.extend(messages.map(|(index, message)| self.line(width, self.message(index, index < written, message))));
        lines.push(self.line(width, self.template()));
        lines.push(self.line(width, self.sum()).style(theme.strong));
        lines.push(self.line(width, self.free()));
        if cost.left_out_tokens > 0 {
            let words = "thoughts and recalls, gone next turn".into();
            lines.push(self.line(width, Row { tokens: cost.left_out_tokens.to_string(), words, ..named("left out") }));
        }
        lines.push(Line::default());
        lines.extend(self.legend().map(|legend| Line::raw(fitted(&legend, width, theme.ascii)).style(theme.dim)));
        lines.push(Line::raw(match cost.first_token_ms {
            Some(wait) => format!("The next answer begins in about {}.", duration(wait)),
            None => "How long the next answer takes to begin is known once something was computed.".into(),
        }));
        lines.extend(self.cache.into_iter().flat_map(|cache| self.about_cache(cache, width)));
        lines
    }

    /// What the KV cache is made of, and why: a line for each thing there is to say.
    fn about_cache(&self, cache: &KvInfo, width: usize) -> Vec<Line<'static>> {
        let KvInfo { type_k, type_v, bytes, reason, .. } = cache;
        let types = if type_k == type_v { type_k.clone() } else { format!("{type_k} for keys, {type_v} for values") };
        let first = format!("The KV cache is {types} and takes {}:", mebibytes(*bytes));
        let clauses = reason.split("; ").filter(|clause| !clause.is_empty()).map(|clause| format!("  {clause}"));
        let lines = std::iter::once(first).chain(clauses).flat_map(|line| wrap(&line, WORDS_WIDTH));
        lines.map(|line| Line::raw(fitted(&line, width, self.theme.ascii)).style(self.theme.dim)).collect()
    }

    fn line(&self, width: usize, row: Row) -> Line<'static> {
        let Row { mark, number, name, tokens, cached, evicted, words } = row;
        let evicted = if self.evicts() { format!("{evicted:>9}") } else { String::new() };
        let gap = " ".repeat(1usize.saturating_sub(mark.width()));
        let head = format!("{mark}{gap}{number:>3} {name:<9}{tokens:>8}{cached:>8}{evicted}  ");
        let room = width.saturating_sub(head.width());
        Line::raw(format!("{head}{}", fitted(&words, room, self.theme.ascii)))
    }

    fn message<'r>(&self, index: usize, is_sent: bool, message: &'r MessageCost) -> Row<'r> {
        let hold = Hold { evicted: Evicted::from(message), is_pinned: message.pin.is_wanted() };
        let pinned = match message.pin {
            Pin::None => "",
            Pin::Kept => "pinned: ",
            Pin::TooLong => "pinned, but too long to be kept: ",
        };
        Row {
            mark: hold.mark(self.theme).unwrap_or_default(),
            number: if is_sent { (index + 1).to_string() } else { String::new() },
            tokens: message.tokens.to_string(),
            cached: message.cached_tokens.to_string(),
            evicted: message.evicted_tokens.to_string(),
            words: format!("{pinned}{}", message.beginning),
            ..named(message.role.as_str())
        }
    }

    fn template(&self) -> Row<'static> {
        let cost = self.cost;
        let rest = |whole: u32, part: fn(&MessageCost) -> u32| {
            whole.saturating_sub(cost.messages.iter().map(part).sum()).to_string()
        };
        Row {
            tokens: rest(cost.prompt_tokens, |message| message.tokens),
            cached: rest(cost.cached_tokens, |message| message.cached_tokens),
            evicted: rest(cost.evicted_tokens, |message| message.evicted_tokens),
            words: "what the chat template adds".into(),
            ..named("template")
        }
    }

    fn sum(&self) -> Row<'static> {
        Row {
            tokens: self.cost.prompt_tokens.to_string(),
            cached: self.cost.cached_tokens.to_string(),
            evicted: self.cost.evicted_tokens.to_string(),
            ..named("in all")
        }
    }

    fn free(&self) -> Row<'static> {
        let cost = self.cost;
        let taken = cost.prompt_tokens.saturating_sub(cost.evicted_tokens);
        let what = if self.evicts() { "; what matters least goes" } else { " for the answer and what follows" };
        let words = format!("of {}{what}", cost.cells);
        Row { tokens: cost.cells.saturating_sub(taken).to_string(), words, ..named("free") }
    }

    fn evicts(&self) -> bool {
        self.cost.evicted_tokens > 0
    }

    /// What the marks mean, if there are any.
    fn legend(&self) -> Option<String> {
        let mark = |evicted, is_pinned| Hold { evicted, is_pinned }.mark(self.theme).unwrap_or_default();
        let mut meanings = Vec::new();
        if self.evicts() {
            meanings.push(format!("{} left the cache", mark(Evicted::All, false)));
            meanings.push(format!("{} left it in part", mark(Evicted::Part, false)));
        }
        if self.cost.messages.iter().any(|message| message.pin.is_wanted()) {
            meanings.push(format!("{} pinned", mark(Evicted::Nothing, true)));
        }
        (!meanings.is_empty()).then(|| meanings.join("   "))
    }
}

fn named(name: &str) -> Row<'_> {
    Row { name, ..Row::default() }
}
