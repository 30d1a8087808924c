//! Whole conversations in plain lines, without a terminal, an engine or a store.

use std::time::Instant;

use super::heard::{Heard, heard};
use super::voice::Voice;
use crate::chat::{Ended, Role};
use crate::config::{Directories, Pieces, Saying, Settings, SettingsFile, Status, about_setting};
use crate::engine::protocol::{EngineError, Step};
use crate::models::offers::Offer;
use crate::store::ChatId;
use crate::ui::app::tester::{Tester, download, here, opened, settings, stored};
use crate::ui::msg::{ChatRow, Command, Msg};

/// A person who types lines and hears what is said.
struct Listener {
    tester: Tester,
    voice: Voice,
}

impl Listener {
    fn with(tester: Tester) -> Self {
        let saying = Saying { status: Status::Full, pieces: Pieces::Words };
        let mut listener = Self { tester, voice: Voice::new(saying) };
        listener.hear();
        listener
    }

    fn ready() -> Self {
        Self::with(Tester::ready())
    }

    /// What was said since.
    fn hear(&mut self) -> String {
        while let Some(command) = self.voice.look(&mut self.tester.app, Instant::now()) {
            self.tester.command(command);
        }
        self.voice.page.take()
    }

    fn say(&mut self, line: &str) -> String {
        self.voice.page.typed();
        self.voice.typed(line);
        match heard(&self.tester.app, self.voice.told(), line) {
            Heard::Messages(messages) => {
                for message in messages {
                    self.tester.update(message);
                }
            }
            Heard::Mistake(words) => self.voice.page.say(&words),
            Heard::More => self.voice.tell_more(),
        }
        self.hear()
    }

    fn told(&mut self, msg: Msg) -> String {
        self.tester.update(msg);
        self.hear()
    }

    fn answer(&mut self, text: &str) -> String {
        self.tester.token(text, 1);
        self.tester.finish(Ended::Stop);
        self.hear()
    }
}

#[test]
fn a_question_is_thought_about_and_answered() {
    let mut listener = Listener::ready();
    assert_eq!(listener.say("one"), "Thinking.\n");
    listener.tester.token(" The fir", 1);
    assert_eq!(listener.hear(), "Answer:\nThe ");
    assert_eq!(listener.answer("st.\n"), "first.\nAnswer done, 5 tokens.\nYou: ");
}

#[test]
fn a_message_that_waits_is_said_when_its_turn_has_come() {
    let mut listener = Listener::ready();
    listener.say("one");
    assert_eq!(listener.say("two"), "Your message waits for the end of this answer.\n");
    listener.tester.token("x ", 1);
    assert_eq!(listener.hear(), "Answer:\nx ");
    assert_eq!(listener.answer("y"), "y\nAnswer done, 5 tokens.\nYou: two\nThinking.\n");
}

#[test]
fn a_failure_is_a_sentence_and_the_question_is_kept() {
    let mut listener = Listener::ready();
    listener.say("one");
    listener.tester.answer(Step::Failed(EngineError::Failed("it broke".into())));
    let said = listener.hear();
    assert!(said.starts_with("It broke"), "{said}");
    assert!(said.contains("\nKept, without an answer: one\nAn empty line sends it again"), "{said}");
    assert_eq!(listener.say(""), "You: one\nThinking.\n");
}

#[test]
fn settings_are_a_list_and_a_number_tells_what_one_does() {
    let home = tempfile::tempdir().unwrap();
    let directories = Directories::find(Some(home.path().into())).unwrap();
    let file = SettingsFile::find(&directories, |_| None, Settings::default()).unwrap();
    file.change("temp", Some("0.3")).unwrap();
    let mut listener = Listener::ready();
    listener.say("/settings temp");
    let said = listener.told(Msg::Settings(file.standings()));
    assert!(said.starts_with("Settings with \"temp\":\n1. temp (0.3, by config.toml)\n"), "{said}");
    assert!(said.contains("\"/settings\", the name of a setting and a value change it.\nNumber: "), "{said}");
    let said = listener.say("1");
    assert!(said.starts_with("`temp` is `0.3`, by config.toml: Randomness, 0 to 5"), "{said}");
    assert!(said.contains("`/settings temp VALUE` changes it"), "{said}");
    let about = about_setting("temp").unwrap();
    listener.say("/settings temp 0.5");
    let said = listener.told(Msg::SettingChanged { about, result: file.change("temp", Some("0.5")).map(Box::new) });
    assert!(said.contains("\n`temp` is `0.5` from the next answer on.\n"), "{said}");
}

#[test]
fn the_same_mistake_is_told_each_time() {
    let mut listener = Listener::ready();
    let first = listener.say("/nothing");
    assert!(first.starts_with("`/nothing` is no command"), "{first}");
    assert_eq!(listener.say("/nothing"), first);
}

#[test]
fn a_notice_does_not_cut_a_line_of_the_answer() {
    let mut listener = Listener::ready();
    listener.say("one");
    listener.tester.token("It is ", 1);
    listener.hear();
    listener.tester.command(Command::Continue);
    assert_eq!(listener.hear(), "");
    let said = listener.answer("so.");
    assert!(said.starts_with("so.\nAnswer done, 5 tokens.\nAn answer is in progress; `/continue` goes on"), "{said}");
}

#[test]
fn texts_are_read_out_and_closed() {
    let mut listener = Listener::ready();
    let said = listener.say("/set");
    assert!(said.starts_with("Settings of this chat:\ntemp: 0.8: randomness"), "{said}");
    assert!(said.ends_with("takes that back.\nYou: "), "{said}");
    assert!(listener.say("/help").contains("\n  /continue: go on with the last answer\n"));
    assert_eq!(listener.say("one"), "Thinking.\n");
}

