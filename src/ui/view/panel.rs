//! The panel of settings over the chat: a row for each, and what there is to know of the chosen one below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::config::{Origin, Standing};
use crate::ui::app::{App, Panel, counts_from};
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

use super::popups::open_box;
use super::{field, fitted, padded, rule};

/// Columns of the names, and of where values are from.
const NAME_WIDTH: usize = 20;
const ORIGIN_WIDTH: usize = 12;
/// Rows of what a setting is for, and below so many rows of the panel.
const MOST_ABOUT: u16 = 4;
const FEW_ABOUT: u16 = 2;
const ROWS_FOR_MORE: u16 = 14;

pub fn draw(app: &App, panel: &Panel, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let inside = open_box("Settings", keys(panel), usize::MAX, theme, screen, frame);
    if inside.is_empty() {
        return;
    }
    let about = if inside.height < ROWS_FOR_MORE { FEW_ABOUT } else { MOST_ABOUT };
    // A rule, what it is for, where it is from, and the last row for what is written or was told.
    let below = (1 + about + 2).min(inside.height.saturating_sub(4));
    let [typed, list, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(below)]).areas(inside);
    field::draw("filter: ", &panel.filter, theme.accent, typed, frame);
    let matching = panel.matching();
    if matching.is_empty() {
        let words = match (panel.is_read(), panel.problem()) {
            (false, _) => "looking at config.toml".to_owned(),
            (true, Some(problem)) => format!("{problem}. Correct that first: nothing is written over it."),
            (true, None) => "no setting matches".into(),
        };
        let lines: Vec<Line> = wrap(&words, list.width.into()).into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines).style(theme.dim), list);
    } else {
        draw_rows(panel, &matching, theme, list, frame);
    }
    if let Some(standing) = panel.chosen_standing() {
        draw_chosen(panel, standing, theme, below, frame);
    }
}

/// What can be done with the chosen setting.
fn keys(panel: &Panel) -> &'static str {
    match panel.chosen_standing().map(|standing| standing.about) {
        _ if panel.value.is_some() => "Enter keeps it, Esc gives it up",
        Some(about) if about.is_open || about.is_list => "Enter writes a value, Del resets it, Esc closes",
        Some(_) => "Enter or Left/Right changes it, Del resets it, Esc closes",
        None => "typing filters, Esc closes",
    }
}

/// The rows, below the headings of their groups while nothing narrows them.
fn draw_rows(panel: &Panel, matching: &[&Standing], theme: &Theme, area: Rect, frame: &mut Frame) {
    let mut lines: Vec<Line> = Vec::new();
    let mut at = 0;
    let mut group = "";
    for (index, standing) in matching.iter().enumerate() {
        if panel.filter.is_empty() && standing.about.group != group {
            group = &standing.about.group;
            lines.push(Line::styled(group.to_owned(), theme.dim));
        }
        if index == panel.chosen {
            at = lines.len();
        }
        lines.push(row(standing, index == panel.chosen, theme, area.width.into()));
    }
    let height = usize::from(area.height);
    // A row below the chosen one stays in view.
    let top = (at + 2).saturating_sub(height).min(lines.len().saturating_sub(height));
    frame.render_widget(Paragraph::new(lines).scroll((top as u16, 0)), area);
}

fn row(standing: &Standing, is_chosen: bool, theme: &Theme, width: usize) -> Line<'static> {
    let mark = if is_chosen { "> " } else { "  " };
    let origin = match standing.origin {
        Origin::Default => "",
        Origin::File => "config.toml",
        Origin::Environment => "environment",
        Origin::CommandLine => "command line",
    };
    let name = padded(&standing.about.key, NAME_WIDTH.min(width / 2), theme.ascii);
    let room = width.saturating_sub(mark.len() + NAME_WIDTH.min(width / 2) + 4 + ORIGIN_WIDTH);
    let value = padded(standing.shown(), room, theme.ascii);
    let style = |style| if is_chosen { theme.selection } else { style };
    let value_style = if standing.origin == Origin::Default { theme.dim } else { theme.text };
    let line = Line::from(vec![
        Span::raw(format!("{mark}{name}  ")),
        Span::styled(format!("{value}  "), style(value_style)),
        Span::styled(format!("{origin:<ORIGIN_WIDTH$}"), style(theme.accent)),
    ]);
    if is_chosen { line.style(theme.selection) } else { line }
}

fn draw_chosen(panel: &Panel, standing: &Standing, theme: &Theme, area: Rect, frame: &mut Frame) {
    let about = standing.about;
    let mut lines = vec![Line::styled(rule(area.width, &about.key, theme), theme.border)];
    let rows = usize::from(area.height.saturating_sub(3));
    // A refusal, and what is too long for the last row, stand where it is said what the setting is for.
    let width = usize::from(area.width);
    let is_apart = |told: &&String| panel.value.is_some() || told.width() > width;
    let (apart, told) = match &panel.told {
        Some(told) if is_apart(&told) => (Some(told), None),
        told => (None, told.as_ref()),
    };
    let mut explanation = wrap(apart.unwrap_or(&about.explanation), width);
    if explanation.len() > rows {
        explanation.truncate(rows);
        if let Some(last) = explanation.last_mut() {
            last.push_str(if theme.ascii { "..." } else { " …" });
        }
    }
    explanation.resize(rows, String::new());
    let style = if apart.is_some() { theme.warning } else { theme.text };
    lines.extend(explanation.into_iter().map(|line| Line::styled(fitted(&line, width, theme.ascii), style)));
    let separator = if theme.ascii { " | " } else { " · " };
    let default = format!("default {}", if about.default.is_empty() { "not set" } else { &about.default });
    let facts = match standing.origin {
        Origin::Default => default,
        _ => format!("{default}{separator}now by {}", standing.from()),
    };
    lines.push(Line::styled(fitted(&facts, width, theme.ascii), theme.dim));
    frame.render_widget(Paragraph::new(lines), area);
    let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area }.intersection(area);
    let (words, style) = match (&panel.value, told) {
        (Some(value), _) => return field::draw("new value: ", value, theme.accent, last, frame),
        (None, Some(told)) => (told.clone(), theme.strong),
        (None, None) => (format!("a change counts {}", counts_from(about)), theme.dim),
    };
    frame.render_widget(Paragraph::new(fitted(&words, width, theme.ascii)).style(style), last);
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::super::examples::{set_up, text};
    use crate::ui::msg::Msg;

    #[test]
    fn on_a_small_screen_there_is_a_list_and_a_field() {
        let mut tester = set_up();
        tester.use_ascii();
        tester.leave_out_borders();
        tester.type_text("temp");
        tester.key(KeyCode::Enter, KeyModifiers::NONE);
        tester.type_text("0.75");
        for (width, height) in [(60, 12), (40, 10), (30, 8)] {
            let shown = text(&mut tester, width, height);
            assert!(shown.contains("> temp") && shown.contains("new value: 0.75"), "{shown}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_in_its_place() {
        let mut tester = set_up();
        tester.update(Msg::Settings(Err("config.toml, line 1, column 8: it must be a number".into())));
        let shown = text(&mut tester, 60, 20);
        assert!(
            shown.contains("config.toml, line 1, column 8") && shown.contains("nothing is written over it"),
            "{shown}"
        );
    }
}
