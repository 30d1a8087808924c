//! States of the interface that several tests of the view look at.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::chat::{Ended, Role};
use crate::config::{Directories, Settings, SettingsFile};
use crate::engine::protocol::{Cost, MessageCost, Passage, Pin, Step};
use crate::models::fit::Verdict;
use crate::models::offers::{Offer, Place};
use crate::models::{self, Progress};
use crate::store::{ChatId, Excerpt, Hit, MessageId};
use crate::ui::app::tester::{Tester, chat_row, download, here, message_cost};
use crate::ui::msg::{ChatRow, Command, FoundMessage, Msg};

pub(super) fn screen(tester: &mut Tester, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            let places = super::lay_out(&mut tester.app, frame.area());
            super::draw(&tester.app, &places, frame);
        })
        .unwrap();
    terminal
}

pub(super) fn text(tester: &mut Tester, width: u16, height: u16) -> String {
    screen(tester, width, height).backend().to_string()
}

pub(super) const RICH: &str = "Sorting takes **one call**:\n\n```rust\nlet mut numbers = vec![3, 1, 2];\nnumbers.sort();\n```\n\n\
    | method | stable | cost |\n|---|---|---:|\n| `sort` | yes | n log n |\n| `sort_unstable` | no | n log n |\n\n\
    - stable keeps equal items in order\n- unstable needs no memory\n";

pub(super) fn streaming() -> Tester {
    let mut tester = Tester::ready();
    tester.send("How do I sort a list in Rust?");
    tester.answer(Step::Prefilling { done: 30, total: 40, cached: 0 });
    tester.token("", 1);
    tester.wait(2000);
    tester.token(RICH, 101);
    tester
}

pub(super) const LEFT: &str = "Left is where the thumb of the right hand points when its palm faces down.";

/// A chat of which a question has left the cache, its answer in part, and whose second question is pinned and was
/// answered with what was brought back.
pub(super) fn evicted(ascii: bool) -> Tester {
    let mut tester = Tester::ready();
    if ascii {
        tester.use_ascii();
    }
    tester.send("Which side is left?");
    tester.token(LEFT, 1);
    tester.token("\n\n- thumb\n- palm\n", 20);
    tester.finish_holding(Ended::Stop, &[(5, 0), (20, 0)]);
    tester.send("And which is right, again?");
    tester.command(Command::Pin(None));
    let passage = |message, role, text: &str| Passage { message, role, text: text.into() };
    let passages = vec![
        passage(0, Role::User, "Which side is left?"),
        passage(1, Role::Assistant, "Left is where the thumb of the right hand points"),
    ];
    tester.answer(Step::Recalled(passages));
    tester.token("The other one.", 4);
    tester.finish_holding(Ended::Stop, &[(5, 5), (20, 12), (7, 0), (4, 0)]);
    tester.tick_when_due();
    tester
}

/// What the engine says of [`evicted`] while this is being written.
pub(super) fn planned(tester: &mut Tester, draft: &str) {
    let mut messages = vec![
        message_cost(Role::User, "Which side is left?", 5, 5),
        message_cost(Role::Assistant, "Left is where the thumb of the right hand points when its p", 20, 12),
        message_cost(Role::User, "And which is right, again?", 7, 0),
        message_cost(Role::Assistant, "The other one.", 4, 0),
        MessageCost { cached_tokens: 0, ..message_cost(Role::User, draft, 3, 0) },
    ];
    messages[2].pin = Pin::Kept;
    tester.update(Msg::Ahead(Step::Planned(Box::new(Cost {
        prompt_tokens: 52,
        cached_tokens: 30,
        evicted_tokens: 17,
        pinned_tokens: 9,
        left_out_tokens: 0,
        cells: 4096,
        first_token_ms: Some(400.0),
        messages,
    }))));
}

/// Two exchanges, of which the last was answered twice and the first question edited once.
pub(super) fn branched(ascii: bool) -> Tester {
    let mut tester = Tester::ready();
    if ascii {
        tester.use_ascii();
    }
    let exchange = |tester: &mut Tester, question: &str, answer: &str| {
        tester.send(question);
        tester.token(answer, 1);
        tester.finish(Ended::Stop);
    };
    exchange(&mut tester, "How do I sort?", "With `sort`.");
    tester.command(Command::EditMessage(None));
    exchange(&mut tester, " In Rust.", RICH);
    exchange(&mut tester, "And backwards?", "With `reverse`.");
    tester.send("/retry 0.2");
    tester.token("Sort, then `reverse`.", 1);
    tester.finish(Ended::Stop);
    tester
}

pub(super) fn row(id: i64, title: &str, messages: u32) -> ChatRow {
    ChatRow { age: format!("{id} h ago"), messages, ..chat_row(id, title) }
}

