//! How the state of a run is drawn.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::state::{Curve, Row, Stage, State};
use crate::bench::statistics::Interval;
use crate::text::fitted;
use crate::ui::theme::Theme;

/// From this width on, curves stand beside the cases.
const WIDE: u16 = 100;
/// A curve in fewer lines shows nothing.
const LEAST_CURVE: u16 = 4;
/// Cases that are shown at least where curves stand below them.
const LEAST_ROWS: u16 = 4;
const TITLE: &str = "tuichat bench";

pub fn draw(state: &State, theme: &Theme, frame: &mut Frame) {
    let area = frame.area();
    let note = u16::from(!state.notes.is_empty());
    let lines = [1, 1, 1, 1].map(Constraint::Length);
    let [title, model, progress, _space] = Layout::vertical(lines).areas(Rect { height: area.height.min(4), ..area });
    let below = Rect { y: area.y + title.height.max(1) * 4, height: area.height.saturating_sub(4), ..area };
    let [body, noted, foot] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(note), Constraint::Length(1)]).areas(below);
    let name = (format!("{TITLE}, suite {}", state.suite), theme.heading);
    spread(frame, title, name, Span::styled(format!("{} ", times(state)), theme.text), theme.ascii);
    let width = usize::from(area.width).saturating_sub(2);
    let whole = |text: &str| format!(" {}", fitted(text, width, theme.ascii));
    frame.render_widget(Line::styled(whole(&state.model), theme.dim), model);
    bar(state, theme, frame, progress);
    let curves = curves(state);
    let [cases, beside] = split(body, state.rows.len() as u16, !curves.is_empty());
    // Before the first case is known there is room to say what is done until then.
    let (shown, doing) = match state.rows.is_empty() {
        true => (vec![Line::styled(whole(&state.doing), theme.text)], String::new()),
        false => (rows(state, theme, cases), state.doing.clone()),
    };
    frame.render_widget(Paragraph::new(shown), cases);
    draw_curves(&curves, theme, frame, beside);
    if let Some(sentence) = state.notes.last() {
        frame.render_widget(Line::styled(whole(sentence), theme.warning), noted);
    }
    let keys = match (state.is_stopping, state.rows.is_empty()) {
        (true, _) => "  stopping; again to leave at once ",
        (false, true) => "  q stops ",
        (false, false) => "  q stops and keeps what is there ",
    };
    spread(frame, foot, (doing, theme.text), Span::styled(keys, theme.dim), theme.ascii);
}

/// One text to the left, one to the right; the left one gives way.
fn spread(frame: &mut Frame, area: Rect, (left, style): (String, Style), right: Span, ascii: bool) {
    let width = (right.content.width() as u16).min(area.width);
    let [rest, end] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).areas(area);
    let left = fitted(&left, usize::from(rest.width).saturating_sub(1), ascii);
    frame.render_widget(Line::styled(format!(" {left}"), style), rest);
    frame.render_widget(Line::from(right), end);
}

/// `0:42, about 1:10 left`.
fn times(state: &State) -> String {
    let clock = |time: Duration| format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60);
    let left = state.time_left().map(|left| format!(", about {} left", clock(left))).unwrap_or_default();
    format!("{}{left}", clock(state.elapsed()))
}

fn bar(state: &State, theme: &Theme, frame: &mut Frame, area: Rect) {
    let Some(share) = state.share() else { return };
    let (full, empty) = if theme.ascii { ("#", "-") } else { ("█", "░") };
    let width = usize::from(area.width).saturating_sub(8);
    let done = (share * width as f64).round() as usize;
    let line = Line::from(vec![
        Span::raw(" "),
        Span::styled(full.repeat(done), theme.accent),
        Span::styled(empty.repeat(width - done), theme.border),
        Span::styled(format!(" {:>3.0} %", share * 100.0), theme.text),
    ]);
    frame.render_widget(line, area);
}

/// Where the cases stand, and where the curves.
fn split(body: Rect, rows: u16, has_curves: bool) -> [Rect; 2] {
    if !has_curves {
        return [body, Rect::default()];
    }
    if body.width >= WIDE {
        return Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body);
    }
    let rows = (rows + 1).min((body.height / 2).max(LEAST_ROWS));
    Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(body)
}

/// As many cases as there is room for, among them the one that is being timed; of those that compete the fastest.
fn rows<'a>(state: &State, theme: &Theme, area: Rect) -> Vec<Line<'a>> {
    let room = usize::from(area.height);
    let current = state.rows.iter().position(|row| row.stage == Stage::Running);
    let current = current.or_else(|| state.rows.iter().rposition(|row| row.stage == Stage::Done)).unwrap_or_default();
    let around_current = (current + 1 + room / 3).min(state.rows.len()).saturating_sub(room);
    let first = state.ranked_from().unwrap_or(around_current);
    let shown = &state.rows[first.min(state.rows.len())..];
    let width = usize::from(area.width).saturating_sub(2);
    shown.iter().take(room).map(|row| line(row, state.is_at(row), theme, width)).collect()
}

