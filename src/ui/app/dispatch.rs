//! Which part of the state each message and each command concerns.

use std::time::Instant;

use super::stats::NOT_TOLD;
use super::{App, Popup};
use crate::chat::Ended;
use crate::ui::composer::Field;
use crate::ui::msg::{Command, Effect, Msg};

impl App {
    /// What a message does.
    pub(super) fn happened(&mut self, msg: Msg, now: Instant) -> Vec<Effect> {
        match msg {
            Msg::Started(Some(prepared)) => return self.started(*prepared),
            // Why is told when the terminal is given back.
            Msg::Started(None) => return self.leave(Ended::Cancelled),
            Msg::TypedAhead(text) => {
                self.look_ahead(now);
                return self.typed_ahead(&text, now);
            }
            Msg::Line(line) => return self.line_typed(&line, now),
            Msg::Command(command) => return self.command(command, now),
            Msg::Edit(key) => return self.edit_text(key, now),
            Msg::Paste(text) => {
                self.look_ahead(now);
                return self.paste(&text);
            }
            Msg::Attached(read) => {
                self.look_ahead(now);
                self.attached(read);
            }
            Msg::Ran(output) => {
                self.look_ahead(now);
                self.ran(output);
            }
            Msg::Notices(sentences) => sentences.into_iter().for_each(|sentence| self.notice(sentence)),
            Msg::NotAttached { there, missing } => self.not_attached(&there, &missing),
            Msg::PictureRead { wanted, outcome } => self.transcript.picture_came(&wanted, &outcome, &self.look.theme),
            Msg::DraftRead { chat, parts } => {
                self.look_ahead(now);
                self.draft_read(chat, &parts);
            }
            Msg::EditedOutside(result) => {
                self.look_ahead(now);
                self.edited_outside(result);
            }
            Msg::SentRead(sent) => self.sent_read(sent),
            Msg::Filter(key) => return self.edit_field(key),
            Msg::Fill(text) => return self.fill_field(&text),
            Msg::Model(step) => return self.model_step(step, now),
            Msg::Answer(step) => return self.answer_step(step, now),
            Msg::Ahead(step) => self.ahead_step(step, now),
            Msg::EngineLost { is_back } => return self.engine_lost(is_back, now),
            Msg::QuestionSaved => return self.question_saved(),
            Msg::WrittenOutside => self.written_outside(),
            Msg::Changed(changes) => return self.changes_read(changes.map(|changes| *changes), now),
            Msg::Chats(rows) => return self.chats_listed(rows),
            Msg::FoundMessages { words, found } => return self.found_messages(words, found),
            Msg::ChatOpened(chat) => {
                self.look_ahead(now);
                let effects = self.chat_opened(chat);
                self.look_for_news_later(now);
                return effects;
            }
            Msg::ChatDeleted(chat) => return self.chat_deleted(chat),
            Msg::ChatRestored(chat) => return self.chat_restored(chat),
            Msg::Tagged(tags) => self.tell_tags(&tags),
            Msg::Forked(chat) => return self.forked(chat, now),
            Msg::Copied { what, bytes } => self.copied(&what, bytes),
            Msg::NotCopied { what } => self.not_copied(&what),
            Msg::Offers(offers) => {
                let mut effects = self.get_model_for_retry(&offers, now);
                effects.extend(self.models_listed(offers));
                return effects;
            }
            Msg::OffersOfServers(offers) => self.servers_listed(offers),
            Msg::ModelFound(found) => return self.model_found(found.map(|offer| *offer)),
            Msg::Downloading { choice, progress } => self.download_grows(choice, progress),
            Msg::Got { choice, result } => return self.got(choice, result.map(|settings| *settings)),
            Msg::Files { folder, paths } => self.files_found(folder, paths),
            Msg::Prompts { texts, problems } => return self.prompts_listed(texts, problems),
            Msg::Exported { path, result } => self.exported(path, result),
            Msg::SystemRead(result) => {
                self.system_read(result);
                self.look_ahead(now);
            }
            Msg::SaveFailed(sentence) => return self.save_failed(&sentence),
            Msg::StoreFailed(sentence) => self.store_failed(sentence),
            Msg::Settings(standings) => self.settings_read(standings),
            Msg::SettingChanged { about, result } => {
                return self.setting_changed(about, result.map(|changed| *changed));
            }
            Msg::Sensed(machine) => self.sensors.read(machine),
            Msg::Background { is_light } => self.look.background_is(is_light),
            Msg::Tick => {
                self.look_for_news_if_due(now);
                let mut effects: Vec<Effect> = self.unsaved.take_due(now).into_iter().collect();
                effects.extend(self.take_ahead(now));
                return effects;
            }
            Msg::Terminate => return self.leave(Ended::Interrupted),
        }
        Vec::new()
    }

