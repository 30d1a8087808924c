//! From a choice to a loaded model: downloading it while the chat goes on, loading it in the place of another, and
//! going back to that one if it cannot be loaded.

use std::time::Instant;

use super::{Activity, App, Held, Popup};
use crate::engine::protocol::{EngineError, LoadSettings, ModelInfo};
use crate::models::Progress;
use crate::models::offers::{Offer, Place};
use crate::text::escape_line;
use crate::ui::msg::Effect;
use crate::ui::transcript::Entry;

/// What was chosen in the list and is on its way.
#[derive(Debug, Default)]
pub(super) struct Getting {
    /// How often something was chosen: the number of a choice tells what is heard of it from what is heard of another.
    choices: u64,
    /// The choice that is loaded as soon as it can be.
    awaited: Option<u64>,
    download: Option<Download>,
    stopped: Option<Stopped>,
    /// What waits for the end of an answer.
    next: Option<Incoming>,
    /// What is being loaded.
    incoming: Option<Incoming>,
    /// How the model is loaded that is there.
    loaded: Option<LoadSettings>,
    /// How the model was loaded that gave way to the one that is being loaded.
    before: Option<LoadSettings>,
}

/// A download that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    choice: u64,
    pub name: String,
    /// `None` until the first word about it.
    pub progress: Option<Progress>,
    /// Esc was pressed once.
    stop_asked: bool,
}

/// A download that was stopped, or failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopped {
    pub name: String,
    pub progress: Option<Progress>,
}

/// A model that is to be loaded.
#[derive(Debug)]
struct Incoming {
    settings: LoadSettings,
    /// The person chose it in the list.
    is_chosen: bool,
}

impl Getting {
    /// With the model that the program starts with.
    pub(super) fn starting(settings: Option<LoadSettings>) -> Self {
        let incoming = settings.map(|settings| Incoming { settings, is_chosen: false });
        Self { incoming, ..Self::default() }
    }

    pub(super) fn loaded(&self) -> Option<&LoadSettings> {
        self.loaded.as_ref()
    }

    /// A model that has lost its server can be chosen again, as if none were in use.
    pub(super) fn forget_lost(&mut self, error: &EngineError) {
        if matches!(error, EngineError::ServerLost(_)) {
            self.loaded = None;
        }
    }

    /// Whatever else the person does is no answer to whether to stop.
    pub(super) fn unask(&mut self) {
        if let Some(download) = &mut self.download {
            download.stop_asked = false;
        }
    }
}

impl App {
    /// Gets a model that was chosen, and loads it when it is there. One is downloaded at a time; a model that is here
    /// is loaded beside that.
    pub(super) fn get(&mut self, offer: Offer) -> Vec<Effect> {
        self.getting.next = None;
        self.forget_retry();
        let is_download = matches!(offer.place, Place::Download { .. });
        if let Some(download) = self.getting.download.as_ref().filter(|it| is_download && it.name == offer.name) {
            self.getting.awaited = Some(download.choice);
            return Vec::new();
        }
        self.getting.choices += 1;
        let choice = self.getting.choices;
        self.getting.awaited = Some(choice);
        self.forget_reason();
        let mut effects = Vec::new();
        if is_download {
            effects.extend(self.end_download());
            self.getting.stopped.take_if(|stopped| stopped.name == offer.name);
            let name = offer.name.clone();
            self.getting.download = Some(Download { choice, name, progress: None, stop_asked: false });
        }
        effects.push(Effect::Get { choice, offer });
        effects
    }

    pub(super) fn download_grows(&mut self, choice: u64, progress: Progress) {
        if let Some(download) = self.getting.download.as_mut().filter(|download| download.choice == choice) {
            download.progress = Some(progress);
        }
    }

