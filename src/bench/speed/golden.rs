//! Whole reports of runs on boards: each is a board in its files, a model that takes as long as it is told to, and a
//! source that draws as much as it is told to, read and put together by what measures and tells real runs.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::cases::{self, Beside, Reads};
use super::plan::{Kind, blocks};
use super::scripted::{Power, Scripted};
use super::timing::{Player, Rounds, time};
use crate::bench::energy::Trace;
use crate::bench::footprint::Footprint;
use crate::bench::machine::Machine;
use crate::bench::record::tests::empty;
use crate::bench::record::{Case, Line, Run};
use crate::bench::reports::{self, Format};
use crate::bench::{tables, trust};
use crate::hardware::boards::{self, Board, Firmware};
use crate::hardware::health::Health;
use crate::hardware::meters::{Choice, Meter};

/// What becomes of a board while it is measured.
#[derive(Clone, Copy)]
struct Script {
    arch: &'static str,
    /// Tokens per second.
    prompt: f64,
    answer: f64,
    idle_watts: f64,
    load_watts: f64,
    /// How warm it is in the end, and its clock.
    celsius: f64,
    mhz: f64,
    /// Whether it holds itself back.
    throttles: bool,
}

/// A board's own source of power, asked once a second of the script's time.
struct Drawing<'a> {
    board: &'a Board,
    meter: RefCell<Meter>,
    trace: RefCell<Trace>,
    last: RefCell<Instant>,
    watts: f64,
}

const EVERY: Duration = Duration::from_secs(1);

impl Drawing<'_> {
    fn ask(&self, now: Instant) {
        let since = now - self.last.replace(now);
        self.board.draws(self.watts, since.as_secs_f64());
        for (moment, watts) in self.meter.borrow_mut().samples(now).unwrap() {
            self.trace.borrow_mut().push(moment, watts);
        }
    }
}

impl Power for Option<Drawing<'_>> {
    fn passed_to(&self, now: Instant) {
        let Some(drawing) = self else { return };
        while drawing.last.borrow().checked_add(EVERY).is_some_and(|next| next <= now) {
            let next = *drawing.last.borrow() + EVERY;
            drawing.ask(next);
        }
    }

    fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        let drawing = self.as_ref()?;
        if *drawing.last.borrow() < to {
            drawing.ask(to);
        }
        drawing.trace.borrow().joules(from, to)
    }
}

/// The suite `quick` on a board, with what it has to tell watts.
fn measured(board: &Board, script: Script) -> Run {
    measured_by(&Choice::Auto, board, script)
}

fn measured_by(power: &Choice, board: &Board, script: Script) -> Run {
    let (cpu, before) = (board.cpu(), Health::read_under(board.root()));
    let start = Instant::now();
    let found = Meter::find(power, board.root(), &board.programs());
    let power_source = found.as_ref().map_or_else(Clone::clone, |meter| meter.about().to_owned());
    let drawing = |meter: Meter| {
        let (meter, last) = (RefCell::new(meter), RefCell::new(start));
        let drawing = Drawing { board, meter, trace: RefCell::default(), last, watts: script.idle_watts };
        (0..6).for_each(|second| drawing.ask(start + second * EVERY));
        drawing
    };
    let drawing = found.ok().map(drawing);
    let idle_watts = drawing.as_ref().and_then(|drawing| {
        Some(drawing.trace.borrow().joules(start + EVERY, start + 5 * EVERY)? / (4 * EVERY).as_secs_f64())
    });
    let power = drawing.map(|drawing| Drawing { watts: script.load_watts, trace: RefCell::default(), ..drawing });
    let beside = Beside {
        base: of_qwen(cpu.choose(None).crews.decode.threads),
        reads: Some(Reads { weights: 397e6, kv_per_token: 12_288.0 }),
        bandwidth: Some(script.answer * 500e6),
        idle_watts,
        power_source,
    };
    let each = [0.99, 1.0, 1.01, 1.0, 1.02, 0.98].map(|part| part / script.answer).to_vec();
    let mut player = Scripted::beside(power, start + 5 * EVERY, 1.0 / script.prompt, each);
    let items = blocks(Kind::Quick, 512, 128, &[0], &cpu).concat();
    let rounds = Rounds { wanted: 5, within: None };
    let samples = time(&mut player, &items, rounds, &|_, _, _, _| {}).unwrap();
    let footprint =
        Footprint { file_bytes: Some(96 << 20), anonymous_bytes: Some(520 << 20), swapped_bytes: before.swap_bytes };
    board.feels(script.celsius, script.mhz);
    if script.throttles {
        board.throttles();
    }
    let after = Health::read_under(board.root());
    let mut run = empty("quick");
    run.head.machine = Machine { arch: script.arch.into(), ..Machine::read_under(board.root(), &cpu, board.memory()) };
    for (item, samples) in items.iter().zip(&samples) {
        for case in cases::of(item, samples, &beside, footprint, footprint) {
            run.add(Line::Case(Box::new(case)));
        }
    }
    let took = player.now() - start;
    let now = run.head.started + took;
    run.add(Line::End(Box::new(trust::end(&Ok(()), &run, [&before, &after], now))));
    if idle_watts.is_some() {
        assert_power(&run, script);
    }
    run
}

