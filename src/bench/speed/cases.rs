//! From samples to what a record says: a case for the prompt and one for the answer of an item.

use serde_json::{Map, Value};

use super::plan::Item;
use super::timing::Samples;
use crate::bench::footprint::Footprint;
use crate::bench::live;
use crate::bench::record::Case;
use crate::bench::statistics::{Interval, deviation, mean, percentile};

/// What is known beside the samples of a model's items.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What every case of the model begins with.
    pub base: Case,
    /// Bytes that one token reads from memory at least, and those of the KV cache for each token before it.
    pub reads: Option<Reads>,
    /// Bytes per second that the machine reads from memory.
    pub bandwidth: Option<f64>,
    pub idle_watts: Option<f64>,
    /// What told the watts and what it leaves out, or why nothing did.
    pub power_source: String,
}

/// What one token reads from memory at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reads {
    pub weights: f64,
    pub kv_per_token: f64,
}

/// What the cases of an item are called.
pub fn tests(item: &Item) -> (Option<String>, Option<String>) {
    let behind = |depth: u32| if depth == 0 { String::new() } else { format!(" @ d{depth}") };
    let prompt = (item.prompt > 0).then(|| format!("pp{}{}", item.prompt, behind(item.depth)));
    let answer = (item.written > 0).then(|| format!("tg{}{}", item.written, behind(item.answer_depth())));
    (prompt, answer)
}

/// What they are called in a view.
pub fn called(item: &Item) -> (Option<String>, Option<String>) {
    let (prompt, answer) = tests(item);
    let called = |test: String| live::called(&test, &item.name, item.task.is_some());
    (prompt.map(called), answer.map(called))
}

/// The key of a case of this model.
pub fn key(base: &Case, item: &Item, test: &str) -> String {
    format!("{}: {}, {test}", base.model(), item.name)
}

/// The cases of an item, the prompt's first.
pub fn of(item: &Item, samples: &Samples, beside: &Beside, before: Footprint, after: Footprint) -> Vec<Case> {
    let (prompt, answer) = tests(item);
    let kv_per_token = beside.reads.map(|reads| reads.kv_per_token);
    let of = |test: String, is_prompt: bool| {
        let speeds = if is_prompt { &samples.prefill } else { &samples.decode };
        let joules = if is_prompt { &samples.prefill_joules } else { &samples.decode_joules };
        let (tokens, depth) = if is_prompt { (item.prompt, item.depth) } else { (item.written, item.answer_depth()) };
        let interval = Interval::of(speeds);
        let token = |share| if is_prompt { None } else { percentile(&samples.token_ms, share) };
        let gross = (!joules.is_empty()).then(|| mean(joules));
        let idle = beside.idle_watts.map(|watts| watts / mean(speeds).max(f64::MIN_POSITIVE));
        let threads = item.crews.map(|crews| if is_prompt { crews.prefill.threads } else { crews.decode.threads });
        Case {
            key: key(&beside.base, item, &test),
            test,
            n_prompt: if is_prompt { tokens } else { 0 },
            n_gen: if is_prompt { 0 } else { tokens },
            n_depth: depth,
            n_threads: threads.unwrap_or(beside.base.n_threads),
            type_k: Some("f16".into()),
            type_v: Some("f16".into()),
            avg_ts: Some(mean(speeds)),
            stddev_ts: Some(deviation(speeds)),
            ci95_low_ts: interval.low(),
            ci95_high_ts: interval.high(),
            samples_ts: speeds.clone(),
            token_ms_p5: token(0.05),
            token_ms_p50: token(0.5),
            token_ms_p95: token(0.95),
            ttft_ms: is_prompt.then(|| mean(&samples.ttft_ms)),
            joules_per_token: gross,
            joules_per_token_net: gross.zip(idle).map(|(gross, idle)| (gross - idle).max(0.0)),
            idle_watts: beside.idle_watts,
            pss_file_bytes: after.file_bytes,
            pss_anonymous_bytes: after.anonymous_bytes,
            kv_bytes: kv_per_token.map(|bytes| (bytes * f64::from(depth + tokens)) as u64),
            major_faults: samples.major_faults,
            swap_bytes: after.swapped_bytes.zip(before.swapped_bytes).map(|(now, then)| now.saturating_sub(then)),
            share_of_bandwidth: if is_prompt { None } else { share(mean(speeds), depth, tokens, beside) },
            rest: rest(
                item,
                beside,
                if is_prompt { &samples.prefill_watts } else { &samples.decode_watts },
                speeds.len(),
            ),
            ..beside.base.clone()
        }
    };
    let prompt = prompt.map(|test| of(test, true));
    prompt.into_iter().chain(answer.map(|test| of(test, false))).collect()
}

