use crossterm::event::{KeyCode, KeyModifiers};
use proptest::prelude::*;

use super::examples::{branched, choosing, downloading, evicted, found, offers, planned, row, screen, streaming, text};
use crate::chat::{DraftedBy, Ended, Role, Speculation, Stats};
use crate::engine::protocol::{Cost, EngineError, Finish, MessageCost, Pin, Step};
use crate::models::offers::{Offer, Place};
use crate::store::ChatId;
use crate::ui::app::tester::{Tester, download, here, message_cost, model, opened, stored};
use crate::ui::msg::{Command, Msg, Scroll};

#[test]
fn an_empty_chat_says_what_to_do() {
    insta::assert_snapshot!(text(&mut Tester::saving(), 80, 24));
}

#[test]
fn while_the_model_loads_its_progress_is_shown_and_a_message_waits() {
    let mut tester = Tester::loading();
    tester.model(Step::Loading(0.42));
    tester.send("What is a monad?");
    tester.type_text("and why");
    insta::assert_snapshot!(text(&mut tester, 80, 16));
}

#[test]
fn a_streaming_answer_with_code_and_a_table() {
    insta::assert_snapshot!(text(&mut streaming(), 80, 24));
}

#[test]
fn looking_through_a_text_is_told_until_the_question_is_read() {
    let mut tester = Tester::ready();
    tester.send("And the second?");
    tester.answer(Step::Selecting { done: 400, total: 1000 });
    assert!(text(&mut tester, 80, 16).contains("looking through the text 40 %"));
    tester.answer(Step::Prefilling { done: 30, total: 40, cached: 0 });
    assert!(text(&mut tester, 80, 16).contains("prefilling 75 %"));
    tester.token("It", 1);
    assert!(text(&mut tester, 80, 16).contains("answering"));
}

#[test]
fn a_large_screen_keeps_the_text_readable() {
    insta::assert_snapshot!(text(&mut streaming(), 200, 50));
}

#[test]
fn further_up_a_hint_tells_of_new_text() {
    let mut tester = streaming();
    text(&mut tester, 60, 14);
    tester.command(Command::Scroll(Scroll::PageUp));
    tester.token("More to come.", 105);
    insta::assert_snapshot!(text(&mut tester, 60, 14));
}

#[test]
fn a_narrow_screen_gives_up_what_matters_least() {
    insta::assert_snapshot!(text(&mut streaming(), 34, 20));
}

#[test]
fn an_error_is_shown_in_place_and_the_question_comes_back() {
    let mut tester = Tester::ready();
    tester.send("A question that is far too long");
    tester.answer(Step::Failed(EngineError::ContextFull { needed: 9000, cells: 4096 }));
    insta::assert_snapshot!(text(&mut tester, 80, 16));
}

#[test]
fn without_a_model_the_reason_and_the_way_out_are_shown() {
    let mut tester = Tester::without_model(
        "there is no model yet; get one with `tuichat models pull`, or give a file with `-m PATH`",
    );
    insta::assert_snapshot!(text(&mut tester, 80, 18));
}

#[test]
fn a_stopped_an_interrupted_and_a_cut_answer_are_marked() {
    let mut tester = Tester::saving();
    let messages = vec![
        stored(1, Role::User, "one", None),
        stored(2, Role::Assistant, "half an", Some(Ended::Interrupted)),
        stored(3, Role::User, "two", None),
        stored(4, Role::Assistant, "too", Some(Ended::Length)),
        stored(5, Role::User, "three", None),
        stored(6, Role::Assistant, "stop", Some(Ended::Cancelled)),
    ];
    tester.app.update(Msg::ChatOpened(opened(1, Vec::new())), std::time::Instant::now());
    tester.command(Command::Chats);
    tester.update(Msg::Chats(vec![row(1, "one", 6)]));
    tester.command(Command::OpenChosen);
    tester.update(Msg::ChatOpened(opened(1, messages)));
    insta::assert_snapshot!(text(&mut tester, 70, 24));
}

