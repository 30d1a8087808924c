//! Whether this processor has the instructions this program was compiled for. A build from source uses the
//! instruction set of the machine it is made on; carried to an older one it would die of an illegal instruction,
//! without a word.
//!
//! `is_x86_feature_detected!` cannot tell: it says yes without looking for what the build takes for granted. So
//! the processor is asked directly, or the system about it.

/// An instruction set: its name, whether the build relies on it, whether the processor has it.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    pub name: &'static str,
    pub compiled: bool,
    pub present: bool,
}

/// The sentence for a processor that lacks something, if it does.
pub fn complaint() -> Option<String> {
    complaint_about(&features())
}

fn complaint_about(features: &[Feature]) -> Option<String> {
    let missing: Vec<_> = features.iter().filter(|it| it.compiled && !it.present).map(|it| it.name).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "this tuichat was built for a processor with {}, which this one lacks; build it here with `make chat`, \
             or use a portable build",
            missing.join(", ")
        )
    })
}

/// Those that llama.cpp's kernels or rustc's own code make use of.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<Feature> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    let most = __cpuid(0).eax;
    let leaf = |number: u32, sub: u32| (number <= most).then(|| __cpuid_count(number, sub));
    let basic = leaf(1, 0).map_or((0, 0), |leaf| (leaf.ecx, leaf.edx));
    let extended = leaf(7, 0).map_or((0, 0, 0), |leaf| (leaf.ebx, leaf.ecx, leaf.eax));
    let more = if extended.2 >= 1 { leaf(7, 1).map_or(0, |leaf| leaf.eax) } else { 0 };
    let bit = |register: u32, index: u32| register >> index & 1 == 1;
    macro_rules! feature {
        ($name:literal, $present:expr) => {
            Feature { name: $name, compiled: cfg!(target_feature = $name), present: $present }
        };
    }
    vec![
        feature!("ssse3", bit(basic.0, 9)),
        feature!("fma", bit(basic.0, 12)),
        feature!("sse4.2", bit(basic.0, 20)),
        feature!("popcnt", bit(basic.0, 23)),
        // The second bit: the system saves the wide registers.
        feature!("avx", bit(basic.0, 28) && bit(basic.0, 27)),
        feature!("f16c", bit(basic.0, 29)),
        feature!("bmi1", bit(extended.0, 3)),
        feature!("avx2", bit(extended.0, 5)),
        feature!("bmi2", bit(extended.0, 8)),
        feature!("avx512f", bit(extended.0, 16)),
        feature!("avx512dq", bit(extended.0, 17)),
        feature!("avx512cd", bit(extended.0, 28)),
        feature!("avx512bw", bit(extended.0, 30)),
        feature!("avx512vl", bit(extended.0, 31)),
        feature!("avx512vbmi", bit(extended.1, 1)),
        feature!("avx512vnni", bit(extended.1, 11)),
        feature!("avxvnni", bit(more, 4)),
        feature!("avx512bf16", bit(more, 5)),
    ]
}

/// On Linux the kernel lists what the processor has. Elsewhere there is nothing to ask without `unsafe` code, and
/// every processor is taken to have what the build needs.
#[cfg(target_arch = "aarch64")]
fn features() -> Vec<Feature> {
    let list = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("Features").map(|rest| format!("{} ", rest.replace(':', " "))))
    });
    let listed = |word: &str| list.as_ref().is_none_or(|list| list.contains(&format!(" {word} ")));
    macro_rules! feature {
        ($name:literal, $word:literal) => {
            Feature { name: $name, compiled: cfg!(target_feature = $name), present: listed($word) }
        };
    }
    vec![
        feature!("lse", "atomics"),
        feature!("fp16", "asimdhp"),
        feature!("dotprod", "asimddp"),
        feature!("i8mm", "i8mm"),
        feature!("bf16", "bf16"),
        feature!("sve", "sve"),
        feature!("sve2", "sve2"),
        feature!("sme", "sme"),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<Feature> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_what_is_missing_and_nothing_else() {
        let feature = |name, compiled, present| Feature { name, compiled, present };
        let features = [
            feature("avx2", true, true),
            feature("avx512f", true, false),
            feature("avx512bw", true, false),
            feature("sve", false, false),
        ];
        let sentence = complaint_about(&features).unwrap();
        assert!(sentence.contains("with avx512f, avx512bw, which"), "{sentence}");
        assert_eq!(complaint_about(&features[..1]), None);
    }

    #[test]
    fn the_machine_that_runs_the_tests_has_what_they_were_built_for() {
        assert_eq!(complaint(), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_processor_answers_as_the_standard_library_says() {
        for feature in features() {
            let said = match feature.name {
                "avx2" => std::is_x86_feature_detected!("avx2"),
                "fma" => std::is_x86_feature_detected!("fma"),
                "avx512f" => std::is_x86_feature_detected!("avx512f"),
                "avx512vnni" => std::is_x86_feature_detected!("avx512vnni"),
                "avx512bf16" => std::is_x86_feature_detected!("avx512bf16"),
                "avxvnni" => std::is_x86_feature_detected!("avxvnni"),
                _ => continue,
            };
            assert_eq!(feature.present, said, "{}", feature.name);
        }
    }
}