    /// What a command does.
    pub(super) fn command(&mut self, command: Command, now: Instant) -> Vec<Effect> {
        if command.changes_text() {
            self.look_ahead(now);
        }
        match command {
            Command::Send => return self.send(now),
            Command::Stop => return self.stop(),
            Command::Interrupt => return self.interrupt(now),
            Command::Rename(title) => return self.rename(&title),
            Command::Resume(words) => return self.resume(words),
            Command::Save(path) => return self.save(path),
            Command::System(wanted) => {
                self.look_ahead(now);
                return self.system_prompt(wanted.as_deref());
            }
            Command::Prompt(name) => return self.use_prompt(name),
            Command::Prompts => return self.open_palette(true),
            Command::Palette => return self.open_palette(false),
            Command::ChooseInPalette => return self.choose_in_palette(now),
            Command::TakeCompletion => {
                self.look_ahead(now);
                return self.take_completion();
            }
            Command::RunCompletion => {
                self.look_ahead(now);
                return self.run_completion(now);
            }
            Command::CloseCompletion => self.close_completion(),
            Command::MoveInCompletion(by) => self.move_in_completion(by),
            Command::Model(name) => return self.use_model(name),
            Command::Settings => self.list_settings(),
            Command::Panel(words) => return self.open_panel(words.as_deref()),
            Command::Keep { about, value } => return self.keep_setting(about, value),
            Command::ChangeChosen => return self.change_chosen(),
            Command::StepChosen(by) => return self.step_chosen(by),
            Command::ResetChosen => return self.reset_chosen(),
            Command::TellChosen => self.tell_chosen(),
            Command::Set { setting, value } => {
                self.look_ahead(now);
                self.set(setting, value.as_deref());
            }
            Command::Think(think) => {
                self.look_ahead(now);
                self.think(think);
            }
            Command::Kv => self.show_kv(),
            Command::Stats => self.show_stats(),
            Command::Theme(name) => return self.use_theme(name),
            Command::Continue => return self.continue_answer(),
            Command::Select(step) => return self.select(step, now),
            Command::Copy(what) => return self.copy_named(what),
            Command::EditMessage(number) => {
                self.edit_message(number);
                self.look_ahead(now);
            }
            Command::Retry(how) => return self.retry(how, now),
            Command::Fork(number) => return self.fork(number),
            Command::Branch(wanted) => return self.branch(wanted, now),
            Command::UndoExchange => return self.undo_exchange(now),
            Command::RedoExchange => return self.redo(now),
            Command::Quit => return self.leave(Ended::Cancelled),
            Command::Suspend => return vec![Effect::Suspend],
            Command::Redraw => return vec![Effect::Redraw],
            Command::NewChat => {
                self.look_ahead(now);
                return self.new_chat();
            }
            Command::Context if !self.tells_cache() => self.notice(NOT_TOLD),
            Command::Context => {
                self.popup = Popup::Context { top: 0 };
                self.look_ahead(now);
            }
            Command::Spec => self.explain_drafts(),
            Command::Pin(number) => return self.pin(number, true, now),
            Command::Unpin(number) => return self.pin(number, false, now),
            Command::Chats => return self.list_chats(),
            Command::SearchChats(words) => return self.search_chats(words),
            Command::SearchTyped => return self.search_typed(),
            Command::OpenFound => return self.open_found(),
            Command::OpenChosen => return self.open_chosen(),
            Command::DeleteChosen => return self.delete_chosen(),
            Command::RestoreChat => return vec![Effect::RestoreChat],
            Command::RenameChosen => self.rename_chosen(),
            Command::ArchiveChosen => return self.archive_chosen(),
            Command::ShowArchived => self.show_archived(),
            Command::Tag(words) => return self.tag(words.as_deref()),
            Command::Private => {
                self.look_ahead(now);
                return self.begin_private();
            }
            Command::Archive(is_archived) => return self.archive(is_archived),
            Command::Models => return self.list_models(),
            Command::ChooseModel => return self.choose_model(),
            Command::Confirm => return self.confirm(),
            Command::TakeSmallest => self.take_smallest(),
            Command::Refuse => return self.refuse_download(),
            Command::StopDownload => return self.stop_download(),
            Command::Prefix => self.is_prefixed = true,
            Command::OpenToken => self.open_token(),
            Command::Attach(wanted) => return self.attach(wanted),
            Command::Run(line) => return self.ask_to_run(&line),
            Command::AttachClipboard => return self.attach_clipboard(),
            Command::Detach(name) => self.detach(name.as_deref()),
            Command::EditOutside => {
                return vec![Effect::EditOutside { text: self.text_for_editor(), is_private: self.is_private }];
            }
            Command::Search => return self.search_sent(),
            Command::TakeFound => self.take_found(),
            Command::CloseSearch => drop(self.close_search()),
            Command::TakeBack(place) => drop(self.take_back(Some(place.into()))),
            Command::Newline => self.composer.newline(),
            Command::Undo => self.composer.undo(),
            Command::Redo => self.composer.redo(),
            Command::DeleteToLineStart => self.composer.delete_to_line_start(),
            Command::Help => self.popup = Popup::Help { top: 0, filter: Field::default() },
            Command::HelpOn(words) => self.popup = Popup::Help { top: 0, filter: Field::holding(&words) },
            Command::ClosePopup if self.stop_renaming() || self.stop_writing_value() => {}
            Command::ClosePopup => self.popup = Popup::Closed,
            Command::ShowThinking => self.transcript.show_thinking = !self.transcript.show_thinking,
            Command::Scroll(scroll) => self.transcript.scroll(scroll, &self.look.theme),
            Command::Move(by) => self.move_in_popup(by),
        }
        Vec::new()
    }
}
