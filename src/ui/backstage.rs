//! What both ways of showing the chat stand on, the screen and the lines of plain mode: the state, the engine, what does
//! the state's effects, and what comes back from there. Starting it all, and ending it in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use anyhow::Context;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::app::{App, Look, Start};
use super::calm::Calm;
use super::markdown::languages;
use super::msg::Msg;
use super::perform::Performer;
use super::pictures::{self, Protocol};
use super::theme::{self, Themes};
use super::{Face, Prepared, Setup, last_theme};
use crate::config::Switch;
use crate::engine::protocol::Event as EngineEvent;
use crate::engine::{self, Engine, Source};

/// The state and everything behind it.
pub struct Backstage {
    pub app: App,
    /// What was said in lines stays said; a screen shows what others write.
    is_screen: bool,
    pub performer: Performer,
    pub engine_events: UnboundedReceiver<EngineEvent>,
    pub engine_is_there: bool,
    source: Source,
    pub messages: UnboundedSender<Msg>,
    pub replies: UnboundedReceiver<Msg>,
    /// What is done once the first words are out.
    prepare: Option<Box<dyn FnOnce() -> Option<Prepared> + Send>>,
}

/// Starts an engine, and gives where its events come out.
fn start_engine(source: Source) -> std::io::Result<(Engine, UnboundedReceiver<EngineEvent>)> {
    let (events, engine_events) = unbounded_channel();
    let engine = engine::spawn(source, move |event| events.send(event).is_ok())?;
    Ok((engine, engine_events))
}

impl Backstage {
    /// Starts the engine; nothing is loaded yet.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn set_up(setup: Setup) -> anyhow::Result<Self> {
        let environment = |name: &str| std::env::var(name).ok();
        let is_screen = matches!(setup.face, Face::Screen | Face::Inline);
        let has_pictures = setup.face == Face::Screen;
        let (themes, problems) = Themes::with_those_in(&setup.themes);
        let last = last_theme::recall(setup.theme_file.as_deref());
        let terminal = theme::Terminal::detect(&environment).drawn_with(setup.ascii, setup.borders);
        let (look, missing) = Look::at_the_start(themes, terminal, setup.theme, last.as_ref());
        let notices = setup.notices.into_iter().chain(problems).chain(missing).collect();
        let app = App::new(Start {
            resumes: setup.resumes,
            is_offline: setup.is_offline,
            options: setup.options,
            system: setup.system,
            saves: setup.saves,
            is_private: !setup.saves,
            notices,
            look,
            prefill_while_typing: setup.prefill_while_typing,
            calm: Calm::detect(setup.motion, setup.save_power, &environment),
            status: setup.status,
            vi_keys: setup.vi_keys && is_screen,
            pictures: has_pictures.then(|| picture_protocol(setup.images)).flatten(),
            copies_through_terminal: is_screen,
        });
        let (engine, engine_events) = start_engine(setup.engine.clone())
            .context("the system cannot start a thread for the engine; close other programs and try again")?;
        let (messages, replies) = unbounded_channel();
        Ok(Self {
            app,
            is_screen,
            performer: Performer::new(
                engine,
                setup.supply,
                setup.prompts,
                setup.theme_file,
                setup.settings,
                setup.pictures,
                messages.clone(),
            ),
            engine_events,
            engine_is_there: true,
            source: setup.engine,
            messages,
            replies,
            prepare: Some(setup.prepare),
        })
    }

    /// Before nothing is done until something happens: forgets what is not used any more. Gives when there is something
    /// to do although nothing happens.
    pub fn rest(&self) -> Option<Instant> {
        [self.app.wake_at(), languages::forget_unused(Instant::now())].into_iter().flatten().min()
    }

    /// Opens the store and looks for a model, on a thread of its own; what was found comes as [`Msg::Started`].
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn prepare(&mut self) -> anyhow::Result<()> {
        let Some(prepare) = self.prepare.take() else { return Ok(()) };
        let messages = self.messages.clone();
        let prepare = move || {
            // The loop is gone only when the program ends.
            let prepared = catch_unwind(AssertUnwindSafe(prepare)).unwrap_or(None);
            let _ = messages.send(Msg::Started(prepared.map(Box::new)));
        };
        std::thread::Builder::new()
            .name("prepare".into())
            .spawn(prepare)
            .context("the system cannot start a thread; close other programs and try again")?;
        Ok(())
    }

    /// What an event of the engine means to the state; `None` is that its thread is gone, and another takes its place.
    pub fn engine_said(&mut self, event: Option<EngineEvent>) -> Option<Msg> {
        match event {
            Some(event) => self.performer.message(event),
            None => {
                let started = start_engine(self.source.clone());
                self.engine_is_there = started.is_ok();
                if let Ok((engine, events)) = started {
                    self.engine_events = events;
                    self.performer.replace_engine(engine);
                }
                Some(Msg::EngineLost { is_back: self.engine_is_there })
            }
        }
    }

    /// A message on its way to the state.
    pub fn pass(&mut self, message: Msg) -> Msg {
        if let Msg::Started(prepared) = &message {
            self.performer.begin(prepared.as_ref().and_then(|prepared| prepared.store.clone()));
            if self.is_screen {
                self.performer.watch_store();
            }
        }
        message
    }

    /// Lets everything come to its end that was begun.
    pub async fn finish(mut self) {
        // What was written before the store was open is to be kept in it.
        while !self.performer.is_prepared() {
            match self.replies.recv().await {
                Some(message) => drop(self.pass(message)),
                None => break,
            }
        }
        self.performer.finish();
    }
}

fn picture_protocol(images: Switch) -> Option<Protocol> {
    pictures::protocol(images, &|name: &str| std::env::var(name).ok())
}