/// A message that a search for `bread` has found.
pub(super) fn found(chat: i64, title: &str, role: Role, text: &str, when: &str) -> FoundMessage {
    let marks = text.match_indices("bread").map(|(at, word)| at..at + word.len()).collect();
    let excerpt = Excerpt { text: text.into(), marks, begins_before: chat % 2 == 0, goes_on: text.len() > 200 };
    let hit = Hit {
        chat: ChatId(chat),
        title: title.into(),
        is_archived: chat == 3,
        message: MessageId(chat * 10),
        role,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        place: None,
        excerpt,
    };
    FoundMessage { hit, when: when.into() }
}

/// The search of all chats with what it has found.
pub(super) fn searched() -> Tester {
    let mut tester = Tester::saving();
    tester.send("/search bread");
    let long = "and then the dough rests under a cloth in a warm place until it has doubled, which takes an hour or two. \
        Only then is bread put into the oven, on a hot stone if there is one. A pan of water below keeps the crust of the \
        bread soft until it has risen; take it out after a quarter of an hour, and let the bread become brown.";
    let found = vec![
        found(4, "Baking bread", Role::Assistant, long, "today 14:02"),
        found(1, "Baking bread", Role::User, "How do I bake bread at home?", "today 14:00"),
        found(
            2,
            "面包 and other words for bread in many languages of the world",
            Role::User,
            "全麦面包 is bread",
            "Monday 09:30",
        ),
        found(3, "evil\x1b]0;x\x07", Role::User, "bread\u{202e}\x1b[31m", "3 October 2025"),
    ];
    tester.update(Msg::FoundMessages { words: "bread".into(), found });
    tester
}

/// What a machine might offer: models of two programs, the recommended one, and others of the catalogue.
pub(super) fn offers() -> Vec<Offer> {
    let about = |offer: Offer, verdict, tokens_per_second, note: &str| Offer {
        verdict: Some(verdict),
        tokens_per_second,
        note: note.into(),
        ..offer
    };
    let mut small = download("smollm2-135m-instruct");
    if let Place::Download { bytes, .. } = &mut small.place {
        *bytes = Some(98_400_000);
    }
    let long = "a-model-with-a-name-that-goes-on-and-on-until-it-is-too-long-for-any-list-of-models-q4_k_m";
    vec![
        about(here("gemma3:1b", Some("Ollama")), Verdict::RunsWell, Some(21.4), "Gemma 3 1B"),
        about(here(long, Some("LM Studio")), Verdict::SmallerContext(4096), Some(3.25), "of another program"),
        Offer {
            is_recommended: true,
            ..about(
                download("qwen2.5-1.5b-instruct"),
                Verdict::RunsWell,
                Some(14.0),
                "Qwen2.5 1.5B Instruct, Q4_K_M: the practical limit of a small board",
            )
        },
        about(download("qwen2.5-7b-instruct"), Verdict::RunsSlowly, Some(2.1), "Answers long questions well"),
        about(download("qwen2.5-32b-instruct"), Verdict::DoesNotFit, None, "For large machines"),
        small,
    ]
}

/// The panel of settings, as with a config.toml, an environment and a command line of somebody's.
pub(super) fn set_up() -> Tester {
    let home = tempfile::tempdir().unwrap();
    let directories = Directories::find(Some(home.path().into())).unwrap();
    std::fs::create_dir_all(&directories.config).unwrap();
    let text = "temp = 0.7\nmodel = \"qwen2.5-1.5b-instruct\"\nstop = [\"###\", \"a, b\"]\nborders = false\n";
    std::fs::write(directories.config_file(), text).unwrap();
    let typed = Settings { system: Some("You are evil\x1b]0;x\x07".into()), ..Settings::default() };
    let variable = |name: &str| (name == "TUICHAT_THREADS").then(|| "4".into());
    let file = SettingsFile::find(&directories, variable, typed).unwrap();
    let mut tester = Tester::saving();
    tester.command(Command::Panel(None));
    tester.update(Msg::Settings(file.standings()));
    tester
}

pub(super) fn choosing() -> Tester {
    let mut tester = Tester::choosing(None).0;
    tester.update(Msg::Offers(offers()));
    tester
}

/// A download that was chosen in the list, at 45 %.
pub(super) fn downloading() -> Tester {
    let mut tester = choosing();
    tester.command(Command::Move(2));
    tester.command(Command::ChooseModel);
    tester.command(Command::Confirm);
    let progress = Progress {
        step: models::Step::Downloading,
        done_bytes: 450_000_000,
        total_bytes: 1_000_000_000,
        bytes_per_second: Some(11e6),
    };
    tester.update(Msg::Downloading { choice: 1, progress });
    tester
}