    /// A model that was chosen is here, or cannot be had for this reason.
    pub(super) fn got(&mut self, choice: u64, result: Result<LoadSettings, String>) -> Vec<Effect> {
        let download = self.getting.download.take_if(|download| download.choice == choice);
        let is_awaited = self.getting.awaited.take_if(|awaited| *awaited == choice).is_some();
        if download.is_none() && !is_awaited {
            return Vec::new();
        }
        let mut effects = match result {
            Ok(settings) if is_awaited => self.load_when_possible(Incoming { settings, is_chosen: true }),
            Ok(settings) => {
                self.notice(format!("`{}` is here now; F4 chooses it", name(&settings)));
                Vec::new()
            }
            Err(sentence) => {
                self.forget_retry();
                self.transcript.note(sentence, true);
                self.getting.stopped = download.map(|Download { name, progress, .. }| Stopped { name, progress });
                self.give_back_if_nothing_comes();
                Vec::new()
            }
        };
        if matches!(self.popup, Popup::Models(_)) {
            effects.push(Effect::ListModels);
        }
        effects
    }

    /// Stops the download at the second time it is asked for in a row.
    pub(super) fn ask_to_stop_download(&mut self) -> Vec<Effect> {
        match &mut self.getting.download {
            Some(download) if !download.stop_asked => {
                download.stop_asked = true;
                Vec::new()
            }
            _ => self.stop_download(),
        }
    }

    pub(super) fn stop_download(&mut self) -> Vec<Effect> {
        let Some(effect) = self.end_download() else { return Vec::new() };
        self.give_back_if_nothing_comes();
        if !matches!(self.popup, Popup::Models(_)) {
            let how = self.how_to_go_on();
            self.notice(format!("the download is stopped and what came of it is kept; {how} with it"));
        }
        vec![effect]
    }

    /// The list has the models of the catalogue, but not what was named as a place on the hub.
    fn how_to_go_on(&self) -> String {
        let is_listed = |name: &String| self.offers().is_none_or(|offers| offers.iter().any(|it| it.name == *name));
        match self.getting.stopped.as_ref().map(|stopped| &stopped.name).filter(|name| !is_listed(name)) {
            Some(name) => format!("`/model {}` goes on", escape_line(name)),
            None => "F4 and Enter go on".to_owned(),
        }
    }

    fn end_download(&mut self) -> Option<Effect> {
        let Download { choice, name, progress, .. } = self.getting.download.take()?;
        self.getting.awaited.take_if(|awaited| *awaited == choice);
        self.getting.stopped = Some(Stopped { name, progress });
        Some(Effect::StopDownload)
    }

    /// A message that waits for a model that will not come goes back to where it was written.
    fn give_back_if_nothing_comes(&mut self) {
        if self.outbox.is_some() && matches!(self.activity, Activity::NoModel(_)) && !self.awaits_model() {
            self.give_back_unanswered();
        }
    }

    fn load_when_possible(&mut self, incoming: Incoming) -> Vec<Effect> {
        if !self.is_answering() {
            return self.load(incoming);
        }
        self.notice(format!("`{}` is loaded when the answer has ended; Esc ends it now", name(&incoming.settings)));
        self.getting.next = Some(incoming);
        Vec::new()
    }

    /// An answer has ended: the model that waited for that is loaded.
    pub(super) fn load_next(&mut self) -> Vec<Effect> {
        self.getting.next.take().map(|incoming| self.load(incoming)).unwrap_or_default()
    }

    fn load(&mut self, incoming: Incoming) -> Vec<Effect> {
        if self.engine_is_lost {
            self.notice("the engine stopped unexpectedly and loads nothing any more; leave with Ctrl-C twice");
            self.give_back_if_nothing_comes();
            return Vec::new();
        }
        let mut effects: Vec<Effect> = self.stop_looking_ahead().into_iter().collect();
        if self.model.take().is_some() {
            effects.push(Effect::Snapshot);
        }
        self.forget_reason();
        self.getting.before = self.getting.loaded.take().or(self.getting.before.take());
        self.model_file = name(&incoming.settings);
        self.recalls = !incoming.settings.kv.no_recall;
        self.held = Held::default();
        self.unkept_pins.clear();
        self.tokens_per_second = None;
        self.last_answer = None;
        self.activity = Activity::Loading(0.0);
        effects.push(Effect::Load(Box::new(incoming.settings.clone())));
        self.getting.incoming = Some(incoming);
        effects
    }

