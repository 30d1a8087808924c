//! Every view at every size, and what the themes make of it: a change of the interface is seen here at a glance.
//!
//! The text is the same in every theme. Of the colours each run of cells is told that is not as ordinary text.

use std::fmt::Write;

use clap::ValueEnum;
use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::examples::{branched, choosing, downloading, evicted, planned, row, screen, searched, set_up, streaming};
use crate::chat::Ended;
use crate::config::StatusItem;
use crate::engine::protocol::Step;
use crate::hardware::health::Throttling;
use crate::hardware::power::Power;
use crate::store::ChatId;
use crate::ui::app::Sensed;
use crate::ui::app::tester::{Tester, download, here};
use crate::ui::composer::Part;
use crate::ui::msg::{ChatRow, Command, Msg};
use crate::ui::theme::Theme;

const SIZES: [(u16, u16); 4] = [(60, 20), (80, 24), (120, 40), (200, 50)];

fn drawn(tester: &mut Tester, (width, height): (u16, u16)) -> Buffer {
    screen(tester, width, height).backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buffer.content.chunks(usize::from(buffer.area.width))
}

fn text(buffer: &Buffer) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows(buffer) {
        let mut line = String::new();
        let mut hidden = 0;
        for cell in row {
            if hidden == 0 {
                line.push_str(cell.symbol());
                hidden = unicode_width::UnicodeWidthStr::width(cell.symbol());
            }
            hidden = hidden.saturating_sub(1);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The style of a cell in words; nothing of ordinary text.
fn style(cell: &Cell, text: &Cell) -> String {
    let colour = |colour: Color| match colour {
        Color::Rgb(red, green, blue) => format!("{red:02x}{green:02x}{blue:02x}"),
        other => other.to_string().to_lowercase(),
    };
    let mut words = Vec::new();
    if cell.fg != text.fg {
        words.push(colour(cell.fg));
    }
    if cell.bg != text.bg {
        words.push(format!("on {}", colour(cell.bg)));
    }
    if cell.modifier != Modifier::empty() {
        words.push(format!("{:?}", cell.modifier).to_lowercase());
    }
    words.join(" ")
}

/// The runs of a row that are not as ordinary text: from which column to which.
fn styles(row: &[Cell]) -> String {
    let ordinary = Cell::default();
    let mut told = String::new();
    let mut start = 0;
    for run in row.chunk_by(|one, other| style(one, &ordinary) == style(other, &ordinary)) {
        let words = style(&run[0], &ordinary);
        if !words.is_empty() {
            let _ = write!(told, "  {}-{} {words}", start + 1, start + run.len());
        }
        start += run.len();
    }
    told
}

fn whole_picture(view: fn() -> Tester) -> String {
    let mut picture = String::new();
    for size in SIZES {
        let mut looks = Vec::new();
        for (name, theme) in [("dark", Theme::dark()), ("light", Theme::light()), ("mono", Theme::plain())] {
            let mut tester = view();
            tester.wear(theme);
            looks.push((name, drawn(&mut tester, size)));
        }
        let lines = text(&looks[0].1);
        assert!(looks.iter().all(|(_, look)| text(look) == lines), "the text depends on the theme");
        let _ = writeln!(picture, "==== {}x{}\n{}", size.0, size.1, lines.join("\n").trim_end());
        for (name, look) in &looks {
            let _ = writeln!(picture, "---- {name}");
            for (number, row) in rows(look).enumerate() {
                let told = styles(row);
                if !told.is_empty() {
                    let _ = writeln!(picture, "{}:{told}", number + 1);
                }
            }
        }
    }
    picture
}

fn loading() -> Tester {
    let mut tester = Tester::loading();
    tester.model(Step::Loading(0.42));
    tester.send("What is a monad?");
    tester.type_text("and why");
    tester
}

fn thinking() -> Tester {
    let mut tester = Tester::ready();
    tester.send("Is 91 prime?");
    tester.think("91 = 7 × 13, so no.\nLet me check: 7 × 13 = 91.", 20);
    tester
}

fn context() -> Tester {
    let mut tester = evicted(false);
    tester.type_text("So");
    tester.command(Command::Context);
    tester.tick_when_due();
    planned(&mut tester, "So");
    tester
}

fn answered() -> Tester {
    let mut tester = streaming();
    tester.finish(Ended::Stop);
    tester
}

fn with(mut tester: Tester, command: Command) -> Tester {
    tester.command(command);
    tester
}

fn writing(mut tester: Tester, text: &str) -> Tester {
    tester.type_text(text);
    tester
}

fn sending(mut tester: Tester, text: &str) -> Tester {
    tester.send(text);
    tester
}

fn chats() -> Tester {
    let mut tester = with(Tester::saving(), Command::Chats);
    let old = |day: &str, row: ChatRow| ChatRow { day: day.into(), ..row };
    let tags = vec!["food".to_owned(), "home".to_owned()];
    tester.update(Msg::Chats(vec![
        ChatRow { tags, ..row(1, "Baking bread", 12) },
        row(2, "Sorting in Rust", 4),
        old("Yesterday", row(30, "天气 and other words, with a title that is longer than most lists are wide", 1)),
        ChatRow { is_archived: true, ..old("October", row(99, "Put away", 3)) },
    ]));
    tester
}

fn renaming() -> Tester {
    let mut tester = with(with(chats(), Command::Move(1)), Command::RenameChosen);
    tester.type_text(", and in C");
    tester
}

fn deleted() -> Tester {
    let mut tester = with(chats(), Command::DeleteChosen);
    tester.update(Msg::ChatDeleted(ChatId(1)));
    tester
}

fn palette() -> Tester {
    let mut tester = with(answered(), Command::Palette);
    tester.update(Msg::Chats(vec![row(4, "How to model a bridge", 6)]));
    tester.update(Msg::Offers(vec![here("qwen2.5-0.5b-instruct", None), download("smollm2-135m-instruct")]));
    writing(tester, "mod")
}

fn chosen() -> Tester {
    let mut tester = branched(false);
    drawn(&mut tester, SIZES[0]);
    tester.key(KeyCode::BackTab, KeyModifiers::NONE);
    writing(tester, "kk")
}

fn searching() -> Tester {
    let mut tester = answered();
    tester.key(KeyCode::Char('r'), KeyModifiers::CONTROL);
    writing(tester, "sort")
}

fn queueing() -> Tester {
    let tester = sending(sending(streaming(), "And in Python?"), "And which of the two is faster?");
    writing(tester, "Then")
}

/// A value that was refused.
fn panel_value() -> Tester {
    let mut tester = writing(set_up(), "temp");
    tester.key(KeyCode::Enter, KeyModifiers::NONE);
    tester.type_text("x");
    let about = crate::config::about_setting("temp").unwrap();
    let result = Err("`temp` cannot be `0.7x`: it must be a number between 0 and 5".into());
    tester.update(Msg::SettingChanged { about, result });
    tester
}

/// As a person has it who wants no frames.
fn without_borders() -> Tester {
    let mut tester = searched();
    tester.leave_out_borders();
    tester
}

/// A machine that is hot and on its battery, and every item.
fn status_items() -> Tester {
    let mut tester = answered();
    tester.show_status(StatusItem::value_variants());
    let throttling = Throttling { cooling: Some(2), ..Throttling::default() };
    let power = Some(Power { on_battery: true, charge_percent: Some(43) });
    tester.update(Msg::Sensed(Sensed { power, celsius: Some(81.4), throttling }));
    tester
}

fn attached() -> Tester {
    let mut tester = answered();
    let (name, text) = ("src/ui/view/mod.rs".into(), "fn main() {}\n".repeat(200));
    tester.update(Msg::Attached(Ok(Part::File { name, text })));
    tester.tick_when_due();
    planned(&mut tester, "What");
    tester.type_text("What does it do?");
    tester
}

/// A view, and the name of its snapshot.
type View = (&'static str, fn() -> Tester);

const VIEWS: &[View] = &[
    ("empty", Tester::saving),
    ("loading", loading),
    ("streaming", streaming),
    ("thinking", thinking),
    ("answered", answered),
    ("queue", queueing),
    ("evicted", || evicted(false)),
    ("context", context),
    ("chosen", chosen),
    ("edited", || with(branched(false), Command::EditMessage(Some(3)))),
    ("searching", searching),
    ("menu", || writing(answered(), "/re")),
    ("palette", palette),
    ("help", || with(streaming(), Command::Help)),
    ("settings", || sending(answered(), "/set")),
    ("stats", || sending(answered(), "/stats")),
    ("chats", chats),
    ("chats_archived", || with(chats(), Command::ShowArchived)),
    ("chats_renaming", renaming),
    ("chats_deleted", deleted),
    ("private", || sending(with(Tester::saving(), Command::Private), "A secret?")),
    ("search", searched),
    ("search_empty", || with(Tester::saving(), Command::SearchChats(None))),
    ("models", choosing),
    ("downloading", downloading),
    ("panel", || with(set_up(), Command::Move(4))),
    ("panel_narrowed", || writing(set_up(), "kv")),
    ("panel_value", panel_value),
    ("without_borders", without_borders),
    ("status_items", status_items),
    ("asking", || with(answered(), Command::Run("git diff --stat | head -50".into()))),
    ("branches", || sending(branched(false), "/branch")),
    ("attached", attached),
];

#[test]
fn every_view_at_every_size_in_every_theme() {
    for (name, view) in VIEWS {
        insta::assert_snapshot!(*name, whole_picture(*view));
    }
}