#[test]
fn thinking_is_shown_while_it_lasts() {
    let mut tester = Tester::ready();
    tester.send("Is 91 prime?");
    tester.think("91 = 7 × 13, so no.\nLet me check: 7 × 13 = 91.", 20);
    insta::assert_snapshot!(text(&mut tester, 60, 14));
}

#[test]
fn what_guessing_tokens_brought_is_in_the_status_line_and_explained() {
    let mut tester = streaming();
    tester.command(Command::Spec);
    assert!(text(&mut tester, 120, 24).contains("there is no answer yet"));
    let (drafted, accepted, spent_ms, plain_ms) = (60, 45, 4000.0, 6000.0);
    let speculation = Speculation {
        drafter: Some(DraftedBy::Ngram),
        drafted,
        accepted,
        spent_ms,
        plain_ms,
        ..Speculation::default()
    };
    let (ended, seed) = (Ended::Stop, 7);
    let stats = Stats { speculation, ..Stats::default() };
    tester.answer(Step::Finished(Finish { ended, repetition: None, stats, seed, held: Vec::new() }));
    assert!(text(&mut tester, 120, 24).contains("tok/s (45/60 drafted x1.50)"), "{}", text(&mut tester, 120, 24));
    assert!(!text(&mut tester, 60, 24).contains("drafted"));
    tester.send("/spec");
    assert!(text(&mut tester, 120, 24).contains("ngram, 45 were right"));
}

#[test]
fn a_fuzzy_chat_says_so_whatever_it_does() {
    let mut tester = Tester::ready();
    tester.be_fuzzy();
    assert!(text(&mut tester, 80, 24).contains(" idle, fuzzy "));
    tester.send("go");
    assert!(text(&mut tester, 40, 24).contains(" prefilling, fuzzy "));
}

#[test]
fn what_the_context_holds_is_shown_message_by_message() {
    let mut tester = Tester::ready();
    tester.type_text("And then?");
    tester.command(Command::Context);
    assert!(text(&mut tester, 80, 24).contains("counting"));
    let message = |role, beginning: &str, tokens, cached_tokens| MessageCost {
        role,
        beginning: beginning.into(),
        tokens,
        cached_tokens,
        evicted_tokens: 0,
        pin: Pin::None,
    };
    tester.tick_when_due();
    tester.update(Msg::Ahead(Step::Planned(Box::new(Cost {
        prompt_tokens: 3812,
        cached_tokens: 3200,
        evicted_tokens: 0,
        pinned_tokens: 0,
        left_out_tokens: 250,
        cells: 4096,
        first_token_ms: Some(6100.0),
        messages: vec![
            message(Role::System, "Be brief", 2, 2),
            message(Role::User, "A long text that does not fit in what is left of the line beside numbers", 3100, 3100),
            message(Role::Assistant, "Yes", 90, 80),
            message(Role::User, "And then?", 600, 0),
        ],
    }))));
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    tester.command(Command::ClosePopup);
    let screen = text(&mut tester, 100, 24);
    assert!(screen.contains("3812 tokens, 3200 cached, first token in about 6 s"), "{screen}");
    insta::assert_snapshot!(text(&mut tester, 60, 20));
}

#[test]
fn while_nothing_is_written_the_last_answer_has_its_number() {
    let mut tester = Tester::ready();
    tester.command(Command::Context);
    let messages = vec![message_cost(Role::User, "Why?", 5, 0), message_cost(Role::Assistant, "So.", 4, 0)];
    let cost = Cost { prompt_tokens: 12, cells: 4096, messages, ..Cost::default() };
    tester.tick_when_due();
    tester.update(Msg::Ahead(Step::Planned(Box::new(cost))));
    let screen = text(&mut tester, 80, 24);
    assert!(screen.contains("1 user") && screen.contains("2 assistant"), "{screen}");
}

#[test]
fn what_left_the_cache_is_marked_in_the_margin() {
    let mut tester = evicted(false);
    planned(&mut tester, "");
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    insta::assert_snapshot!(text(&mut tester, 60, 20));
    insta::assert_snapshot!(text(&mut tester, 200, 50));
}