/// What every case of the model begins with.
fn of_qwen(threads: u32) -> Case {
    let rest = [("model_name", "Qwen2.5 0.5B"), ("backends", "CPU")];
    Case {
        runtime: "tuichat".into(),
        model_filename: "/models/qwen2.5-0.5b-instruct-q4_k_m.gguf".into(),
        model_type: "qwen2 630.17 M Q4_K_M".into(),
        model_size: 484_220_320,
        model_n_params: 630_167_424,
        n_threads: threads,
        rest: rest.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        ..Case::default()
    }
}

/// What the cases say of watts is what was drawn.
fn assert_power(run: &Run, script: Script) {
    for (case, speed) in run.cases.iter().zip([script.prompt, script.answer]) {
        let off = |told: f64, is: f64| (told / is - 1.0).abs();
        let joules = case.joules_per_token.unwrap();
        assert!(off(joules, script.load_watts / speed) < 0.005, "{joules} J for a token of {}", case.test);
        assert!(off(case.number("watts").unwrap(), script.load_watts) < 1e-5, "{case:?}");
    }
}

/// The table and the Markdown of a run.
fn told(run: &Run) -> String {
    format!("{}\n{}", tables::of(run), reports::render(run, Format::Markdown))
}

const RASPBERRY_PI_5: Script = Script {
    arch: "aarch64",
    prompt: 118.0,
    answer: 21.4,
    idle_watts: 2.6,
    load_watts: 6.85,
    celsius: 71.2,
    mhz: 2400.0,
    throttles: false,
};

#[test]
fn a_raspberry_pi_4_tells_no_watts_and_that_its_voltage_was_too_low() {
    let script = Script {
        arch: "aarch64",
        prompt: 31.0,
        answer: 7.9,
        idle_watts: 0.0,
        load_watts: 0.0,
        celsius: 78.4,
        mhz: 1500.0,
        throttles: true,
    };
    insta::assert_snapshot!(told(&measured(&boards::raspberry_pi_4(), script)));
}

#[test]
fn a_raspberry_pi_5_tells_the_same_with_both_firmwares() {
    let newer = told(&measured(&boards::raspberry_pi_5(Firmware::Newer), RASPBERRY_PI_5));
    let older = told(&measured(&boards::raspberry_pi_5(Firmware::Older), RASPBERRY_PI_5));
    assert_eq!(newer, older);
    insta::assert_snapshot!(newer);
}

#[test]
fn a_raspberry_pi_5_that_was_hot_is_not_to_be_trusted() {
    let script = Script { celsius: 84.9, mhz: 1800.0, throttles: true, ..RASPBERRY_PI_5 };
    let run = measured(&boards::raspberry_pi_5(Firmware::Older), script);
    assert_eq!(run.end.unwrap().doubts, ["the machine held itself back: it was hot"]);
}

#[test]
fn an_orange_pi_5_pro_has_two_kinds_of_cores_and_no_sensor_of_what_it_draws() {
    let script = Script {
        arch: "aarch64",
        prompt: 142.0,
        answer: 24.6,
        idle_watts: 0.0,
        load_watts: 0.0,
        celsius: 83.2,
        mhz: 2016.0,
        throttles: true,
    };
    insta::assert_snapshot!(told(&measured(&boards::orange_pi_5_pro(), script)));
    let board = boards::orange_pi_5_pro().with_a_meter();
    let script = Script { idle_watts: 3.1, load_watts: 10.4, throttles: false, celsius: 68.0, ..script };
    let run = measured_by(&Choice::File(board.power_csv()), &board, script);
    insta::assert_snapshot!("an_orange_pi_5_pro_beside_a_meter", told(&run));
}

#[test]
fn a_laptop_on_its_battery_tells_what_the_whole_machine_draws() {
    let script = Script {
        arch: "x86_64",
        prompt: 262.0,
        answer: 44.5,
        idle_watts: 6.12,
        load_watts: 22.4,
        celsius: 88.0,
        mhz: 2900.0,
        throttles: true,
    };
    insta::assert_snapshot!(told(&measured(&boards::laptop_on_battery(), script)));
}

#[test]
fn a_laptop_on_the_mains_tells_what_its_processor_draws_while_the_counter_begins_again() {
    let script = Script {
        arch: "x86_64",
        prompt: 270.0,
        answer: 45.0,
        idle_watts: 2.9,
        load_watts: 18.25,
        celsius: 84.0,
        mhz: 3100.0,
        throttles: false,
    };
    insta::assert_snapshot!(told(&measured(&boards::laptop_on_mains(), script)));
}

#[test]
fn a_virtual_machine_tells_its_limit_and_nothing_of_watts_and_heat() {
    let script = Script {
        arch: "x86_64",
        prompt: 96.0,
        answer: 30.2,
        idle_watts: 0.0,
        load_watts: 0.0,
        celsius: 0.0,
        mhz: 0.0,
        throttles: false,
    };
    insta::assert_snapshot!(told(&measured(&boards::limited_vm(), script)));
}