#[test]
fn models_are_chosen_by_number_and_a_download_is_asked_about() {
    let mut listener = Listener::ready();
    assert_eq!(listener.say("/model"), "", "it is being looked for");
    let offers: Vec<Offer> = vec![here("tiny", None), download("large")];
    let said = listener.told(Msg::Offers(offers));
    assert!(said.starts_with("Models:\n1. tiny (here"), "{said}");
    assert!(said.contains("\n2. large (to download, 398.0 MB"), "{said}");
    assert!(said.ends_with("\nNumber: "), "{said}");
    assert_eq!(listener.say("7"), "there is no number 7 in this list\nNumber: ");
    let said = listener.say("2");
    assert!(said.starts_with("Download the model large? It is 398.0 MB, from "), "{said}");
    assert!(said.ends_with("\nYes or no: "), "{said}");
    assert!(listener.say("perhaps").starts_with("type yes or no"));
    assert!(listener.say("no").starts_with("Models:\n"));
    assert_eq!(listener.say(""), "You: ");
}

#[test]
fn a_long_list_is_told_in_parts_and_words_narrow_it() {
    let mut listener = Listener::with(Tester::saving());
    listener.say("/resume");
    let row = |id: i64| ChatRow {
        id: ChatId(id),
        title: if id == 40 { "Bread".into() } else { format!("Chat {id}") },
        age: "1 h ago".into(),
        day: String::new(),
        messages: 2,
        is_open_elsewhere: false,
        tags: Vec::new(),
        is_archived: false,
    };
    let said = listener.told(Msg::Chats((1..=45).rev().map(row).collect()));
    assert!(said.starts_with("Chats:\n45. Chat 45 (1 h ago, 2 messages)\n"), "{said}");
    assert!(said.contains("\nThere are 25 more; \"more\" tells the next ones.\n"), "{said}");
    assert!(listener.say("more").starts_with("25. Chat 25"));
    assert!(listener.say("bread").starts_with("Chats with \"bread\":\n40. Bread (1 h ago, 2 messages)\n"));
    let said = listener.say("archive 40");
    assert!(said.starts_with("Put away; \"archived\" lists what is: Bread.\nChats: nothing has"), "{said}");
    assert!(listener.say("archived").contains("\n40. Bread"));
    assert!(listener.say("rename 40 White bread").contains("\n40. White bread"));
    listener.tester.command(Command::DeleteChosen);
    let said = listener.told(Msg::ChatDeleted(ChatId(40)));
    assert!(said.contains("Deleted; \"undelete\" brings it back: White bread.\n"), "{said}");
    listener.say("archived");
    assert!(listener.say("chat").contains("\n39. Chat 39"));
    listener.say("39");
    assert!(matches!(listener.tester.app.popup(), crate::ui::app::Popup::Closed));
}

#[test]
fn of_a_chat_that_is_opened_the_last_exchange_is_told() {
    let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
    tester.model(Step::Ready(Box::new(crate::ui::app::tester::model(true))));
    let mut listener = Listener::with(tester);
    let exchange = |id: i64, text: &str| {
        [stored(id, Role::User, text, None), stored(id + 1, Role::Assistant, "so", Some(Ended::Length))]
    };
    let messages = [exchange(1, "one"), exchange(3, "two")].concat();
    let said = listener.told(Msg::ChatOpened(opened(4, messages)));
    let begins = "This is the chat \"Chat 4\" with 4 messages. The last ones are:\nYou: two\nAnswer:\nso\nEnded at the \
         limit (`max_tokens`, or the context was full); `/continue` goes on.\n";
    assert_eq!(said, format!("{begins}You: "));
    assert_eq!(listener.say("/new"), "This is a new chat.\nYou: ");
}

#[test]
fn what_was_taken_back_is_kept_and_what_comes_back_is_told() {
    let mut listener = Listener::ready();
    listener.say("one");
    listener.answer("first");
    let said = listener.say("/undo");
    assert!(said.starts_with("The last exchange is taken back"), "{said}");
    assert!(said.contains("\nKept, without an answer: one\n"), "{said}");
    let said = listener.say("/redo");
    assert!(said.contains("You: one\nAnswer:\nfirst\n"), "{said}");
}

#[test]
fn an_answer_that_goes_on_is_said_from_there() {
    let mut listener = Listener::ready();
    listener.say("one");
    listener.tester.token("half an", 1);
    listener.tester.finish(Ended::Cancelled);
    assert_eq!(listener.hear(), "Answer:\nhalf an\nStopped.\nYou: ");
    assert_eq!(listener.say("/continue"), "Thinking.\n");
    assert_eq!(listener.answer(" answer"), "The answer goes on:\n answer\nAnswer done, 5 tokens.\nYou: ");
}

#[test]
fn thoughts_are_told_when_they_are_asked_for() {
    let mut listener = Listener::ready();
    listener.say("one");
    listener.tester.think("Hm. ", 1);
    assert_eq!(listener.hear(), "");
    listener.answer("first");
    let said = listener.say("/thoughts");
    assert_eq!(said, "Thoughts are told from now on.\nThose before the last answer were:\nHm.\nYou: ");
    listener.say("two");
    listener.tester.think("So. ", 1);
    assert_eq!(listener.hear(), "Thoughts:\nSo. ");
    assert_eq!(listener.answer("second"), "\nAnswer:\nsecond\nAnswer done, 5 tokens.\nYou: ");
}