fn line<'a>(row: &Row, is_at: bool, theme: &Theme, width: usize) -> Line<'a> {
    let stage = if row.stage == Stage::Running && !is_at { Stage::Begun } else { row.stage };
    let (mark, style) = match (stage, theme.ascii) {
        (Stage::ToCome, false) => ("·", theme.dim),
        (Stage::ToCome, true) => (".", theme.dim),
        (Stage::Begun, false) => ("·", theme.text),
        (Stage::Begun, true) => (".", theme.text),
        (Stage::Running, false) => ("▶", theme.accent),
        (Stage::Running, true) => (">", theme.accent),
        (Stage::Done, false) => ("✓", theme.user),
        (Stage::Done, true) => ("x", theme.user),
        (Stage::Out, false) => ("✗", theme.dim),
        (Stage::Out, true) => ("-", theme.dim),
    };
    let count = match row.wanted {
        0 if row.samples.len() > 1 => format!("{}×", row.samples.len()),
        0 => String::new(),
        wanted => format!("{}/{}", if row.stage == Stage::Done { wanted } else { row.samples.len() as u32 }, wanted),
    };
    let speed = if row.samples.is_empty() { String::new() } else { Interval::of(&row.samples).told(1) };
    let figures = format!("{count:>7} {speed:>16} t/s");
    let figures = if theme.ascii { figures.replace('±', "+-").replace('×', "x") } else { figures };
    let figures = if row.samples.is_empty() { format!("{count:>7} {:>20}", "") } else { figures };
    let room = width.saturating_sub(2 + figures.width());
    let name = fitted(&row.name, room, theme.ascii);
    let space = " ".repeat(room.saturating_sub(name.width()));
    let is_dim = matches!(row.stage, Stage::ToCome | Stage::Out);
    Line::from(vec![
        Span::styled(format!(" {mark} "), style),
        Span::styled(name, style),
        Span::styled(format!("{space}{figures}"), if is_dim { theme.dim } else { theme.text }),
    ])
}

/// A curve and what it is called.
struct Drawn<'a> {
    title: String,
    curve: &'a Curve,
    from_zero: bool,
}

/// Those that have something to show.
fn curves(state: &State) -> Vec<Drawn<'_>> {
    let now = state
        .current_speed()
        .map_or_else(|| "tokens per second until now".into(), |speed| format!("writing: {speed:.1} tokens per second"));
    let of = |curve: &'_ Curve, unit: &str, digits: usize| curve.last().map(|value| format!("{value:.digits$} {unit}"));
    let speed = Drawn { title: now, curve: &state.speed, from_zero: true };
    let clock = of(&state.mhz, "MHz", 0).map(|clock| format!(", {clock}")).unwrap_or_default();
    let celsius = of(&state.celsius, "°C", 0).map(|celsius| format!("{celsius}{clock}"));
    let others = [(&state.celsius, celsius), (&state.watts, of(&state.watts, "W", 2))];
    let others = others.into_iter().filter_map(|(curve, title)| Some(Drawn { title: title?, curve, from_zero: false }));
    std::iter::once(speed).chain(others).filter(|drawn| drawn.curve.moments.len() > 1).collect()
}

fn draw_curves(curves: &[Drawn], theme: &Theme, frame: &mut Frame, area: Rect) {
    if curves.is_empty() || area.is_empty() {
        return;
    }
    let Some((first, others)) = curves.split_first() else { return };
    let fits = usize::from((area.height / LEAST_CURVE).max(1)) - 1;
    if area.width >= WIDE / 2 && fits >= others.len() && !others.is_empty() {
        let heights = std::iter::once(Constraint::Fill(2)).chain(others.iter().map(|_| Constraint::Fill(1)));
        let areas = Layout::vertical(heights).split(area);
        curves.iter().zip(areas.iter()).for_each(|(drawn, area)| draw_curve(drawn, theme, frame, *area));
        return;
    }
    let widths = std::iter::once(Constraint::Fill(2)).chain(others.iter().map(|_| Constraint::Fill(1)));
    let areas = Layout::horizontal(widths).split(area);
    std::iter::once(first)
        .chain(others)
        .zip(areas.iter())
        .for_each(|(drawn, area)| draw_curve(drawn, theme, frame, *area));
}

