//! Whether this processor has the instructions this program was compiled for. A build from source uses the
//! instruction set of the machine it is made on; carried to an older one it would die of an illegal instruction,
//! without a word.
//!
//! Two traps. `is_x86_feature_detected!` says yes without looking for what the build takes for granted, so the
//! processor is asked directly, or the system about it. And this code is compiled with those instructions too: it
//! keeps to single integers and to calls into the standard library, which is compiled for any processor. Nothing here
//! may copy a struct, collect or format: the compiler does that with vector registers.

use std::io::Write;

/// An instruction set that llama.cpp's kernels or rustc's own code make use of.
struct Feature {
    name: &'static str,
    /// Whether this build relies on it.
    compiled: bool,
    place: Place,
}

/// Says on `out` what the processor lacks. Returns whether it lacks anything.
pub fn complain(out: &mut dyn Write) -> bool {
    complain_about(&FEATURES, is_present, out)
}

fn complain_about(features: &[Feature], is_present: fn(&Place) -> bool, out: &mut dyn Write) -> bool {
    let mut lacks_any = false;
    for feature in features {
        if feature.compiled && !is_present(&feature.place) {
            // There is nowhere else to complain to if this fails.
            let before: &[u8] = if lacks_any { b", " } else { b"error: this tuichat was built for a processor with " };
            let _ = out.write_all(before);
            let _ = out.write_all(feature.name.as_bytes());
            lacks_any = true;
        }
    }
    if lacks_any {
        let _ = out.write_all(b", which this one lacks\nhint: build it here with `make chat`\n");
    }
    lacks_any
}

macro_rules! feature {
    ($name:literal, $place:expr) => {
        Feature { name: $name, compiled: cfg!(target_feature = $name), place: $place }
    };
}

/// A bit of what `cpuid` answers: the register and the bit's number.
#[cfg(target_arch = "x86_64")]
struct Place(Register, u32);

#[cfg(target_arch = "x86_64")]
enum Register {
    Leaf1Ecx,
    Leaf7Ebx,
    Leaf7Ecx,
    Leaf7Sub1Eax,
}

#[cfg(target_arch = "x86_64")]
static FEATURES: [Feature; 18] = [
    feature!("ssse3", Place(Register::Leaf1Ecx, 9)),
    feature!("fma", Place(Register::Leaf1Ecx, 12)),
    feature!("sse4.2", Place(Register::Leaf1Ecx, 20)),
    feature!("popcnt", Place(Register::Leaf1Ecx, 23)),
    feature!("avx", Place(Register::Leaf1Ecx, 28)),
    feature!("f16c", Place(Register::Leaf1Ecx, 29)),
    feature!("bmi1", Place(Register::Leaf7Ebx, 3)),
    feature!("avx2", Place(Register::Leaf7Ebx, 5)),
    feature!("bmi2", Place(Register::Leaf7Ebx, 8)),
    feature!("avx512f", Place(Register::Leaf7Ebx, 16)),
    feature!("avx512dq", Place(Register::Leaf7Ebx, 17)),
    feature!("avx512cd", Place(Register::Leaf7Ebx, 28)),
    feature!("avx512bw", Place(Register::Leaf7Ebx, 30)),
    feature!("avx512vl", Place(Register::Leaf7Ebx, 31)),
    feature!("avx512vbmi", Place(Register::Leaf7Ecx, 1)),
    feature!("avx512vnni", Place(Register::Leaf7Ecx, 11)),
    feature!("avxvnni", Place(Register::Leaf7Sub1Eax, 4)),
    feature!("avx512bf16", Place(Register::Leaf7Sub1Eax, 5)),
];

#[cfg(target_arch = "x86_64")]
fn is_present(place: &Place) -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    // A leaf that the processor does not have answers with another's bits.
    let knows_leaf_7 = __cpuid(0).eax >= 7;
    let register = match place.0 {
        Register::Leaf1Ecx => __cpuid(1).ecx,
        Register::Leaf7Ebx if knows_leaf_7 => __cpuid_count(7, 0).ebx,
        Register::Leaf7Ecx if knows_leaf_7 => __cpuid_count(7, 0).ecx,
        Register::Leaf7Sub1Eax if knows_leaf_7 && __cpuid_count(7, 0).eax >= 1 => __cpuid_count(7, 1).eax,
        _ => 0,
    };
    register >> place.1 & 1 == 1
}

/// The kernel's word for it in `/proc/cpuinfo`.
#[cfg(target_arch = "aarch64")]
struct Place(&'static str);

#[cfg(target_arch = "aarch64")]
static FEATURES: [Feature; 8] = [
    feature!("lse", Place("atomics")),
    feature!("fp16", Place("asimdhp")),
    feature!("dotprod", Place("asimddp")),
    feature!("i8mm", Place("i8mm")),
    feature!("bf16", Place("bf16")),
    feature!("sve", Place("sve")),
    feature!("sve2", Place("sve2")),
    feature!("sme", Place("sme")),
];

/// Where the kernel does not tell (macOS), there is nothing to ask without foreign calls, and the processor is taken
/// to have what the build needs.
#[cfg(target_arch = "aarch64")]
fn is_present(place: &Place) -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else { return true };
    let Some(line) = text.lines().find(|line| line.starts_with("Features")) else { return true };
    line.split([' ', '\t', ':']).any(|word| word == place.0)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
struct Place;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static FEATURES: [Feature; 0] = [];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn is_present(_: &Place) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_runs_the_tests_has_what_they_were_built_for() {
        let mut said = Vec::new();
        assert!(!complain(&mut said));
        assert!(said.is_empty());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_sentence_names_what_is_missing_and_nothing_else() {
        let feature = |name, compiled, bit| Feature { name, compiled, place: Place(Register::Leaf1Ecx, bit) };
        let features = [feature("avx2", true, 0), feature("avx512f", true, 1), feature("avx512bw", true, 1)];
        let more = [feature("avx512cd", false, 1)];
        let is_bit_0 = |place: &Place| place.1 == 0;
        let mut said = Vec::new();
        assert!(complain_about(&features, is_bit_0, &mut said));
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("with avx512f, avx512bw, which this one lacks\nhint: "), "{said}");
        assert!(!complain_about(&more, is_bit_0, &mut Vec::new()));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_processor_answers_as_the_system_says() {
        let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else { return };
        let flags: Vec<_> =
            text.lines().find(|line| line.starts_with("flags")).unwrap_or_default().split_whitespace().collect();
        for feature in &FEATURES {
            let word = match feature.name {
                "sse4.2" => "sse4_2",
                "avx512vnni" => "avx512_vnni",
                "avx512bf16" => "avx512_bf16",
                "avxvnni" => "avx_vnni",
                same => same,
            };
            assert_eq!(is_present(&feature.place), flags.contains(&word), "{}", feature.name);
        }
    }
}
