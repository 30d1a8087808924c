//! `tuichat bench` from outside, with a tiny model: nonsense is answered, but everything is measured.

mod common;

use std::collections::BTreeSet;

use common::program::{Home, Ran};
use common::tiny_gguf::TinyModel;
use serde_json::Value;

fn bench(home: &Home, arguments: &[&str]) -> Ran {
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    // One thread: on a busy machine, two wait for each other.
    let short = [
        "bench",
        "./tiny.gguf",
        "--suite",
        "kv",
        "--cases",
        "1",
        "--lengths",
        "1k",
        "--depths",
        "0,256",
        "--threads",
        "1",
    ];
    home.run(&[&short, arguments].concat())
}

/// The cases of a run that was told as lines of JSON.
fn records(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    cases(&ran.stdout)
}

/// The cases among these lines, without those that only watch over the run.
fn cases(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["record"] == "case" && line["test"] != "anchor").collect()
}

fn names(records: &[Value], key: &str) -> BTreeSet<String> {
    records.iter().map(|record| record[key].to_string()).collect()
}

#[test]
fn every_part_is_measured_for_every_policy_within_its_budget() {
    let measure = |part| {
        records(&bench(&Home::new(), &["--json", "--budgets", "50", "--policies", "none,window,score", "--only", part]))
    };
    let records = ["needle", "continuation", "speed"].map(measure).concat();
    assert_eq!(names(&records, "test").len(), 3);
    assert_eq!(names(&records, "policy").len(), 3);
    for record in &records {
        let number = |key: &str| record[key].as_f64().unwrap_or_else(|| panic!("no {key}: {record}"));
        assert!(number("model_size") > 0.0 && number("n_threads") > 0.0);
        let tokens = if record["test"] == "speed" { number("n_depth") } else { number("n_prompt") };
        // Whole sentences leave, so it may be a few cells less.
        let most = tokens * number("budget_percent") / 100.0;
        assert!(number("n_cells") <= most.ceil() && number("n_cells") >= most * 0.5, "{record}");
        match record["test"].as_str() {
            Some("needle") => assert!(record["is_exact"].is_boolean() && record["answer"].is_string()),
            Some("continuation") => assert!(number("mean_kld") > 0.0 && number("perplexity") > 1.0),
            _ => assert!(record["samples_ts"].as_array().is_some_and(|samples| samples.len() == 4)),
        }
    }
    let whole = |policy: &str| {
        let of = |record: &&Value| record["policy"] == policy && record["test"] == "needle";
        records.iter().find(of).unwrap()["kv_bytes"].as_f64().unwrap()
    };
    assert!(whole("score") < 0.6 * whole("none"));
}

