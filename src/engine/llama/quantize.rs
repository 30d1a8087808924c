//! A model file in another format of numbers.

use std::ffi::CString;
use std::path::Path;

use llama_cpp_sys_2 as sys;

/// Rows that are held in memory at once, in bytes: boards have little.
const MOST_BYTES: usize = 256 << 20;

/// A format of numbers that files can be written in. The names are llama.cpp's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
pub enum Format {
    #[value(name = "Q8_0")]
    #[serde(rename = "Q8_0")]
    Q8_0,
    #[value(name = "Q6_K")]
    #[serde(rename = "Q6_K")]
    Q6K,
    #[value(name = "Q5_K_M")]
    #[serde(rename = "Q5_K_M")]
    Q5KM,
    #[value(name = "Q5_0")]
    #[serde(rename = "Q5_0")]
    Q5_0,
    #[value(name = "Q4_K_M")]
    #[serde(rename = "Q4_K_M")]
    Q4KM,
    #[value(name = "IQ4_NL")]
    #[serde(rename = "IQ4_NL")]
    Iq4Nl,
    #[value(name = "Q4_0")]
    #[serde(rename = "Q4_0")]
    Q4_0,
    #[value(name = "Q3_K_M")]
    #[serde(rename = "Q3_K_M")]
    Q3KM,
    #[value(name = "Q2_K")]
    #[serde(rename = "Q2_K")]
    Q2K,
}

impl Format {
    /// As llama.cpp's tools and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Q8_0 => "Q8_0",
            Format::Q6K => "Q6_K",
            Format::Q5KM => "Q5_K_M",
            Format::Q5_0 => "Q5_0",
            Format::Q4KM => "Q4_K_M",
            Format::Iq4Nl => "IQ4_NL",
            Format::Q4_0 => "Q4_0",
            Format::Q3KM => "Q3_K_M",
            Format::Q2K => "Q2_K",
        }
    }

    fn code(self) -> sys::llama_ftype {
        match self {
            Format::Q8_0 => sys::LLAMA_FTYPE_MOSTLY_Q8_0,
            Format::Q6K => sys::LLAMA_FTYPE_MOSTLY_Q6_K,
            Format::Q5KM => sys::LLAMA_FTYPE_MOSTLY_Q5_K_M,
            Format::Q5_0 => sys::LLAMA_FTYPE_MOSTLY_Q5_0,
            Format::Q4KM => sys::LLAMA_FTYPE_MOSTLY_Q4_K_M,
            Format::Iq4Nl => sys::LLAMA_FTYPE_MOSTLY_IQ4_NL,
            Format::Q4_0 => sys::LLAMA_FTYPE_MOSTLY_Q4_0,
            Format::Q3KM => sys::LLAMA_FTYPE_MOSTLY_Q3_K_M,
            Format::Q2K => sys::LLAMA_FTYPE_MOSTLY_Q2_K,
        }
    }
}

/// Writes the model of one file into another, in this format, with so many threads. Numbers that are rounded already are
/// rounded again.
///
/// # Errors
/// What is wrong, in words.
pub fn quantize(from: &Path, to: &Path, format: Format, threads: u32) -> Result<(), String> {
    let text = |path: &Path| {
        CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| "its path has a zero byte in it".to_owned())
    };
    let (source, target) = (text(from)?, text(to)?);
    super::start()?;
    // SAFETY: the call takes nothing and gives a plain struct; paths and struct live until the second call has returned,
    // which catches what is thrown in it.
    let code = unsafe {
        let mut settings = sys::llama_model_quantize_default_params();
        settings.nthread = i32::try_from(threads).unwrap_or(i32::MAX);
        settings.ftype = format.code();
        settings.allow_requantize = true;
        settings.max_buf_size = MOST_BYTES;
        sys::llama_model_quantize(source.as_ptr(), target.as_ptr(), &raw const settings)
    };
    if code == 0 { Ok(()) } else { Err(format!("llama.cpp cannot write it as {}", format.as_str())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::gguf;

    #[test]
    fn a_model_is_written_in_another_format_and_what_is_no_model_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("tiny.gguf"), folder.path().join("smaller.gguf"));
        crate::tiny_gguf::TinyModel::default().write(&from).unwrap();
        quantize(&from, &to, Format::Q8_0, 1).unwrap();
        assert_eq!(gguf::read_header(&to).unwrap().quantization(), "Q8_0");
        std::fs::write(&from, "nonsense").unwrap();
        assert!(quantize(&from, &to, Format::Q8_0, 1).unwrap_err().contains("as Q8_0"));
        assert!(quantize(&folder.path().join("none"), &to, Format::Q8_0, 1).is_err());
    }
}