    pub(super) fn model_ready(&mut self, info: Box<ModelInfo>, now: Instant) -> Vec<Effect> {
        self.activity = Activity::Idle;
        self.begin_wanted_again(now);
        let mut effects = Vec::new();
        if let Some(Incoming { settings, is_chosen }) = self.getting.incoming.take() {
            if is_chosen {
                self.note_other_model(&info.name);
                // The next start is with a model of this machine, unless a server is set.
                effects.extend(info.server.is_none().then(|| Effect::Remember(info.name.clone())));
            }
            self.getting.loaded = Some(settings);
        }
        self.getting.before = None;
        self.model = Some(info);
        self.note_base_model();
        self.note_device();
        self.note_server();
        self.note_draft_model();
        self.look_ahead(now);
        effects.extend(self.answer_if_possible());
        effects.extend(self.send_next());
        effects
    }

    /// Tells in place that another model goes on with the conversation.
    fn note_other_model(&mut self, name: &str) {
        let is_answered = self.transcript.entries().iter().any(|entry| matches!(entry, Entry::Answer(_)));
        if is_answered || self.answers_again() {
            self.transcript.note(format!("`{}` answers from here on", escape_line(name)), false);
        }
    }

    /// Goes back to the model that was there before, if there was one.
    pub(super) fn load_failed(&mut self, sentence: String) -> Vec<Effect> {
        self.forget_retry();
        let failed = self.getting.incoming.take().map(|incoming| name(&incoming.settings)).unwrap_or_default();
        let Some(settings) = self.getting.before.take() else {
            self.lose_model(sentence);
            return Vec::new();
        };
        self.transcript.note(sentence, true);
        self.notice(format!("`{failed}` cannot be used, so `{}` is loaded again", name(&settings)));
        if self.outbox.is_some() {
            self.give_back_unanswered();
        }
        self.hold_queue();
        self.load(Incoming { settings, is_chosen: false })
    }

    /// Why there is no model matters no more once one is on its way.
    fn forget_reason(&mut self) {
        if let Activity::NoModel(reason) = &self.activity {
            self.transcript.remove_note(reason);
        }
    }

    /// There is no model, and one that was chosen comes.
    pub fn awaits_model(&self) -> bool {
        matches!(self.activity, Activity::NoModel(_)) && self.getting.awaited.is_some()
    }

    /// A model that is here, or on a server, was named or chosen and will answer in a moment: what is sent waits for it. One
    /// that is downloaded takes longer.
    pub(super) fn is_switching(&self) -> bool {
        let is_getting = self.getting.awaited.is_some() && self.getting.download.is_none();
        self.is_finding_model() || is_getting
    }

    /// A model was chosen and is on its way.
    pub(super) fn is_getting(&self) -> bool {
        self.getting.awaited.is_some() || self.getting.next.is_some()
    }

    /// The download that is under way.
    pub fn download(&self) -> Option<&Download> {
        self.getting.download.as_ref()
    }

    /// The last download that was stopped or failed.
    pub fn stopped_download(&self) -> Option<&Stopped> {
        self.getting.stopped.as_ref()
    }

    /// Whether the next Esc stops the download.
    pub fn stops_download_on_escape(&self) -> bool {
        self.getting.download.as_ref().is_some_and(|download| download.stop_asked)
    }
}