fn draw_curve(drawn: &Drawn, theme: &Theme, frame: &mut Frame, area: Rect) {
    let title = Rect { height: 1, ..area };
    let title_width = usize::from(area.width).saturating_sub(2);
    let words = if theme.ascii { drawn.title.replace('°', "") } else { drawn.title.clone() };
    frame.render_widget(Line::styled(format!(" {}", fitted(&words, title_width, theme.ascii)), theme.dim), title);
    let below =
        Rect { y: area.y + 1, height: area.height.saturating_sub(1), width: area.width.saturating_sub(1), ..area };
    if theme.ascii || below.height + 1 < LEAST_CURVE {
        return;
    }
    let values = drawn.curve.moments.iter().map(|(_, value)| *value);
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = if drawn.from_zero { (0.0, high * 1.1) } else { (low - 1.0, high + 1.0) };
    let first = drawn.curve.moments.first().map_or(0.0, |(at, _)| *at);
    let last = drawn.curve.moments.last().map_or(1.0, |(at, _)| *at).max(first + 1.0);
    let digits = if high - low < 10.0 { 1 } else { 0 };
    let labels = [low, high].map(|value| Span::styled(format!("{value:>5.digits$}"), theme.dim));
    let data = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(theme.accent)
        .data(&drawn.curve.moments);
    let chart = Chart::new(vec![data])
        .x_axis(Axis::default().bounds([first, last]).style(Style::new()))
        .y_axis(Axis::default().bounds([low, high]).labels(labels).style(theme.border));
    frame.render_widget(chart, below);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::Event;
    use super::super::state::tests::Told;
    use super::*;

    fn screen(state: &State, theme: &Theme, (width, height): (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(state, theme, frame)).unwrap();
        terminal.backend().to_string()
    }

    /// In the middle of a run over two depths.
    fn told() -> Told {
        let mut told = Told::new("depth");
        told.tell(Event::Model("SmolLM2 (llama Q4_1, 2 threads, CPU)".into()));
        told.expect(&["pp128", "tg32", "pp128 @ d1024", "tg32 @ d1024"], 5);
        for round in 0..2_u64 {
            told.item(["pp128", "tg32"], [800 + 10 * round, 60 + round]);
            told.item(["pp128 @ d1024", "tg32 @ d1024"], [640 - 5 * round, 50 - round]);
        }
        told.tell(Event::Finished { case: "pp128".into(), mean: Some(805.0) });
        told.tell(Event::Doing("round 3 of 5".into()));
        told.begin("tg32");
        told.compute(2, 60);
        told
    }

    #[test]
    fn a_small_terminal_has_the_cases_above_the_speed() {
        insta::assert_snapshot!(screen(&told().state, &Theme::plain(), (80, 24)));
    }

    #[test]
    fn a_large_terminal_has_the_curves_beside_the_cases() {
        let mut told = told();
        for degree in 0..20 {
            told.compute(1, 60 - degree / 3);
            told.feel(48.0 + degree as f64 / 2.0, 5.5 + (degree % 3) as f64 / 4.0);
        }
        insta::assert_snapshot!(screen(&told.state, &Theme::plain(), (120, 40)));
    }

    #[test]
    fn a_search_shows_those_that_compete_the_fastest_first() {
        let mut told = Told::new("tune");
        told.tell(Event::Model("SmolLM2 (llama Q4_1, 2 threads, CPU)".into()));
        told.compute(3, 60);
        let speeds = [58.1, 61.3, 60.2];
        told.rank(&[
            ("512 at once, f16", &speeds, false),
            ("256 at once, f16", &speeds.map(|speed| speed + 4.0), false),
            ("128 at once, f16", &speeds[..2].iter().map(|speed| speed / 2.0).collect::<Vec<_>>(), true),
            ("512 at once, q8_0", &[], false),
        ]);
        told.tell(Event::Doing("prompts, timing 14: 512 at once, q8_0".into()));
        insta::assert_snapshot!(screen(&told.state, &Theme::plain(), (80, 24)));
    }

    #[test]
    fn before_anything_is_known_it_says_what_it_is_doing() {
        let mut told = Told::new("quick");
        told.tell(Event::Doing("loading SmolLM2".into()));
        told.tell(Event::Noted("note: the battery is low".into()));
        insta::assert_snapshot!(screen(&told.state, &Theme::plain(), (60, 10)));
    }

    #[test]
    fn a_terminal_without_unicode_gets_none() {
        let mut told = told();
        told.feel(50.0, 5.0);
        told.feel(51.0, 5.0);
        told.state.is_stopping = true;
        let screen = screen(&told.state, &Theme { ascii: true, ..Theme::plain() }, (80, 24));
        let inside: String = screen.lines().map(|line| line.trim_matches('"')).collect();
        assert!(inside.is_ascii() && inside.contains("+-") && inside.contains("again to leave at once"), "{screen}");
    }

    #[test]
    fn no_size_is_too_small_and_no_list_too_long() {
        let mut told = told();
        told.expect(
            &(0..200)
                .map(|number| format!("case {number}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
            2,
        );
        told.begin("case 150");
        for size in [(1, 1), (5, 3), (20, 5), (40, 6), (99, 12), (100, 8), (300, 90)] {
            screen(&told.state, &Theme::plain(), size);
        }
        assert!(screen(&told.state, &Theme::plain(), (80, 24)).contains("case 150"));
    }
}