#[test]
fn the_marks_of_what_left_the_cache_have_an_ascii_form() {
    let mut tester = evicted(true);
    planned(&mut tester, "");
    let screen = text(&mut tester, 80, 24);
    assert!(screen.is_ascii(), "{screen}");
    insta::assert_snapshot!(screen);
}

#[test]
fn marks_come_and_go_without_moving_a_line() {
    let mut tester = evicted(false);
    let lines = |tester: &mut Tester| text(tester, 80, 40).lines().map(|line| line.chars().skip(3).collect()).collect();
    let before: Vec<String> = lines(&mut tester);
    for (tokens, evicted) in [(20, 20), (20, 0)] {
        let said = message_cost(Role::User, "", tokens, evicted);
        let messages = vec![said.clone(), said.clone(), said.clone(), said.clone(), said];
        let cost = Cost { prompt_tokens: 100, evicted_tokens: 17, cells: 4096, messages, ..Cost::default() };
        tester.update(Msg::Ahead(Step::Planned(Box::new(cost))));
        let after = lines(&mut tester);
        // The gauge is below.
        assert_eq!(before[..38], after[..38]);
        let marks = text(&mut tester, 80, 40).matches('┊').count();
        assert_eq!(marks, if evicted > 0 { 7 } else { 0 });
    }
}

#[test]
fn the_gauge_tells_cells_what_was_evicted_and_what_is_pinned_as_far_as_there_is_room() {
    let mut tester = evicted(false);
    let mut messages = vec![message_cost(Role::User, "a book", 6000, 5200), message_cost(Role::User, "", 0, 0)];
    messages[0].pin = Pin::Kept;
    let cost = Cost { prompt_tokens: 7200, evicted_tokens: 5200, cells: 4096, messages, ..Cost::default() };
    tester.update(Msg::Ahead(Step::Planned(Box::new(cost))));
    for (width, words) in [
        (90, " idle      Tiny 1B · CPU 4 threads · ▓▓██░░░░ 2000/4096 cells, 5200 evicted, 800 pinned "),
        (80, " idle         Tiny 1B · CPU 4 threads · 2000/4096 cells, 5200 evicted, 800 pinned "),
        (60, " idle     Tiny 1B · 2000/4096 cells, 5200 evicted, 800 pinned "),
        (50, " idle    2000/4096 cells, 5200 evicted, 800 pinned "),
        (40, " idle                      2000/4096 cells "),
    ] {
        let screen = text(&mut tester, width, 12);
        let status = screen.lines().last().unwrap().trim_matches('"');
        let parts = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parts(status), parts(words), "{screen}");
    }
    tester.use_ascii();
    assert!(text(&mut tester, 90, 12).contains("**##---- 2000/4096 cells"));
}

#[test]
fn what_was_recalled_is_shown_on_demand() {
    let mut tester = evicted(false);
    tester.key(KeyCode::Char('t'), KeyModifiers::CONTROL);
    insta::assert_snapshot!(text(&mut tester, 60, 24));
}

#[test]
fn the_list_of_messages_says_in_words_what_left_the_cache_and_what_is_pinned() {
    let mut tester = evicted(false);
    tester.type_text("So");
    tester.tick_when_due();
    planned(&mut tester, "So");
    let screen = text(&mut tester, 110, 24);
    assert!(screen.contains("52 tokens, 30 cached, 17 evicted, first token in about 0.4 s"), "{screen}");
    for _ in 0..2 {
        tester.key(KeyCode::Backspace, KeyModifiers::NONE);
    }
    tester.send("/context");
    tester.tick_when_due();
    planned(&mut tester, "So");
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    insta::assert_snapshot!(text(&mut tester, 60, 20));
}

#[test]
fn only_a_model_that_lets_nothing_leave_refuses_a_long_message() {
    let long = Cost { prompt_tokens: 5000, cells: 4096, first_token_ms: Some(9000.0), ..Cost::default() };
    for (policy, words) in [
        ("off", "5000 tokens are more than the context holds"),
        ("score", "5000 tokens, 0 cached, 904 or more will leave, first token in about 9 s"),
    ] {
        let mut tester = Tester::loading();
        let mut info = model(true);
        info.kv.as_mut().unwrap().policy = policy.into();
        tester.model(Step::Ready(Box::new(info)));
        tester.type_text("a long text");
        tester.tick_when_due();
        tester.update(Msg::Ahead(Step::Planned(Box::new(long.clone()))));
        let screen = text(&mut tester, 120, 24);
        assert!(screen.contains(words), "{screen}");
    }
}

