//! A file large enough for several connections at once, and hubs that are slow or ask to wait.

use super::*;

#[test]
fn a_large_file_comes_over_several_connections_and_no_byte_twice() {
    let test = Test::large([]);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), LARGE.len());
    assert!(test.ranges().len() > 4 && test.ranges().iter().all(Option::is_some), "{:?}", test.ranges());
    assert_eq!(test.blobs(), [format!("sha256-{}", sha256(&LARGE))]);
    assert!(test.server.downloads()[1..].iter().all(|request| request.headers["if-range"] == "\"first\""));
}

#[test]
fn a_large_file_that_is_cut_anywhere_is_whole_in_the_end() {
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cuts: Vec<_> = (0..12).map(|_| Fault::CutAfter(random.usize(1..4 << 20))).collect();
        let test = Test::large(cuts);
        test.succeeds();
        assert_eq!(test.server.sent_bytes(), LARGE.len(), "seed {seed}: no byte is fetched twice");
    }
}

#[test]
fn connections_that_bring_nothing_leave_the_work_to_the_others() {
    // The first piece comes whole, slowly enough that the others fail beside it.
    let nothing = [Fault::CutAfter(LARGE.len())].into_iter().chain((0..3).map(|_| Fault::CutAfter(0)));
    let test = Test::large(nothing);
    let test = Test { server: test.server.slowly(40 << 20), ..test };
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), LARGE.len());
}

#[test]
fn any_mixture_of_faults_ends_with_the_right_file_or_a_reason() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let faults = (0..10).map(|_| match random.u32(0..9) {
            0 => Fault::IgnoreRange,
            1 => Fault::WrongContentRange,
            2 => Fault::Replace(LARGE.clone()),
            3 => Fault::Status(503),
            4 => Fault::RetryAfter(429, "0".into()),
            5 => Fault::TooMuch,
            _ => Fault::CutAfter(random.usize(0..3 << 20)),
        });
        let test = Test::large(faults.collect::<Vec<_>>());
        match test.pull() {
            Ok(installed) => {
                assert_eq!(sha256(&fs::read(installed.path).expect("there")), sha256(&LARGE), "seed {seed}");
            }
            Err(error) => {
                assert_eq!(error.class(), FailureClass::Network, "seed {seed}: {error}");
                test.assert_nothing_is_visible();
                test.succeeds();
            }
        }
    }
}

#[test]
fn a_server_that_ignores_ranges_sends_a_large_file_in_one_stream() {
    let test = Test::large([Fault::IgnoreRange]);
    test.succeeds();
    assert_eq!((test.server.sent_bytes(), test.server.downloads().len()), (LARGE.len(), 1));

    let later = Test::large([Fault::CutAfter(1 << 20), Fault::IgnoreRange]);
    later.succeeds();
    assert!(later.server.downloads().len() <= 5, "nothing more is asked when the stream comes");
}

#[test]
fn another_range_on_one_of_several_connections_is_not_written_and_the_others_bytes_stay() {
    let test = Test::large([Fault::CutAfter(1 << 20), Fault::WrongContentRange]);
    let test = Test { server: test.server.slowly(20 << 20), ..test };
    test.succeeds();
}

#[test]
fn a_large_file_that_changes_in_between_is_never_mixed() {
    let other = TinyModel::default().seed(2).padded(LARGE.len());
    for fault in [Fault::Replace, Fault::ReplaceIgnoringIfRange] {
        let test = Test::large([Fault::CutAfter(2 << 20), fault(other.clone())]);
        let error = test.fails();
        assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");
    }
    let touched = Test::large([Fault::CutAfter(2 << 20), Fault::Replace(LARGE.clone())]);
    touched.succeeds();
}

#[test]
fn only_what_the_journal_does_not_vouch_for_is_fetched_by_a_later_run() {
    const MIB: usize = 1 << 20;
    let mut bytes = LARGE[..20 * MIB].to_vec();
    // Holes that were never written, or whose bytes never reached the disk.
    bytes[3 * MIB..7 * MIB].fill(0);
    bytes[15 * MIB..].fill(0);
    let there = [(0, 3 * MIB as u64), (7 * MIB as u64, 15 * MIB as u64)];
    let test = Test::large([]).with_journal(&bytes, &there);
    test.succeeds();
    assert_eq!(test.server.sent_bytes(), LARGE.len() - 11 * MIB);

    let shorter = Test::large([]).with_journal(&LARGE[..MIB], &[(0, 5 * MIB as u64)]);
    shorter.succeeds();
    assert_eq!(shorter.server.sent_bytes(), LARGE.len() - MIB, "a journal cannot vouch for what is not in the file");

    bytes[MIB] ^= 1;
    let spoiled = Test::large([]).with_journal(&bytes, &there);
    spoiled.succeeds();
}

#[test]
fn a_connection_that_trickles_is_given_up() {
    let once = Test::with_faults([Fault::Trickle]);
    once.succeeds();
    let always = Test::with_faults([Fault::Trickle, Fault::Trickle, Fault::Trickle]);
    let error = always.fails();
    assert!(error.to_string().contains("next to nothing"), "{error}");
}

#[test]
fn a_hub_that_asks_to_wait_is_left_alone_for_that_time_and_it_is_said() {
    for server in [
        HubServer::start(MODEL.clone()).faults([Fault::RetryAfter(429, "1".into())]),
        HubServer::start(MODEL.clone()).postponing(429, "1"),
    ] {
        let test = Test::new(server);
        let began = Instant::now();
        let mut steps = Vec::new();
        test.pull_with(&AtomicBool::new(false), &mut |progress| steps.push(progress.step)).expect("it is patient");
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert!(steps.contains(&Step::Postponed { seconds: 1 }), "{steps:?}");
    }
}

#[test]
fn a_hub_that_asks_to_wait_for_long_is_not_waited_for() {
    let in_a_day = jiff::Timestamp::now() + Duration::from_secs(86_400);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&in_a_day).expect("a date");
    for wait in ["3600", &date] {
        // One connection, so that it is asked to wait after it has brought something.
        let test = Test::with_faults([Fault::CutAfter(100_000), Fault::RetryAfter(503, wait.into())]);
        let error = test.fails();
        assert_eq!(error.class(), FailureClass::Network);
        assert!(error.to_string().contains("asks to be left alone until 20"), "{error}");
        let before = test.server.sent_bytes();
        test.succeeds();
        assert_eq!(test.server.sent_bytes() - before, MODEL.len() - 100_000, "what was downloaded is kept");
    }
}

#[test]
fn a_limit_is_kept_over_all_connections() {
    let test = Test::large([]).limited_to(8 << 20);
    let began = Instant::now();
    test.succeeds();
    // Three seconds; a slow machine may take longer.
    assert!(began.elapsed() > Duration::from_millis(2700), "{:?}", began.elapsed());
}