/// How near the writing came to the speed at which memory can be read, by the bytes of a token that cannot be saved.
fn share(speed: f64, depth: u32, tokens: u32, beside: &Beside) -> Option<f64> {
    let reads = beside.reads?;
    let bytes = reads.weights + reads.kv_per_token * (f64::from(depth) + f64::from(tokens) / 2.0);
    // Who reads faster than memory is has it in a cache, or something disturbed whoever looked how fast it is.
    Some(speed * bytes / beside.bandwidth?).filter(|share| *share <= 1.0)
}

fn rest(item: &Item, beside: &Beside, watts: &[f64], rounds: usize) -> Map<String, Value> {
    let mut rest = beside.base.rest.clone();
    rest.insert("item".into(), item.name.clone().into());
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            rest.insert(name.into(), value);
        }
    };
    put("task", item.task.map(Value::from));
    put("cores", item.cores.clone().map(Value::from));
    let mask = item.crews.map(|crews| crews.decode.cores).filter(|cores| !cores.is_empty());
    put("cpu_mask", mask.map(|cores| cores.to_string().into()));
    put("watts", (!watts.is_empty()).then(|| mean(watts).into()));
    // The meter was silent in some rounds.
    put("n_power", (!watts.is_empty() && watts.len() < rounds).then(|| watts.len().into()));
    put("bandwidth_bytes_per_second", beside.bandwidth.map(Value::from));
    put("power_source", Some(beside.power_source.as_str().into()));
    rest
}

#[cfg(test)]
pub mod tests_of {
    use super::*;
    use crate::bench::speed::plan::{Kind, blocks};
    use crate::hardware::cores::Cpu;

    /// Of a quiet run on a machine that tells its power: three rounds of each depth.
    pub fn quiet(depths: &[u32]) -> Vec<Case> {
        let rest = [("model_name", "Tiny"), ("backends", "CPU")];
        let beside = Beside {
            base: Case {
                runtime: "tuichat".into(),
                model_filename: "/m/tiny.gguf".into(),
                model_type: "llama 135.00 M Q4_0".into(),
                n_threads: 4,
                rest: rest.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
                ..Case::default()
            },
            reads: Some(Reads { weights: 1e9, kv_per_token: 1e4 }),
            bandwidth: Some(17e9),
            idle_watts: Some(3.0),
            power_source: "the battery".into(),
        };
        let samples = Samples {
            prefill: vec![100.0, 101.0, 99.0],
            decode: vec![10.0, 10.1, 9.9],
            token_ms: vec![99.0, 100.0, 101.0],
            ttft_ms: vec![5120.0, 5070.0, 5170.0],
            prefill_joules: vec![0.05],
            decode_joules: vec![0.9],
            prefill_watts: vec![5.0; 3],
            decode_watts: vec![9.0; 3],
            major_faults: Some(0),
        };
        let footprint =
            Footprint { file_bytes: Some(90 << 20), anonymous_bytes: Some(210 << 20), swapped_bytes: Some(0) };
        let items = blocks(Kind::Depth, 512, 128, depths, &Cpu::default()).concat();
        items.iter().flat_map(|item| of(item, &samples, &beside, footprint, footprint)).collect()
    }

    #[test]
    fn a_prompt_and_an_answer_are_a_case_each() {
        let cases = quiet(&[0, 1024]);
        let tests: Vec<&str> = cases.iter().map(|case| case.test.as_str()).collect();
        assert_eq!(tests, ["pp512", "tg128", "pp512 @ d1024", "tg128 @ d1024"]);
        let (prompt, answer) = (&cases[0], &cases[1]);
        assert_eq!((prompt.n_prompt, prompt.n_gen, answer.n_prompt, answer.n_gen), (512, 0, 0, 128));
        assert_eq!((prompt.ttft_ms, answer.ttft_ms, answer.token_ms_p50), (Some(5120.0), None, Some(100.0)));
        let net = answer.joules_per_token_net.unwrap();
        assert!((net - 0.6).abs() < 1e-9, "3 W for a tenth of a second are of the machine: {net}");
        assert_eq!(answer.kv_bytes, Some(1_280_000));
        let share = answer.share_of_bandwidth.unwrap();
        assert!((share - 10.0 * (1e9 + 64.0 * 1e4) / 17e9).abs() < 1e-9, "{share}");
        assert_eq!(cases[3].key, "tiny.gguf: d1024, tg128 @ d1024");
    }
}