#[test]
fn the_list_of_chats() {
    let mut tester = Tester::saving();
    tester.command(Command::Chats);
    let long = "A title that goes on and on until it is far too long for the width of the box and is cut";
    tester.update(Msg::Chats(vec![row(1, "Baking bread", 12), row(2, "evil\x1b]0;x\x07", 1), row(3, long, 4)]));
    tester.key(KeyCode::Down, KeyModifiers::NONE);
    insta::assert_snapshot!(text(&mut tester, 80, 14));
}

#[test]
fn a_deletion_says_how_it_is_taken_back() {
    let mut tester = Tester::saving();
    tester.command(Command::Chats);
    tester.update(Msg::Chats(vec![row(1, "Baking bread", 12)]));
    tester.command(Command::DeleteChosen);
    tester.update(Msg::ChatDeleted(ChatId(1)));
    assert!(text(&mut tester, 80, 14).contains("deleted; Ctrl-U brings it back: Baking bread"));
}

#[test]
fn what_was_found_in_the_middle_of_a_long_message_is_seen() {
    let mut tester = Tester::saving();
    tester.send("/search needle");
    let words = "hay ".repeat(60);
    let found = found(4, "Hay", Role::Assistant, &format!("{words}needle {words}"), "today 10:00");
    let mut found = vec![found];
    found[0].hit.excerpt.marks.push(words.len()..words.len() + 6);
    tester.update(Msg::FoundMessages { words: "needle".into(), found });
    for (width, height) in [(20, 8), (40, 12), (80, 24)] {
        let screen = text(&mut tester, width, height);
        assert!(screen.contains("hay needle"), "{screen}");
    }
    tester.use_ascii();
    assert!(text(&mut tester, 80, 24).contains("... hay"));
}

#[test]
fn the_models_to_choose_among_are_listed_with_what_is_known_of_them() {
    let mut tester = choosing();
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    tester.command(Command::Move(2));
    insta::assert_snapshot!(text(&mut tester, 80, 24));
}

#[test]
fn in_a_narrow_window_what_is_known_of_a_model_stands_below_the_list() {
    let mut tester = choosing();
    insta::assert_snapshot!(text(&mut tester, 40, 12));
    tester.command(Command::Move(2));
    insta::assert_snapshot!(text(&mut tester, 40, 12));
}

#[test]
fn the_list_of_models_has_an_ascii_form() {
    let mut tester = choosing();
    tester.use_ascii();
    for (width, height) in [(80, 24), (40, 12), (24, 8)] {
        let screen = text(&mut tester, width, height);
        assert!(screen.is_ascii(), "{screen}");
    }
}

#[test]
fn a_download_is_told_in_the_status_line_while_a_message_waits_and_in_the_list() {
    let mut tester = downloading();
    assert!(text(&mut tester, 80, 24).contains("You can write while the model comes."));
    tester.send("What is a monad?");
    insta::assert_snapshot!(text(&mut tester, 80, 12));
    assert!(text(&mut tester, 30, 12).contains(" downloading 45 % "));
    tester.command(Command::Models);
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    tester.command(Command::StopDownload);
    let screen = text(&mut tester, 80, 24);
    assert!(screen.contains("The download stopped at 45 %; Enter goes on."), "{screen}");
}

#[test]
fn what_lies_over_the_chat_takes_all_of_a_tiny_screen_and_can_be_scrolled() {
    let mut tester = choosing();
    insta::assert_snapshot!(text(&mut tester, 20, 5));
    let mut tester = Tester::ready();
    tester.command(Command::Help);
    let first = text(&mut tester, 20, 5);
    assert!(first.contains("Keys and commands") && first.contains("Enter"), "{first}");
    for _ in 0..200 {
        tester.command(Command::Move(10));
        text(&mut tester, 20, 5);
    }
    assert!(text(&mut tester, 20, 5).contains("command"), "{}", text(&mut tester, 20, 5));
    tester.command(Command::ClosePopup);
    tester.send("/set");
    assert!(text(&mut tester, 20, 5).contains("temp"));
    tester.key(crossterm::event::KeyCode::Char('q'), crossterm::event::KeyModifiers::NONE);
    tester.type_text("uestion");
    assert!(text(&mut tester, 20, 5).contains("question"), "what is typed is not lost");
}