#[test]
fn tables_have_a_row_for_each_policy_and_budget_and_the_chart_is_drawn() {
    let home = Home::new();
    let ran = bench(&home, &["--only", "needle", "--policies", "none,window", "--svg", "chart.svg"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for row in ["none ", "window    50 %", "window    25 %", "window  12.5 %"] {
        assert!(ran.stdout.contains(row), "{row}: {}", ran.stdout);
    }
    let chart = std::fs::read_to_string(home.path("chart.svg")).unwrap();
    assert!(chart.starts_with("<svg") && chart.ends_with("</svg>\n"));
}

#[test]
fn tables_are_shown_although_the_chart_cannot_be_written() {
    let ran = bench(&Home::new(), &["--only", "needle", "--policies", "none", "--svg", "no/such/folder/chart.svg"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stdout.contains("none ") && ran.stderr.contains("cannot write the chart"), "{}", ran.stdout);
}

#[test]
fn the_same_seed_asks_the_same_and_another_asks_otherwise() {
    let expected = |seed: &str| {
        let ran = bench(&Home::new(), &["--json", "--only", "needle", "--policies", "none", "--seed", seed]);
        names(&records(&ran), "expected")
    };
    assert_eq!(expected("5"), expected("5"));
    assert_ne!(expected("5"), expected("6"));
}

#[test]
fn what_is_longer_than_the_training_is_left_out_with_a_word() {
    let ran = bench(&Home::new(), &["--json", "--only", "needle", "--policies", "none", "--lengths", "4k"]);
    assert!(ran.stderr.contains("trained with texts of 2048 tokens") && ran.stderr.contains("4096"), "{}", ran.stderr);
    assert!(records(&ran).iter().all(|record| record["length"] == 1024));
}

#[test]
fn a_model_that_is_not_there_is_told_before_anything_is_measured() {
    let home = Home::new();
    TinyModel::default().write(&home.path("tiny.gguf")).unwrap();
    let ran = home.run(&["bench", "./tiny.gguf", "./none.gguf"]);
    assert!(ran.code != Some(0) && ran.stdout.is_empty() && ran.stderr.contains("none.gguf"), "{}", ran.stderr);
}

#[test]
fn speed_is_measured_as_llama_bench_names_it_with_the_power_that_a_meter_tells() {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let quick = ["bench", "./tiny.gguf", "--threads", "1", "--rounds", "2", "--power", "cmd:echo 3.5"];
    let records = records(&home.run(&[&quick[..], &["--json", "--depths", "0,256"]].concat()));
    let tests: Vec<&str> = records.iter().map(|record| record["test"].as_str().unwrap()).collect();
    assert_eq!(tests, ["pp512", "tg128", "pp512 @ d256", "tg128 @ d256"]);
    for record in &records {
        let number = |key: &str| record[key].as_f64().unwrap_or_else(|| panic!("no {key}: {record}"));
        assert_eq!(record["samples_ts"].as_array().unwrap().len(), 2);
        assert!(number("ci95_low_ts") <= number("avg_ts") && number("avg_ts") <= number("ci95_high_ts"));
        assert_eq!(number("idle_watts"), 3.5);
        let (joules, watts) = (number("joules_per_token"), number("joules_per_token") * number("avg_ts"));
        assert!(joules > 0.0 && (watts / 3.5 - 1.0).abs() < 0.5, "{watts} W: {record}");
        if number("n_gen") > 0.0 {
            assert!(
                number("token_ms_p5") <= number("token_ms_p50") && number("token_ms_p50") <= number("token_ms_p95")
            );
            assert!(number("share_of_bandwidth") > 0.0);
        }
    }
    let ran = home.run(&[&quick[..], &["--suite", "depth", "--depths", "0,1k,4k"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in ["pp128 tok/s", "1024", "95 % intervals", "3.50 W while idle, as told by the command of `--power`"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("trained with texts of 2048 tokens, so these depths are left out: 4096"));
}

#[test]
fn a_curve_of_times_is_measured_and_tried_on_what_it_was_not_shown() {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let records = records(&home.run(&["bench", "./tiny.gguf", "--suite", "fit", "--rounds", "3", "--json"]));
    let (curve, pairs) = records.split_last().unwrap();
    let unseen = pairs.iter().filter(|pair| pair["was_shown"] == false).count();
    assert_eq!((curve["test"].as_str(), pairs.len(), unseen), (Some("curve"), 17, 5));
    for pair in pairs {
        assert!(pair["prompt_seconds"].as_f64().unwrap() > 0.0 && pair["predicted_seconds"].as_f64().unwrap() > 0.0);
    }
    let of = |key: &str| curve[key].as_f64().unwrap();
    assert!(of("written_token_seconds") + of("written_place_seconds") > 0.0, "{curve}");
    let ran = home.run(&["bench", "./tiny.gguf", "--suite", "fit", "--rounds", "3"]);
    assert!(ran.stdout.contains("page summarised") && ran.stdout.contains("not shown to the curve"), "{}", ran.stdout);
}

#[test]
fn a_meter_that_is_broken_costs_the_power_and_nothing_else() {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let ran = home.run(&["bench", "./tiny.gguf", "--threads", "1", "--rounds", "1", "--power", "cmd:exit 9"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("tg128") && ran.stdout.contains("failed, so power is not known"), "{}", ran.stdout);
}

/// Runs with a meter beside it, which writes a line each 100 ms, its clock being off by so many seconds.
fn beside_a_meter(home: &Home, off: f64, arguments: &[&str]) -> Ran {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let path = home.path("power.csv");
    std::fs::write(&path, "time,volts,amps\n").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::options().append(true).open(&path).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
                // In two parts, as buffers have it.
                write!(file, "{:.3},5.0", now + off).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
                writeln!(file, ",0.8").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(80));
            }
        });
        let ran = home.run(&[&["bench", "./tiny.gguf", "--threads", "1", "--rounds", "2"], arguments].concat());
        is_over.store(true, Ordering::Relaxed);
        ran
    })
}

#[test]
fn a_file_that_a_meter_writes_tells_the_power_by_its_times() {
    let home = Home::new();
    let ran = beside_a_meter(&home, -7200.0, &["--power-csv", "power.csv", "--json"]);
    assert!(ran.stderr.contains("its clock is 2.0 hours behind this machine's, which is corrected"), "{}", ran.stderr);
    for record in records(&ran) {
        let number = |key: &str| record[key].as_f64().unwrap_or_else(|| panic!("no {key}: {record}"));
        assert!((number("idle_watts") - 4.0).abs() < 1e-6 && (number("watts") - 4.0).abs() < 1e-6, "{record}");
    }
    let ran = home.run(&["bench", "./tiny.gguf", "--power-csv", "none.csv"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no file `none.csv`"), "{}", ran.stderr);
    let ran = home.run(&["bench", "./tiny.gguf", "--power-csv", "power.csv", "--power", "none"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn a_dry_run_says_what_would_be_measured_and_measures_and_keeps_nothing() {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let dry = ["bench", "./tiny.gguf", "--dry-run", "--power", "cmd:echo 3.5"];
    let ran = home.run(&dry);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in ["3.50 W now, as told by the command of `--power`", "pp512", "tg128", "suite quick, 2 cases: "] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let ran = home.run(&[&dry[..], &["--suite", "depth", "--depths", "0,1k,4k", "--json"]].concat());
    let preview: Value = serde_json::from_str(&ran.stdout).unwrap();
    let steps = preview["models"][0]["steps"].as_array().unwrap();
    let tests: Vec<&str> = steps.iter().map(|step| step["test"].as_str().unwrap()).collect();
    assert_eq!(tests, ["pp128", "tg32", "pp128 @ d1024", "tg32 @ d1024"], "what is too long is left out");
    assert_eq!((preview["record"].as_str(), preview["power"]["watts"].as_f64()), (Some("preview"), Some(3.5)));
    let tells = |preview: &Value| preview["tells"].as_array().unwrap().iter().any(|key| key == "avg_ts");
    assert!(tells(&preview), "{preview}");
    let ran = home.run(&["bench", "./tiny.gguf", "--suite", "fit", "--dry-run", "--json"]);
    assert!(!tells(&serde_json::from_str(&ran.stdout).unwrap()), "a curve has no speeds: {}", ran.stdout);
    assert_eq!(home.run(&["bench", "list"]).stdout, "", "no run is kept");
}

#[cfg(target_os = "linux")]
#[test]
fn cores_that_are_asked_for_compute_and_others_are_refused_in_a_sentence() {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let mask = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = mask.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    let core = allowed.split([',', '-']).next_back().unwrap();
    let quick = ["bench", "./tiny.gguf", "--rounds", "1", "--json", "--power", "none", "--cores"];
    let ran = home.run(&[&quick[..], &[core]].concat());
    for record in records(&ran) {
        assert_eq!((record["cores"].as_str(), record["n_threads"].as_u64()), (Some(core), Some(1)), "{record}");
    }
    let head: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(head["settings"]["cores"][0].as_str(), Some(core));
    for (cores, sentence) in [("1023", "core 1023 is not there"), ("7-4", "`4-7`"), ("slow", "all are alike")] {
        let ran = home.run(&[&quick[..], &[cores]].concat());
        let refused = ran.code == Some(2) && ran.stdout.is_empty() && ran.stderr.contains(sentence);
        // There may be slow cores here.
        assert!(refused || (cores == "slow" && ran.code == Some(0)), "{cores}: {}", ran.stderr);
    }
    let ran = home.run(&[&quick[..], &[core, "--cores", "all"]].concat());
    assert!(ran.code == Some(2) && ran.stderr.contains("`--suite sbc`"), "{}", ran.stderr);
    let threads = ["bench", "./tiny.gguf", "--suite", "threads", "--rounds", "1", "--json", "--cores", core];
    let tried = records(&home.run(&[&threads[..], &["--cores", "all"]].concat()));
    assert!(tried.iter().any(|case| case["cores"] == core) && tried.iter().any(|case| case["cores"] == "all"));
}

/// The suite `spec` with the shortest of everything.
fn bench_spec(home: &Home, arguments: &[&str]) -> Ran {
    TinyModel::default().context(4096).write(&home.path("tiny.gguf")).unwrap();
    let short = ["bench", "./tiny.gguf", "--suite", "spec", "--rounds", "1", "--depths", "64", "--threads", "1"];
    home.run(&[&short, arguments].concat())
}

#[test]
fn guesses_are_measured_in_steps_and_in_answers_of_every_kind() {
    let home = Home::new();
    TinyModel::default().write(&home.path("small.gguf")).unwrap();
    // What edits a long text is asked without the model, and so is over in a third of the time.
    let with_model = ["--ways", "ngram,draft", "--draft-model", "./small.gguf"];
    let quick = records(&bench_spec(
        &home,
        &[&with_model[..], &["--json", "--tasks", "prose,json,summary,translation"]].concat(),
    ));
    let records = [quick, records(&bench_spec(&home, &["--json", "--ways", "ngram", "--tasks", "edit"]))].concat();
    let of = |test: &str| records.iter().filter(|record| record["test"] == test).cloned().collect::<Vec<_>>();
    let (steps, answers) = (of("step"), of("answer"));
    assert!(steps.iter().all(|step| step["avg_ratio"].as_f64().unwrap() > 0.0 && step["n_depth"] == 64));
    assert!(steps.len() >= 10 && steps.len() + answers.len() == records.len());
    assert_eq!(names(&answers, "task").len(), 5);
    assert_eq!(names(&answers, "spec").len(), 3);
    for answer in &answers {
        let number = |key: &str| answer[key].as_f64().unwrap_or_else(|| panic!("no {key}: {answer}"));
        assert_eq!((answer["n_answers"].as_u64(), answer["samples_ts"].as_array().map(Vec::len)), (Some(2), Some(2)));
        assert!(number("avg_ts") > 0.0 && number("n_accepted") <= number("n_drafted"), "{answer}");
        assert!(number("ratio_low") <= number("ratio") && number("ratio") <= number("ratio_high"));
        if answer["spec"] == "off" {
            assert_eq!((number("ratio"), number("n_drafted")), (1.0, 0.0));
        }
    }
    let guessed = |way: &str| {
        answers.iter().filter(|it| it["spec"] == way).map(|it| it["n_drafted"].as_u64().unwrap()).sum::<u64>()
    };
    assert!(guessed("draft") > 0 && guessed("ngram") > 0);
}

#[test]
fn what_guesses_bring_is_a_table_with_the_ways_that_there_are() {
    let ran = bench_spec(&Home::new(), &["--ways", "auto", "--tasks", "json,prose"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in ["one token", "task", "off", "auto", "geometric mean"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains("prose") && !ran.stdout.contains("summary"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("draft") && !ran.stdout.contains("ngram"), "{}", ran.stdout);
}

#[test]
fn a_draft_model_that_cannot_be_one_is_told_and_the_rest_is_measured() {
    let home = Home::new();
    let ran = bench_spec(&home, &["--json", "--ways", "auto,draft", "--draft-model", "./none.gguf"]);
    assert!(ran.stderr.contains("there is no draft model") && ran.stderr.contains("none.gguf"), "{}", ran.stderr);
    assert_eq!(names(&records(&ran), "spec"), ["\"auto\"", "\"off\"", "null"].map(str::to_owned).into());
}

#[test]
fn an_option_of_another_suite_is_refused() {
    let ran = bench_spec(&Home::new(), &["--policies", "none"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("`--policies` is for another suite") && ran.stdout.is_empty(), "{}", ran.stderr);
    assert_eq!(bench(&Home::new(), &["--rounds", "3"]).code, Some(2));
    let ran = Home::new().run(&["bench", "--suite", "fit", "--rounds", "2"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("`--rounds` is at least 3"), "{}", ran.stderr);
}

#[test]
fn fuzzy_answers_are_judged_by_what_they_get_right() {
    let records = records(&bench_spec(&Home::new(), &["--json", "--ways", "ngram", "--fuzzy", "0,0.5"]));
    let thresholds: Vec<f64> = records.iter().map(|record| record["fuzzy"].as_f64().unwrap()).collect();
    assert_eq!(thresholds, [0.0, 0.5]);
    assert!(records.iter().all(|record| record["n_fields"] == 112 && record["test"] == "fuzzy"));
    assert_eq!(records[0]["ratio"], 1.0);
    let alone = bench_spec(&Home::new(), &["--json", "--ways", "ngram", "--fuzzy", "0.5"]);
    let alone = &cases(&alone.stdout)[0];
    assert!(alone["ratio"].is_null(), "there is nothing to compare with: {alone}");
}

#[test]
fn a_draft_model_is_asked_for_where_it_is_to_guess_and_none_is_named() {
    let ran = bench_spec(&Home::new(), &["--ways", "draft"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("`draft` needs a draft model") && ran.stderr.contains("--draft-model"),
        "{}",
        ran.stderr
    );
}

/// A model, and one thread for it: several that wait for each other take long where others compute, too.
fn home_to_tune() -> Home {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    home.write("home/config/config.toml", "threads = 1\n");
    home
}

#[test]
fn what_is_the_fastest_is_found_and_remembered_for_the_model() {
    let home = home_to_tune();
    let ran = home.run(&["bench", "./tiny.gguf", "--tune", "--json"]);
    let cases = records(&ran);
    let tried: Vec<&Value> = cases.iter().filter(|case| case["test"] == "tune").collect();
    let of = |factor: &str| tried.iter().filter(|case| case["factor"] == factor).copied().collect::<Vec<&Value>>();
    // Batches are compared where there is time for a prompt that has several.
    let has_batches = !of("batch").is_empty();
    for factor in ["batch", "spec", "flash_attention"].into_iter().filter(|factor| has_batches || *factor != "batch") {
        let levels = of(factor);
        assert!(levels.len() >= 2 && levels[0]["is_usual"] == true, "{factor}: {}", ran.stdout);
        assert!(levels.iter().all(|level| level["tokens_per_second"].as_f64().is_some_and(|speed| speed > 0.0)));
        assert_eq!(levels.iter().filter(|level| level["is_chosen"] == true).count(), 1, "{factor}: {}", ran.stdout);
    }
    let choice = cases.iter().find(|case| case["test"] == "choice").unwrap();
    let best = of("batch").into_iter().find(|level| level["is_chosen"] == true);
    let batch = choice["batch"].to_string();
    assert!(best.is_none_or(|best| best["level"] == batch.as_str()), "{choice}");
    assert!(choice["set"][0].as_str().unwrap().starts_with("threads: 1"), "{choice}");
    assert!(of("decode_threads").is_empty() && of("prefill_threads").is_empty(), "{choice}");

    let answer = home.run(&["-m", "./tiny.gguf", "-p", "hi", "--device", "cpu", "--max-tokens", "3", "-o", "json"]);
    let object = answer.json();
    let device = &object["device"];
    let is_kept = device["batch_reason"].as_str().unwrap().contains("bench --tune");
    // On a busy machine what was found is not remembered.
    assert_eq!(is_kept, choice["is_remembered"] == true && has_batches, "{device}");
    if is_kept {
        assert_eq!(device["batch"], choice["batch"], "{device}");
        let ran = home.run(&["-m", "./tiny.gguf", "-p", "hi", "--kv", "q4_0", "--device", "cpu", "-o", "json"]);
        assert_eq!(ran.json()["kv"]["type_k"], "q4_0", "what is typed is stronger");
    }

    let ran = home.run(&["bench", "show", "last"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("chosen: threads"), "{} {}", ran.stdout, ran.stderr);
    let ran = home.run(&["bench", "./tiny.gguf", "--tune", "--rounds", "3"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("`--rounds` is of no use with `--tune`"), "{}", ran.stderr);
}

#[test]
fn what_was_found_with_few_timings_can_be_held_against_every_setting() {
    let home = home_to_tune();
    let ran = home.run(&["bench", "./tiny.gguf", "--tune", "--exhaustive", "--rounds", "1", "--json"]);
    let cases = records(&ran);
    let swept = cases.iter().find(|case| case["test"] == "exhaustive").unwrap();
    let levels = |factor: &str| cases.iter().filter(|case| case["factor"] == factor).count().max(1);
    let factors = ["decode_threads", "prefill_threads", "batch", "kv", "spec"];
    assert_eq!(swept["combinations"], factors.map(levels).iter().product::<usize>(), "{swept}");
    assert!(swept["ratio"].as_f64().unwrap() > 0.0 && swept["seconds"].as_f64().unwrap() > 0.0, "{swept}");
    let ran = home.run(&["bench", "show"]);
    assert!(ran.stdout.contains("the search"), "{}", ran.stdout);
    let ran = home.run(&["bench", "./tiny.gguf", "--exhaustive"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--tune"), "{}", ran.stderr);
}

#[test]
fn a_run_ends_in_a_recommendation_that_goes_by_what_was_measured() {
    let home = Home::new();
    TinyModel::default().context(4096).write(&home.path("tiny.gguf")).unwrap();
    let ran = home.run(&["bench", "./tiny.gguf", "--rounds", "3", "--cool-down", "off", "--power", "none"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (_, advice) = ran.stdout.split_once("on this machine (").unwrap_or_else(|| panic!("{}", ran.stdout));
    assert!(advice.contains("tiny.gguf at ") && advice.contains("tokens per second (measured"), "{advice}");
    assert!(!advice.contains("watts") && !advice.contains("battery"), "nothing told them: {advice}");

    let ran = home.run(&["bench", "advice", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let aims: Vec<&str> = lines.iter().map(|line| line["aim"].as_str().unwrap()).collect();
    assert_eq!(aims, ["quality", "balance", "speed"], "{}", ran.stdout);
    assert!(lines.iter().all(|line| line["record"] == "advice" && line["watts"].is_null()), "{}", ran.stdout);
    assert!(lines[2]["tokens_per_second"].as_f64().unwrap() >= lines[0]["tokens_per_second"].as_f64().unwrap());
}

/// A suite of prompts and answers with few rounds, and its cases.
fn listed(home: &Home, suite: &str, more: &[&str]) -> (Ran, Vec<Value>) {
    TinyModel::default().context(4096).write(&home.path("tiny.gguf")).unwrap();
    let ran = home.run(&[&["bench", "./tiny.gguf", "--json", "--suite", suite], more].concat());
    let records = records(&ran);
    (ran, records)
}

#[test]
fn boards_are_asked_five_kinds_of_questions_and_judged_by_the_answers() {
    let home = Home::new();
    let (ran, records) = listed(&home, "sbc", &["--rounds", "1", "--threads", "1", "--power", "none"]);
    let tasks = names(&records, "task");
    for task in ["short-qa", "explain", "summarise", "code-edit", "chat-turn"] {
        assert!(tasks.contains(&format!("\"{task}\"")), "{task}: {tasks:?}");
    }
    let of = |test: &str| records.iter().find(|record| record["test"] == test).unwrap_or_else(|| panic!("no {test}"));
    assert!(of("pp1024")["ttft_ms"].as_f64().unwrap() > 0.0);
    let turn = of("tg128 @ d2112");
    for name in ["pss_file_bytes", "pss_anonymous_bytes", "kv_bytes", "token_ms_p95"] {
        assert!(turn[name].as_f64().unwrap() > 0.0, "{name}: {turn}");
    }
    assert!(turn["major_faults"].is_u64() && turn["swap_bytes"].is_u64(), "{turn}");
    let quality = of("quality");
    assert!(quality["perplexity"].as_f64().unwrap() > 1.0 && quality["n_questions"] == 32, "{quality}");
    assert!(ran.stdout.lines().any(|line| line.contains("anchor_ratio")), "what was first is measured again");
    let shown = home.run(&["bench", "show"]).stdout;
    assert!(shown.contains("summarise") && shown.contains("of 32 questions"), "{shown}");
}

#[test]
fn threads_are_timed_from_one_on_for_answers_and_for_prompts() {
    let (_, records) = listed(&Home::new(), "threads", &["--rounds", "1", "--power", "none"]);
    let counts = names(&records, "n_threads");
    assert_eq!(records.len(), 2 * counts.len(), "{records:?}");
    assert!(counts.contains("1"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_start_is_told_in_steps_from_the_disk_and_from_memory() {
    let home = Home::new();
    let (_, records) = listed(&home, "cold", &["--rounds", "2", "--threads", "1"]);
    assert_eq!(names(&records, "start"), ["\"cold\"", "\"warm\""].map(str::to_owned).into());
    for record in &records {
        let number = |name: &str| record[name].as_f64().unwrap_or_else(|| panic!("no {name}: {record}"));
        let steps = ["checks_ms", "weights_ms", "context_ms", "prompt_ms", "token_ms"].map(number);
        assert!((steps.iter().sum::<f64>() - number("start_ms")).abs() < 1e-6);
        assert!(number("ttft_ms") < number("start_ms") && number("read_bytes") >= 0.0);
    }
    assert!(home.run(&["bench", "show"]).stdout.contains("checks  weights  context"));
}

#[test]
fn a_model_is_measured_in_other_formats_which_are_gone_afterwards() {
    let home = Home::new();
    let options = ["--rounds", "1", "--threads", "1", "--power", "none", "--formats", "Q8_0"];
    let (_, records) = listed(&home, "quant", &options);
    let models = names(&records, "model_filename");
    assert_eq!(models.len(), 2, "{models:?}");
    let rounded = records.iter().find(|record| record["requantised_from"].is_string()).unwrap();
    assert!(rounded["model_type"].as_str().unwrap().ends_with("Q8_0"), "{rounded}");
    assert_eq!(records.iter().filter(|record| record["test"] == "quality").count(), 2);
    let left: Vec<_> = std::fs::read_dir(home.path("home/cache/bench")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(home.run(&["bench", "show"]).stdout.contains("Q8_0*"));
}
