//! `tuichat doctor`: what this machine, the build, the settings and the files are like, and what to do about what is
//! wrong. Nothing is changed, measured or asked for over the network.
//!
//! Each section has a file: a function that looks (at a `system::System`, so that tests bring their own) gives facts,
//! and from the facts come the findings. `page` prints them.

mod chats;
mod disk;
mod finding;
mod gpus;
mod instructions;
mod memory;
mod models;
mod network;
mod page;
mod processor;
mod program;
mod settings;
mod system;
mod terminal;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Surroundings, print_json};
use crate::config::{Config, Directories, Engines, Layers, Settings, SettingsFile};
use crate::engine::{about, devices};
use crate::exit::{Exit, Failure};
use crate::hardware::{cores, gpus as graphics};
use crate::models::fit::Verdict;
use crate::models::{Elsewhere, Library, Places, catalog, gguf};
use finding::{Finding, Level, Section};
use memory::{Fitting, Largest};
use page::Look;
use system::System;

/// Columns of the page where the terminal does not tell, and the most and least it is made for.
const USUAL_WIDTH: usize = 80;
const MOST_WIDTH: usize = 100;
const LEAST_WIDTH: usize = 40;

/// Looks and tells. The exit code is 1 if there is a problem.
///
/// # Errors
/// If it cannot be printed.
pub fn run(as_json: bool, typed: Settings) -> Result<Exit, Failure> {
    let home = std::env::home_dir();
    // As they are now: llama.cpp sets some for itself when it starts.
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    let variables: HashMap<String, String> =
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    let variable = |name: &str| variables.get(name).cloned();
    let system = System { root: Path::new("/"), variable: &variable, home: home.as_deref() };
    let ends = terminal::Ends::of_this_process();
    let mut names: Vec<String> = variables.keys().cloned().collect();
    names.sort();
    let sections = examine(&system, &names, ends, typed);
    if as_json {
        print_json(&report(&sections))?;
    } else {
        let is_plain = system.set("NO_COLOR").is_some() || system.set("TERM").is_none_or(|term| term == "dumb");
        let width = ends.size.filter(|_| ends.stdout).map_or(USUAL_WIDTH, |(columns, _)| usize::from(columns));
        let width = if width == 0 { USUAL_WIDTH } else { width.clamp(LEAST_WIDTH, MOST_WIDTH) };
        write(&page::page(&sections, Look { width, colours: ends.stdout && !is_plain }))?;
    }
    let has_problem = sections.iter().any(|section| section.level() == Level::Problem);
    Ok(if has_problem { Exit::Error } else { Exit::Success })
}

/// Writes what is escaped already, but for our own colours.
fn write(page: &str) -> Result<(), Failure> {
    crate::closed_stdout::check()?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(page.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))
}

/// All for a script. Keys may be added, never renamed.
fn report(sections: &[Section]) -> Value {
    let of_section = |section: &Section| {
        let name = section.name;
        let findings = section.findings.clone().into_iter();
        findings
            .map(move |Finding { level, what, remedy }| {
                json!({ "section": name, "level": level, "what": what, "remedy": remedy })
            })
            .collect::<Vec<_>>()
    };
    let mut report = Map::new();
    report.insert("schema".into(), json!(1));
    report.insert("findings".into(), sections.iter().flat_map(of_section).collect());
    report.extend(sections.iter().map(|section| (section.name.to_owned(), section.object.clone())));
    Value::Object(report)
}