#[test]
fn a_download_beside_a_chat_is_told_behind_what_the_model_does() {
    let mut tester = Tester::ready();
    tester.command(Command::Models);
    tester.update(Msg::Offers(offers()));
    tester.command(Command::Move(2));
    tester.command(Command::ChooseModel);
    tester.command(Command::Confirm);
    let screen = text(&mut tester, 80, 24);
    assert!(screen.contains(" idle, asking the hub ") && screen.contains("Tiny 1B"), "{screen}");
    tester.command(Command::Stop);
    assert!(text(&mut tester, 80, 24).contains("press Esc again to stop the download"));
}

#[test]
fn without_the_network_the_list_says_what_to_do() {
    let mut tester = Tester::choosing(None).0;
    tester.be_offline();
    tester.update(Msg::Offers(offers()));
    tester.command(Command::Move(2));
    let screen = text(&mut tester, 80, 24);
    assert!(screen.contains("--offline=no") && screen.contains("models import FILE"), "{screen}");
    assert!(screen.contains("not here"), "{screen}");
}

#[test]
fn a_server_that_does_not_answer_is_listed_last_and_never_chosen_first() {
    let mut tester = Tester::choosing(None).0;
    let place = Place::Server { engine: "lab".into(), model: String::new(), host: None };
    tester.update(Msg::OffersOfServers(vec![Offer { place, note: "it does not answer".into(), ..download("lab") }]));
    tester.update(Msg::Offers(vec![download("medium")]));
    let screen = text(&mut tester, 80, 24);
    assert!(screen.contains("> medium") && screen.find("medium") < screen.find("no answer"), "{screen}");
    tester.command(Command::Move(1));
    assert!(text(&mut tester, 80, 24).contains("It does not answer."));
}

#[test]
fn names_of_models_are_text_and_never_control() {
    let mut tester = Tester::choosing(None).0;
    tester.update(Msg::Offers(vec![here("evil\x1b[2J", Some("\x1b]0;x\x07"))]));
    let screen = text(&mut tester, 80, 24);
    assert!(!screen.chars().any(|character| character.is_control() && character != '\n'), "{screen:?}");
}

#[test]
fn a_base_model_says_in_place_that_it_continues_text() {
    let mut tester = Tester::loading();
    tester.model(Step::Ready(Box::new(model(false))));
    assert!(text(&mut tester, 80, 24).contains("this model has no chat template: it continues your text"));
}

#[test]
fn the_second_ctrl_c_is_asked_for() {
    let mut tester = Tester::ready();
    tester.command(Command::Interrupt);
    assert!(text(&mut tester, 80, 24).contains("press Ctrl-C again to leave"));
}

#[test]
fn the_composer_grows_to_a_third_of_the_screen_and_no_further() {
    let mut tester = Tester::ready();
    for line in 1..=30 {
        tester.update(Msg::Paste(format!("line {line}\n")));
    }
    let screen = text(&mut tester, 40, 24);
    let rows = screen.lines().filter(|row| row.contains("line ")).count();
    assert_eq!(rows, 6, "{screen}");
    assert!(screen.contains("line 30") && !screen.contains("line 24"), "{screen}");
}

#[test]
fn the_cursor_is_where_the_next_character_goes() {
    let mut tester = Tester::ready();
    tester.type_text("hello");
    let mut terminal = screen(&mut tester, 40, 10);
    terminal.backend_mut().assert_cursor_position((7, 8));
}