/// What a model is called before it is loaded.
pub(super) fn name(settings: &LoadSettings) -> String {
    let file = settings.path.file_name().unwrap_or(settings.path.as_os_str());
    settings.name.clone().unwrap_or_else(|| file.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::Ended;
    use crate::engine::protocol::Step;
    use crate::models;
    use crate::ui::app::tester::{Tester, assistant, download, here, model, prompt, settings, user};
    use crate::ui::msg::{Command, Msg};

    fn other() -> LoadSettings {
        LoadSettings { name: Some("other".into()), path: "/models/other.gguf".into(), ..settings() }
    }

    fn progress(done_bytes: u64) -> Progress {
        let step = models::Step::Downloading;
        Progress { step, done_bytes, total_bytes: 1000, bytes_per_second: Some(10.0) }
    }

    /// Chooses the entry of this name in the list; which number the choice has, if something is asked for.
    fn choose(tester: &mut Tester, offer: Offer) -> (Option<u64>, Vec<Effect>) {
        tester.command(Command::Models);
        let name = offer.name.clone();
        tester.update(Msg::Offers(vec![download("first"), offer]));
        tester.type_text(&name);
        let mut effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        if matches!(tester.app.popup(), Popup::Confirm(_)) {
            effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        }
        let choice = effects.iter().find_map(|effect| match effect {
            Effect::Get { choice, .. } => Some(*choice),
            _ => None,
        });
        (choice, effects)
    }

    fn downloading() -> (Tester, u64) {
        let (mut tester, _) = Tester::choosing(None);
        let choice = choose(&mut tester, download("other")).0.unwrap();
        (tester, choice)
    }

    fn got(tester: &mut Tester, choice: u64) -> Vec<Effect> {
        tester.update(Msg::Got { choice, result: Ok(Box::new(other())) })
    }

    fn ready(tester: &mut Tester) -> Vec<Effect> {
        tester.model(Step::Ready(Box::new(crate::engine::protocol::ModelInfo { name: "other".into(), ..model(true) })))
    }

    #[test]
    fn a_message_sent_during_the_download_waits_for_the_model_and_is_answered() {
        let (mut tester, choice) = downloading();
        assert!(tester.notes().is_empty(), "that there is none matters no more");
        tester.send("Hi");
        assert!(tester.app.composer.is_empty() && tester.app.notices().is_empty());
        assert!(prompt(&tester.question_is_saved(1)).is_none());
        tester.update(Msg::Downloading { choice, progress: progress(450) });
        assert_eq!(tester.app.download().unwrap().progress, Some(progress(450)));
        let effects = got(&mut tester, choice);
        assert!(matches!(effects[..], [Effect::Load(_)]), "{effects:?}");
        assert_eq!((tester.app.model_name(), tester.app.download()), ("other", None));
        let effects = ready(&mut tester);
        assert!(matches!(&effects[0], Effect::Remember(name) if name == "other"), "{effects:?}");
        assert_eq!(prompt(&effects).unwrap().messages, [user("Hi")]);
        assert!(tester.notes().is_empty());
    }

    #[test]
    fn a_message_that_follows_the_name_of_another_model_waits_for_it() {
        let mut tester = Tester::ready();
        assert!(matches!(tester.send("/model other")[..], [Effect::ListModels]));
        assert!(prompt(&tester.send("For the other one")).is_none());
        let effects = tester.update(Msg::Offers(vec![here("other", None)]));
        let [Effect::Get { choice, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert!(matches!(got(&mut tester, *choice)[..], [Effect::Snapshot, Effect::Load(_)]));
        assert_eq!(prompt(&ready(&mut tester)).unwrap().messages, [user("For the other one")]);
    }

    #[test]
    fn a_message_for_a_model_that_cannot_be_had_is_answered_by_the_one_that_is_there() {
        let mut tester = Tester::ready();
        tester.send("/model nowhere");
        assert!(prompt(&tester.send("Hi")).is_none());
        let effects = tester.update(Msg::Offers(vec![here("other", None)]));
        assert!(tester.app.notices()[0].contains("no model is called `nowhere`"), "{:?}", tester.app.notices());
        assert_eq!(prompt(&effects).unwrap().messages, [user("Hi")]);
    }

    #[test]
    fn a_download_that_fails_is_a_sentence_and_the_message_comes_back() {
        let (mut tester, choice) = downloading();
        tester.send("Hi");
        tester.question_is_saved(1);
        tester.update(Msg::Downloading { choice, progress: progress(450) });
        assert!(tester.update(Msg::Got { choice, result: Err("the disk is full".into()) }).is_empty());
        assert_eq!(tester.notes(), ["the disk is full"]);
        assert_eq!(tester.app.composer.text(), "Hi");
        assert!(!tester.app.awaits_model());
        assert_eq!(tester.app.stopped_download().unwrap().progress, Some(progress(450)));
        tester.app.composer.take();
        let (again, _) = choose(&mut tester, download("other"));
        assert!(again.is_some_and(|again| again != choice));
        assert_eq!(tester.app.stopped_download(), None);
    }

    #[test]
    fn escape_asks_before_it_stops_a_download() {
        let (mut tester, choice) = downloading();
        assert!(tester.command(Command::Stop).is_empty());
        assert!(tester.app.stops_download_on_escape());
        tester.type_text("x");
        assert!(!tester.app.stops_download_on_escape(), "writing is no answer to that");
        tester.command(Command::Stop);
        assert!(matches!(tester.command(Command::Stop)[..], [Effect::StopDownload]));
        assert!(tester.app.notices()[0].contains("is kept; F4 and Enter"), "{:?}", tester.app.notices());
        assert!(got(&mut tester, choice).is_empty(), "what comes all the same is not loaded");
        assert!(matches!(tester.app.activity(), Activity::NoModel(_)));
        assert!(matches!(tester.send("Hi")[..], [Effect::ListModels]), "nothing comes that could answer");
    }

    #[test]
    fn what_is_said_of_a_stopped_download_goes_on_with_it() {
        let (mut tester, choice) = downloading();
        tester.update(Msg::Downloading { choice, progress: progress(450) });
        tester.command(Command::Stop);
        tester.command(Command::Stop);
        tester.key(KeyCode::F(4), KeyModifiers::NONE);
        tester.update(Msg::Offers(vec![download("first"), download("other")]));
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert!(matches!(&effects[..], [Effect::Get { offer, .. }] if offer.name == "other"), "{effects:?}");

        let (mut tester, _) = Tester::choosing(None);
        choose(&mut tester, download("hf:owner/repo"));
        tester.update(Msg::Offers(vec![download("first")]));
        tester.command(Command::Stop);
        tester.command(Command::Stop);
        assert!(tester.app.notices()[0].contains("`/model hf:owner/repo` goes on"), "{:?}", tester.app.notices());
    }

    #[test]
    fn escape_takes_a_waiting_message_back_before_it_stops_a_download() {
        let (mut tester, _) = downloading();
        tester.send("Hi");
        tester.command(Command::Stop);
        assert_eq!(tester.app.composer.text(), "Hi");
        assert!(tester.app.download().is_some() && !tester.app.stops_download_on_escape());
    }

    #[test]
    fn the_list_stops_a_download_and_goes_on_with_it() {
        let (mut tester, choice) = downloading();
        tester.send("Hi");
        tester.question_is_saved(1);
        tester.update(Msg::Downloading { choice, progress: progress(450) });
        tester.key(KeyCode::F(4), KeyModifiers::NONE);
        assert!(matches!(tester.key(KeyCode::Delete, KeyModifiers::NONE)[..], [Effect::StopDownload]));
        assert_eq!(tester.app.stopped_download().map(|stopped| stopped.name.as_str()), Some("other"));
        assert_eq!(tester.app.composer.text(), "Hi");
        tester.update(Msg::Offers(vec![download("first"), download("other")]));
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert!(matches!(&effects[..], [Effect::Get { offer, .. }] if offer.name == "other"), "{effects:?}");
    }

    #[test]
    fn of_two_downloads_the_second_takes_the_place_of_the_first() {
        let (mut tester, first) = downloading();
        let (second, effects) = choose(&mut tester, download("third"));
        assert!(matches!(effects[..], [Effect::StopDownload, Effect::Get { .. }]), "{effects:?}");
        assert!(got(&mut tester, first).is_empty());
        assert!(matches!(got(&mut tester, second.unwrap())[..], [Effect::Load(_)]));
    }

    #[test]
    fn a_model_that_is_here_is_loaded_beside_a_download_which_is_told_when_it_is_done() {
        let (mut tester, downloaded) = downloading();
        let (chosen, effects) = choose(&mut tester, here("local", Some("Ollama")));
        assert!(matches!(effects[..], [Effect::Get { .. }]), "{effects:?}");
        assert!(matches!(got(&mut tester, chosen.unwrap())[..], [Effect::Load(_)]));
        ready(&mut tester);
        assert!(got(&mut tester, downloaded).is_empty());
        assert_eq!(tester.app.notices(), ["`other` is here now; F4 chooses it"]);
    }

    #[test]
    fn choosing_what_is_being_downloaded_once_more_awaits_it() {
        let (mut tester, downloaded) = downloading();
        choose(&mut tester, here("local", None));
        assert_eq!(choose(&mut tester, download("other")).0, None);
        assert!(matches!(got(&mut tester, downloaded)[..], [Effect::Load(_)]));
    }

    #[test]
    fn another_model_goes_on_with_the_chat() {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        tester.tick_when_due();
        let (choice, _) = choose(&mut tester, here("other", None));
        let effects = got(&mut tester, choice.unwrap());
        assert!(matches!(effects[..], [Effect::CancelAhead, Effect::Snapshot, Effect::Load(_)]), "{effects:?}");
        assert_eq!((tester.app.model_name(), tester.app.held()), ("other", Held::default()));
        tester.send("two");
        let effects = ready(&mut tester);
        assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("first"), user("two")]);
        assert_eq!(tester.notes(), ["`other` answers from here on"]);
        assert_eq!(tester.app.getting.loaded(), Some(&other()));
    }

    #[test]
    fn a_model_chosen_in_mid_answer_is_loaded_after_it() {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.token("first", 1);
        let (choice, _) = choose(&mut tester, here("other", None));
        assert!(got(&mut tester, choice.unwrap()).is_empty());
        assert!(tester.app.notices()[0].contains("when the answer has ended"), "{:?}", tester.app.notices());
        let effects = tester.finish(Ended::Stop);
        assert!(matches!(effects[..], [Effect::Snapshot, Effect::Load(_)]), "{effects:?}");
        assert_eq!(tester.answer_texts(), ["first"]);
    }

    #[test]
    fn if_the_other_model_cannot_be_loaded_the_one_before_comes_back() {
        let mut tester = Tester::ready();
        let (choice, _) = choose(&mut tester, here("other", None));
        got(&mut tester, choice.unwrap());
        tester.send("Hi");
        let effects = tester.model(Step::Failed(EngineError::BadModel("`other` is damaged".into())));
        assert!(matches!(&effects[..], [Effect::Load(before)] if **before == settings()), "{effects:?}");
        assert_eq!(tester.notes(), ["`other` is damaged"]);
        assert_eq!(tester.app.notices(), ["`other` cannot be used, so `tiny.gguf` is loaded again"]);
        assert_eq!(tester.app.composer.text(), "Hi", "it was meant for another model");
        let effects = tester.model(Step::Ready(Box::new(model(true))));
        assert!(effects.is_empty(), "{effects:?}");
        assert_eq!(tester.app.getting.loaded(), Some(&settings()));
    }

    #[test]
    fn if_neither_can_be_loaded_there_is_no_model_and_another_can_be_chosen() {
        let mut tester = Tester::ready();
        let (choice, _) = choose(&mut tester, here("other", None));
        got(&mut tester, choice.unwrap());
        for sentence in ["the first", "the second"] {
            tester.model(Step::Failed(EngineError::BadModel(sentence.into())));
        }
        assert!(matches!(tester.app.activity(), Activity::NoModel(reason) if reason == "the second"));
        let (choice, _) = choose(&mut tester, here("other", None));
        assert!(matches!(got(&mut tester, choice.unwrap())[..], [Effect::Load(_)]));
    }

    #[test]
    fn an_engine_that_was_started_anew_loads_again() {
        let mut tester = Tester::ready();
        tester.update(Msg::EngineLost { is_back: true });
        assert!(matches!(tester.app.activity(), Activity::NoModel(reason) if reason.contains("`/model`")));
        let (choice, _) = choose(&mut tester, here("other", None));
        let effects = got(&mut tester, choice.unwrap());
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Load(_))), "{effects:?}");
    }

    #[test]
    fn a_lost_engine_loads_nothing() {
        let mut tester = Tester::ready();
        tester.update(Msg::EngineLost { is_back: false });
        let (choice, _) = choose(&mut tester, here("other", None));
        assert!(got(&mut tester, choice.unwrap()).is_empty());
        assert!(tester.app.notices()[0].contains("loads nothing any more"), "{:?}", tester.app.notices());
    }
}