fn examine(system: &System<'_>, names: &[String], ends: terminal::Ends, typed: Settings) -> Vec<Section> {
    let directories = Directories::find(system.set("TUICHAT_HOME").map(PathBuf::from));
    let understood = match &directories {
        Ok(directories) => settings::understand(system, directories, typed),
        Err(failure) => {
            let (config, engines) = (Config::default(), Engines::default());
            settings::Understood { config, engines, answering: None, findings: vec![settings::of_failure(failure)] }
        }
    };
    let surroundings = directories.ok().map(|directories| {
        let mut config = understood.config.clone();
        // Nothing is made, not even the folder of what is remembered.
        config.private |= !directories.cache.is_dir();
        let layers = Layers { engines: understood.engines.clone(), ..Layers::default() };
        Surroundings { directories, layers, config, settings: SettingsFile::default() }
    });

    // Which devices llama.cpp sees is decided before it is asked for anything.
    let Config { threads, ref device, gpu_layers, .. } = understood.config;
    let present = graphics::read_under(system.root);
    let probe = surroundings.as_ref().and_then(Surroundings::probe);
    let header = surroundings.as_ref().filter(|_| !devices::features().is_empty()).and_then(usual_header);
    let found = about::graphics(device, gpu_layers, probe.as_ref(), &present, header.as_ref());
    let cpu = found.devices.iter().find(|device| !device.is_gpu()).map(|device| device.description.clone());
    let abilities = about::abilities();
    let mut sections = vec![program::Program::this(about::version(), &abilities).section()];
    sections.push(processor::Processor::read(system, cores::this_machine(), &abilities, cpu, threads).section());
    sections.push(memory::MemoryFacts::read(system, surroundings.as_ref().map(fitting)).section());
    sections.push(gpus::Gpus::new(&present, found).section());
    if let Some(surroundings) = &surroundings {
        let directories = &surroundings.directories;
        sections.push(models(system, surroundings));
        sections.push(disk::section(system, &disk::places(directories)));
        sections.push(chats::Chats::read(system, &directories.chats_file()).section());
    }
    sections.push(terminal::Terminal::read(system, ends).section());
    let network = network::Network::read(system, &understood.config).section();
    let file = surroundings.as_ref().map(|surroundings| surroundings.directories.config_file());
    sections.push(settings::SettingsFacts::read(system, file.as_deref(), names, understood).section());
    sections.push(network);
    sections
}

/// The header of the model that answers, if there is one.
fn usual_header(surroundings: &Surroundings) -> Option<gguf::Header> {
    let found = surroundings.library().resolve(surroundings.model_here()).ok()?;
    gguf::read_header(&found.path).ok()
}

/// What the catalogue comes to on this machine, by what was measured of it before.
fn fitting(surroundings: &Surroundings) -> Fitting {
    let machine = surroundings.machine();
    let fits = catalog::entries().iter().map(|entry| {
        let file = entry.best_file(&machine);
        (entry, file, surroundings.fit(&entry.anatomy(file), None, &machine))
    });
    let fits: Vec<_> = fits.filter(|(.., fit)| fit.verdict != Verdict::DoesNotFit).collect();
    let does_well = fits.iter().filter(|(.., fit)| matches!(fit.verdict, Verdict::RunsWell | Verdict::Fits));
    let best = does_well.max_by_key(|(entry, file, _)| (entry.parameters, file.bytes)).or(fits.first());
    best.map_or(Fitting::Nothing, |(entry, file, fit)| {
        Fitting::Largest(Box::new(Largest {
            name: entry.name.clone(),
            quantization: file.quantization.clone(),
            bytes: file.bytes,
            parameters: entry.parameters,
            sentence: match fit.speed {
                Some(_) => fit.sentence(),
                None => format!("{} (`tuichat models list --catalog` measures how fast)", fit.sentence()),
            },
            fit: fit.object(),
        }))
    })
}

fn models(system: &System<'_>, surroundings: &Surroundings) -> Section {
    let Surroundings { directories, config, .. } = surroundings;
    let variable = |name: &str| system.set(name).map(PathBuf::from);
    let places = Places::find(variable, system.home, config.model_folders.iter().cloned());
    let elsewhere = Elsewhere::new(places.clone(), None);
    let borrowed = elsewhere.look();
    let library = Library::new(&directories.models).with_elsewhere(elsewhere);
    let wanted = surroundings.model_here();
    let draft = library.resolve(wanted).ok().and_then(|found| surroundings.draft_model(&found));
    let tuned = library.resolve(wanted).ok().and_then(|found| surroundings.tuned(&found));
    let looked = models::Looked {
        folder: &directories.models,
        library: &library,
        borrowed: &borrowed,
        places: &places,
        named: &config.model_folders,
        wanted,
        draft,
        tuned,
    };
    models::Models::read(system, &looked).section()
}