#[test]
fn what_the_model_says_is_text_and_never_control() {
    let mut tester = Tester::ready();
    tester.send("go");
    tester.token("a\x1b]52;c;aGk=\x07b\u{202e}c", 3);
    tester.answer(Step::Failed(EngineError::Failed("bad \x1b[2J thing".into())));
    let screen = text(&mut tester, 80, 24);
    assert!(!screen.chars().any(|character| character.is_control() && character != '\n'), "{screen:?}");
    assert!(screen.contains("<U+001B>]52;c;aGk=<U+0007>b<U+202E>c"), "{screen}");
    assert!(screen.contains("bad <U+001B>[2J thing"), "{screen}");
}

#[test]
fn a_window_that_is_too_small_says_so() {
    assert!(text(&mut streaming(), 9, 3).contains("too small"));
}

#[test]
fn no_size_from_nothing_to_twenty_panics() {
    let mut testers = [streaming(), Tester::loading(), Tester::without_model("no model; type `x`"), streaming()];
    testers[1].command(Command::Help);
    testers[2].type_text("some text that is longer than the window is wide 中文");
    testers[2].command(Command::Send);
    testers[3].command(Command::Interrupt);
    let mut list = Tester::saving();
    list.command(Command::Chats);
    list.update(Msg::Chats(vec![row(1, "中文 title", 12), row(2, "b", 1)]));
    let mut context = evicted(false);
    context.command(Command::Context);
    planned(&mut context, "So");
    let (mut models, mut loading) = (choosing(), downloading());
    models.command(Command::Move(2));
    loading.command(Command::Models);
    for tester in testers.iter_mut().chain([&mut list, &mut context, &mut models, &mut loading]) {
        for width in 0..=20 {
            for height in 0..=20 {
                screen(tester, width, height);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_at_any_size_panics(
        answer in "[a-z中👍🏽#*`|\\-> \n]{0,80}",
        draft in "[a-z中👍🏽 \n\t]{0,60}",
        sizes in proptest::collection::vec((0u16..60, 0u16..30), 1..6),
    ) {
        let mut tester = Tester::ready();
        tester.send("go");
        tester.token(&answer, 1);
        tester.update(Msg::Paste(draft));
        for (width, height) in sizes {
            screen(&mut tester, width, height);
            tester.command(Command::Scroll(Scroll::Lines(-2)));
        }
    }
}

#[test]
fn messages_with_branches_say_which_of_how_many_they_are() {
    insta::assert_snapshot!(text(&mut branched(false), 80, 30));
}

#[test]
fn a_chosen_message_is_marked_and_the_keys_for_it_are_named() {
    let mut tester = branched(false);
    text(&mut tester, 80, 24);
    tester.key(KeyCode::BackTab, KeyModifiers::NONE);
    tester.type_text("kk");
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    tester.key(KeyCode::Tab, KeyModifiers::NONE);
    insta::assert_snapshot!(text(&mut tester, 80, 24));
    tester.key(KeyCode::Tab, KeyModifiers::NONE);
    insta::assert_snapshot!(text(&mut tester, 60, 20));
    tester.type_text("gd");
    insta::assert_snapshot!(text(&mut tester, 80, 24));
}

#[test]
fn what_is_chosen_has_an_ascii_form() {
    let mut tester = branched(true);
    text(&mut tester, 80, 24);
    tester.key(KeyCode::BackTab, KeyModifiers::NONE);
    let screen = text(&mut tester, 80, 24);
    assert!(screen.is_ascii(), "{screen}");
    insta::assert_snapshot!(screen);
}

#[test]
fn a_question_that_is_edited_says_so_above_the_text() {
    let mut tester = branched(false);
    tester.command(Command::EditMessage(Some(3)));
    insta::assert_snapshot!(text(&mut tester, 80, 24));
}

#[test]
fn going_from_message_to_message_keeps_each_in_view() {
    let mut tester = branched(false);
    text(&mut tester, 60, 14);
    tester.key(KeyCode::BackTab, KeyModifiers::NONE);
    for key in [KeyCode::Up, KeyCode::Up, KeyCode::Up, KeyCode::Down, KeyCode::Tab, KeyCode::Tab, KeyCode::Down] {
        tester.key(key, KeyModifiers::NONE);
        let screen = text(&mut tester, 60, 14);
        assert!(screen.contains('▌'), "{key}\n{screen}");
    }
}
